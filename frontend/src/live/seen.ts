// What is known of the watch that goes on, or of the last one: how far it is, how loud it is, what each window was taken for.
import { batch, signal } from "@preact/signals";
import type { Unknown } from "../api";
import type { Key } from "../strings";

export type Phase = "idle" | "opening" | "joining" | "learning" | "listening" | "lost" | "full" | "paused";
export interface Window { start: number; end: number; confidences: readonly number[] }

export const phase = signal<Phase>("idle");
export const over = signal<Key | null>(null); // why it has ended
export const names = signal<readonly string[]>([]); // of what is listened for, in the order of confidences
export const heard = signal(0); // seconds
export const lost = signal(0); // seconds that could not be sent
export const learning = signal(0); // seconds that are still learnt from
export const level = signal(-Infinity); // dB of full scale
export const length = signal(0); // seconds of a recording; 0 of a microphone
export const muted = signal(false); // nothing but zeros came for a while
export const unknown = signal<readonly Unknown[]>([]); // words that the model does not know
export const asked = signal(0); // least confidence that is told of
export const note = signal(""); // of the server
export const drawn = signal(0); // grows when there is more to draw
export const clockAt = signal<(seconds: number) => number | null>(() => null); // the time of day of a second, ms; null of a recording

const WINDOWS = 3600;
export const PEAK_SECONDS = 0.1;
const PEAKS = 6000; // ten minutes
const MUTED = 4; // seconds
export const windows: Window[] = [];
export const peaks = { first: 0, values: [] as number[] }; // number of the first one; each the loudest sample of its tenth, 0 to 1

let lastLoud = 0; // second

export function isOn(): boolean {
  return phase.value !== "idle";
}

export function forget(): void {
  batch(() => {
    [over.value, names.value, unknown.value, note.value] = [null, [], [], ""];
    [heard.value, lost.value, learning.value, length.value] = [0, 0, 0, 0];
    [level.value, muted.value, lastLoud] = [-Infinity, false, 0];
    windows.length = peaks.values.length = peaks.first = 0;
    drawn.value++;
  });
}

/** Keep a window; of a microphone the oldest go, of a long recording two become one, so that all of it is seen. */
export function addWindow(window: Window): void {
  windows.push(window);
  if (windows.length <= WINDOWS) return;
  if (length.peek()) windows.splice(0, windows.length, ...inPairs());
  else windows.shift();
}

function inPairs(): Window[] {
  return windows.flatMap((one, i) => {
    const next = windows[i + 1] ?? one;
    if (i % 2) return [];
    return [{ start: one.start, end: next.end, confidences: one.confidences.map((value, which) => Math.max(value, next.confidences[which] ?? 0)) }];
  });
}

/** How loud samples are that begin at a second. */
export function addPeaks(samples: Int16Array, at: number, rate: number): void {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) {
    const value = Math.abs(samples[i]!) / 32768;
    sum += value * value;
    const number = Math.floor((at + i / rate) / PEAK_SECONDS) - peaks.first;
    peaks.values[number] = Math.max(peaks.values[number] ?? 0, value);
  }
  const tooMany = peaks.values.length - PEAKS;
  if (tooMany > 0) {
    peaks.values.splice(0, tooMany);
    peaks.first += tooMany;
  }
  if (sum > 0) lastLoud = at;
  muted.value = at - lastLoud > MUTED;
  const now = 10 * Math.log10(sum / samples.length);
  level.value = Math.max(now, Number.isFinite(level.peek()) ? level.peek() - 3 : now); // it falls slowly, as meters do
}

/** The confidences of the last window. */
export function latest(): readonly number[] {
  return windows.at(-1)?.confidences ?? [];
}
