// How loud sounds are over time, for the rows that are seen: fetched in few requests, given up when the rows have gone.
import { signal } from "@preact/signals";
import { get, inParts, isAbort } from "../api";

const MOST = 3000;
const OFTEN = 80; // ms between requests while the list is scrolled
const known = new Map<string, string>(); // path → drawing
export const drawn = signal(0); // grows when waveforms have come
let wanted: string[] = [];
let played = ""; // what is in the player is seen, too
let timer = 0;
const asked = new Map<string, AbortController>();

/** The waveform of a sound as the `d` of an SVG path in a box of 200 × 32, if it is there already. */
export function waveform(path: string): string | undefined {
  return known.get(path);
}

/** Say which waveforms are seen; the newest word counts. */
export function wantPeaks(paths: string[]): void {
  wanted = paths.filter((path) => path && !known.has(path));
  if (played && !known.has(played)) wanted.push(played);
  const seen = new Set(wanted);
  for (const request of new Set(asked.values())) {
    if (![...asked].some(([path, one]) => one === request && seen.has(path))) request.abort();
  }
  if (wanted.length && !timer) timer = setTimeout(fetchPeaks, OFTEN);
}

export function wantPlayed(path: string): void {
  if (played === path) return;
  played = path;
  wantPeaks([...wanted]);
}

function fetchPeaks(): void {
  timer = 0;
  for (const part of inParts(wanted.filter((path) => !asked.has(path)))) void load(part);
}

async function load(paths: string[]): Promise<void> {
  const request = new AbortController();
  paths.forEach((path) => asked.set(path, request));
  try {
    const { peaks } = await get<{ peaks: Record<string, string> }>("v1/library/peaks", { path: paths }, request.signal);
    for (const path of paths) known.set(path, draw(peaks[path] ?? ""));
    for (const path of known.keys()) {
      if (known.size <= MOST) break;
      known.delete(path);
    }
    drawn.value++;
  } catch (error) {
    if (!isAbort(error)) paths.forEach((path) => known.set(path, "")); // a row without its picture is still a row
  } finally {
    for (const path of paths) if (asked.get(path) === request) asked.delete(path);
  }
}

/** 200 bytes become 100 strokes. */
function draw(text: string): string {
  const bytes = atob(text);
  let path = "";
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const half = Math.max(0.6, (Math.max(bytes.charCodeAt(i), bytes.charCodeAt(i + 1)) / 255) * 15);
    path += `M${i + 1} ${(16 - half).toFixed(1)}V${(16 + half).toFixed(1)}`;
  }
  return path;
}
