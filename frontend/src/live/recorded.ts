// A recording that is watched as if it were a microphone, as fast as the server can hear it: one that was uploaded here, or
// the one that is open in Recording.
import { signal } from "@preact/signals";
import { ask, body, url } from "../api";
import { clear, show, tell } from "../problems";
import { recording, type Recording } from "../recording/recording";
import { say } from "../said";
import { t } from "../words";
import { partOf } from "./clips";
import { events } from "./events";
import { heard, length, phase } from "./seen";
import { Session } from "./session";
import type { Left } from "./socket";

const AROUND = 1; // seconds before and after an event that are heard with it

const own = signal<Recording | null>(null);
export const coming = signal(false);

export function chosen(): Recording | null {
  return own.value ?? recording.value;
}

export function chooseFile(): void {
  document.querySelector<HTMLInputElement>("#live-file")?.click();
}

/** Send a file, to listen to it. */
export async function give(file: File): Promise<void> {
  clear("live");
  coming.value = true;
  const form = new FormData();
  form.set("file", file, file.name);
  try {
    own.value = await body<Recording>(await ask(url("v1/recordings"), { method: "POST", body: form }));
    say(t("recording.here", { name: own.value.name }));
  } catch (error) {
    show("live", error, () => void give(file));
  } finally {
    coming.value = false;
  }
}

export class RecordingSession extends Session {
  constructor(wish: Session["wish"], private readonly recording: Recording) {
    super(wish);
    length.value = recording.seconds;
  }

  open(): void {
    this.join();
  }

  override apply(): void {} // it is listened to anew, from its beginning

  protected override source(): object {
    return { recording: this.recording.id };
  }

  protected override place(seconds: number): number {
    return seconds;
  }

  override timeOf(): null {
    return null;
  }

  protected override clipOf(start: number, end: number): () => Promise<Blob> {
    const { id, seconds } = this.recording;
    return () => partOf(id, start - AROUND, Math.min(seconds, end + AROUND));
  }

  protected override left(left: Left): void {
    if (phase.peek() === "idle") return;
    if (left.why === "done") {
      heard.value = length.peek();
      this.end("live.heard_all");
      return say(`${t("live.heard_all")} ${t("live.count", { count: events.peek().length })}`);
    }
    tell("live", () => (left.why === "refused" ? left.text : t(left.why === "full" ? "live.full_now" : "common.lost")));
    this.end("live.refused");
  }
}
