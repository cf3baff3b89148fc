// Sounds of events as WAV files, and hearing one of them.
import { signal } from "@preact/signals";
import { ask, blob, Problem } from "../api";
import { fileName } from "../list/names";
import { save } from "../parts/save";
import { player } from "../player/one";
import { clear, show, tell } from "../problems";
import { audioOf } from "../recording/listening";
import { t } from "../words";
import { called, type Heard } from "./events";

export const playing = signal(""); // key of the event that is heard
const HEADER = 44; // bytes
const SERVED_RATE = 44_100; // Hz of what the server decodes: 16 bits, one channel

/** Samples as a file. */
export function wav(samples: Int16Array<ArrayBuffer> | ArrayBuffer, rate: number): Blob {
  const head = new DataView(new ArrayBuffer(HEADER));
  const text = (at: number, signs: string) => [...signs].forEach((sign, i) => head.setUint8(at + i, sign.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, HEADER - 8 + samples.byteLength, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, samples.byteLength, true);
  return new Blob([head, samples], { type: "audio/wav" });
}

/** A part of a recording that the server keeps: its bytes in the decoded file. */
export async function partOf(id: string, start: number, end: number): Promise<Blob> {
  const byte = (seconds: number) => HEADER + 2 * Math.round(Math.max(0, seconds) * SERVED_RATE);
  const range = { Range: `bytes=${byte(start)}-${byte(end) - 1}` };
  const part = await blob(await ask(audioOf(id, { as: "wav" }), { headers: range }));
  return wav(await part.arrayBuffer(), SERVED_RATE);
}

const audio = player();
audio.addEventListener("pause", () => (playing.value = ""));
audio.addEventListener("error", () => playing.peek() && broken());

function broken(): void {
  playing.value = "";
  tell("clip", () => t("live.no_clip"));
}

export async function hear(event: Heard): Promise<void> {
  clear("clip");
  const again = playing.peek() === event.key;
  audio.pause();
  if (again || !event.clip) return;
  try {
    const clip = await event.clip();
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(clip);
    playing.value = event.key;
    await audio.play();
  } catch (error) {
    if (error instanceof Problem) show("clip", error, () => void hear(event));
    else if (!(error instanceof DOMException && error.name === "AbortError")) broken(); // another one was wished
  }
}

export function hush(): void {
  audio.pause();
}

/** Give the user the sound of an event. */
export async function download(event: Heard): Promise<void> {
  clear("clip");
  try {
    const time = event.at === null ? event.start.toFixed(1) : stamp(event.at);
    save(await event.clip!(), `${fileName(`${called(event.alert)} ${time}`)}.wav`);
  } catch (error) {
    show("clip", error, () => void download(event));
  }
}

/** 2026-11-30 14-03-05: as a name that sorts, and that any disk takes. */
export function stamp(ms: number): string {
  const local = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "-");
}
