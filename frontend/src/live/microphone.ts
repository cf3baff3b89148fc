// The browser's microphone: opened, changed, closed, and why there is none. Neither echo canceller nor noise suppressor
// nor gain control lie in between: what they take for noise is what is listened for.
import { signal } from "@preact/signals";

export type Missing = "insecure" | "denied" | "none" | "busy" | "old";

/** There is no microphone, and why. */
export class NoMicrophone extends Error {
  constructor(readonly why: Missing) {
    super(why);
  }
}

export interface Input { id: string; label: string }
export const inputs = signal<Input[]>([]); // known once one was allowed

const BARE = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const DEFAULT = "default";

/** Why no microphone can be asked for at all; null where it can. */
export function impossible(): Missing | null {
  if (!navigator.mediaDevices?.getUserMedia) return isSecureContext ? "old" : "insecure";
  return "AudioWorkletNode" in window ? null : "old";
}

async function ask(id: string): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...BARE, ...(id ? { deviceId: { exact: id } } : {}) } });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (id && ["OverconstrainedError", "NotFoundError"].includes(name)) return ask(""); // the one of before is unplugged
    if (["NotAllowedError", "SecurityError"].includes(name)) throw new NoMicrophone("denied");
    throw new NoMicrophone(["NotReadableError", "AbortError"].includes(name) ? "busy" : "none");
  }
}

export async function listInputs(): Promise<void> {
  const all = await navigator.mediaDevices.enumerateDevices();
  const own = all.filter(({ kind, deviceId, label }) => kind === "audioinput" && label && deviceId !== DEFAULT && deviceId !== "communications");
  inputs.value = own.map(({ deviceId: id, label }) => ({ id, label }));
}

type Given = (samples: Int16Array) => void;

/** A microphone that is open. */
export class Microphone {
  private stream: MediaStream | null = null;
  private input: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;

  private constructor(readonly context: AudioContext, private readonly given: Given, private readonly ended: () => void) {}

  /** Open one, from what a user has pressed: some browsers begin no sound otherwise. `ended`: it was unplugged. */
  static async open(id: string, given: Given, ended: () => void): Promise<Microphone> {
    const why = impossible();
    if (why) throw new NoMicrophone(why);
    const made = new Microphone(new AudioContext(), given, ended);
    try {
      const stream = await ask(id);
      await made.context.audioWorklet.addModule(new URL("microphone.js", document.baseURI).href);
      made.node = new AudioWorkletNode(made.context, "openclap-samples", { numberOfOutputs: 0 });
      made.node.port.onmessage = ({ data }: MessageEvent<Int16Array>) => made.given(data);
      made.connect(stream);
      await made.context.resume();
    } catch (error) {
      made.close();
      throw error;
    }
    navigator.mediaDevices.addEventListener("devicechange", listInputs);
    await listInputs();
    return made;
  }

  get rate(): number {
    return this.context.sampleRate;
  }

  /** Listen to another one; the sound goes on. */
  async change(id: string): Promise<void> {
    const stream = await ask(id);
    this.release();
    this.connect(stream);
  }

  private connect(stream: MediaStream): void {
    this.stream = stream;
    this.input = this.context.createMediaStreamSource(stream);
    this.input.connect(this.node!);
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.stream === stream && this.ended());
  }

  private release(): void {
    this.input?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
  }

  close(): void {
    this.release();
    if (this.node) this.node.port.onmessage = null;
    navigator.mediaDevices?.removeEventListener("devicechange", listInputs);
    if (this.context.state !== "closed") void this.context.close();
  }
}
