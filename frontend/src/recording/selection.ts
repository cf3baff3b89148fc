// The span of the recording that is chosen: to be heard again and again, and saved.
import { computed, effect, signal, untracked } from "@preact/signals";
import { kept } from "../kept";
import { say } from "../said";
import { clock, t } from "../words";
import { recording } from "./recording";
import type { Part } from "./view";

export const selection = signal<Part | null>(null);
export const looping = signal(kept.get("recording.loop", false));
export const choosing = signal(false); // does a finger's drag choose, as the mouse's does?
const LEAST = 0.01; // seconds

/** The span that is played again and again, if there is one. */
export const round = computed<Part | null>(() => (looping.value ? selection.value : null));

/** Choose from one second to another, in whichever order; what is next to nothing is none. */
export function choose(from: number, to: number): void {
  const all = recording.peek()?.seconds ?? 0;
  const [start, end] = [Math.max(0, Math.min(from, to)), Math.min(all, Math.max(from, to))];
  selection.value = end - start >= LEAST ? { start, end } : null;
}

/** The span begins, or ends, at a second; the other end stays, or is that of the recording. */
export function chooseEnd(which: "start" | "end", at: number): void {
  const all = recording.peek()?.seconds ?? 0;
  const { start, end } = selection.peek() ?? { start: 0, end: all };
  if (which === "start") choose(at, at < end ? end : all);
  else choose(at > start ? start : 0, at);
  sayChosen();
}

export function sayChosen(): void {
  const span = selection.peek();
  if (span) say(t("selection.is", { start: fine(span.start), end: fine(span.end), long: (span.end - span.start).toFixed(2) }));
}

export function unchoose(): void {
  if (!selection.peek()) return;
  selection.value = null;
  say(t("selection.none"));
}

export function setLooping(on: boolean): void {
  looping.value = on;
  kept.set("recording.loop", on);
}

/** Seconds as a clock with hundredths: 1:05.25. */
export function fine(seconds: number): string {
  const hundredths = Math.round(seconds * 100);
  return `${clock(Math.floor(hundredths / 100))}.${String(hundredths % 100).padStart(2, "0")}`;
}

/** Another recording, and nothing is chosen. Called once. */
export function followSelection(): void {
  effect(() => {
    recording.value?.id;
    untracked(() => (selection.value = null));
  });
}
