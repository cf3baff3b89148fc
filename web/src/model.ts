// The model in its worker, as calls.
import type { Asked, Loaded, Told, Words } from "./protocol";

type Question = Asked extends infer A ? (A extends unknown ? Omit<A, "id"> : never) : never;

export class Model {
  private readonly worker = new Worker("worker.js", { type: "module" });
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  private asked = 0;

  constructor(progress: (done: number, all: number) => void) {
    this.worker.onmessage = ({ data: told }: MessageEvent<Told>) => {
      if (told.kind === "progress") return progress(told.done, told.all);
      const { resolve, reject } = this.waiting.get(told.id)!;
      this.waiting.delete(told.id);
      if (told.kind === "done") resolve(told.value as never);
      else reject(new Error(told.message));
    };
    this.worker.onerror = (event) => {
      for (const { reject } of this.waiting.values()) reject(new Error(event.message || "worker.js"));
      this.waiting.clear();
    };
  }

  load(): Promise<Loaded> {
    return this.ask({ kind: "load" });
  }

  /** The unit vector of a wave at the model's rate; the wave is given away. */
  embedWave(wave: Float32Array): Promise<Float32Array> {
    const own = wave.slice();
    return this.ask({ kind: "wave", wave: own }, [own.buffer]);
  }

  embedTexts(texts: string[]): Promise<Words[]> {
    return this.ask({ kind: "texts", texts });
  }

  private ask<T>(question: Question, given: Transferable[] = []): Promise<T> {
    const id = ++this.asked;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...question }, given);
    });
  }
}
