// Which part of the recording is seen.
import { effect, signal, untracked } from "@preact/signals";
import { go, state } from "../state";
import { recording } from "./recording";

export interface Part { start: number; end: number } // seconds

export const view = signal<Part>({ start: 0, end: 1 });
const NEAREST = 0.02; // seconds that are seen at least
const REST = 400; // ms without a change, until it is written into the address

export function whole(): Part {
  return { start: 0, end: recording.peek()?.seconds || 1 };
}

export function isWhole({ start, end }: Part = view.peek()): boolean {
  return end - start >= whole().end - 1e-6;
}

/** See a part, as far as there is one. */
export function look(start: number, end: number): void {
  const all = whole().end;
  const long = Math.min(all, Math.max(NEAREST, end - start));
  const from = Math.max(0, Math.min(start, all - long));
  view.value = { start: from, end: from + long };
}

/** Zoom by a factor; the second `at` stays where it is. */
export function zoom(by: number, at = (view.peek().start + view.peek().end) / 2): void {
  const { start, end } = view.peek();
  const long = Math.min(whole().end, Math.max(NEAREST, (end - start) / by));
  const from = at - ((at - start) / (end - start)) * long;
  look(from, from + long);
}

export function pan(seconds: number): void {
  const { start, end } = view.peek();
  look(start + seconds, end + seconds);
}

/** Bring a part into view, near enough to be seen as a part. */
export function reveal(start: number, end: number): void {
  const now = view.peek();
  const long = now.end - now.start;
  const wide = Math.max(end - start, 0.5);
  const seen = start >= now.start && end <= now.end;
  if (seen && wide > long / 80) return;
  const next = wide > long / 80 && wide < long ? long : wide * 6;
  look(start + (end - start) / 2 - next / 2, start + (end - start) / 2 + next / 2);
}

/** Keep the playhead in view, while it was in view. */
export function keepInView(before: number, now: number): void {
  const { start, end } = view.peek();
  if (now > end && before <= end && before >= start) look(now - (end - start) * 0.05, now + (end - start) * 0.95);
}

/** Begin to follow the recording and to write the address. Called once. */
export function followView(): void {
  effect(() => {
    if (!recording.value) return;
    untracked(() => {
      const [start, end] = [Number(state.peek().start), Number(state.peek().end)];
      if (end > start && start >= 0) look(start, end);
      else look(0, whole().end);
    });
  });
  let timer = 0;
  effect(() => {
    const { start, end } = view.value;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (!recording.peek() || state.peek().place !== "recording") return;
      const text = isWhole() ? { start: "", end: "" } : { start: String(round(start)), end: String(round(end)) };
      if (text.start !== state.peek().start || text.end !== state.peek().end) go(text, false);
    }, REST);
  });
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
