// Spans that are drawn over the waveform, in lanes above it: the timeline in one, each question of moments in its own.
import { computed, signal } from "@preact/signals";
import { state } from "../state";
import { clean } from "../list/names";
import { moments, timeline } from "./questions";

export interface Drawn { start: number; end: number; label: string; colour: number; dim: boolean }

export const COLOURS = 8;
export const hot = signal<{ start: number; end: number } | null>(null); // of the list, under the pointer or the focus
const MOST = 6; // lanes; more questions share the last one

/** Which colour a label has: labels in the order in which they come first. */
export function colours(labels: readonly (string | null)[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const label of labels) if (label && !all.has(label)) all.set(label, all.size % COLOURS);
  return all;
}

export const lanes = computed<Drawn[][]>(() => {
  const { tool } = state.value;
  if (tool === "describe") {
    const spans = timeline.value;
    if (!spans.length) return [];
    const colour = colours(spans.map(({ label }) => label));
    return [spans.filter(({ label }) => label).map(({ start, end, label }) => ({ start, end, label: clean(label!), colour: colour.get(label!)!, dim: false }))];
  }
  if (tool !== "moments" || !moments.result.value) return [];
  const { queries, moments: found } = moments.result.value;
  const all: Drawn[][] = queries.slice(0, MOST).map(() => []);
  for (const { query, start, end, unlikely } of found) {
    const number = queries.indexOf(query);
    all[Math.min(number, all.length - 1)]?.push({ start, end, label: clean(query), colour: number % COLOURS, dim: unlikely ?? false });
  }
  return all;
});
