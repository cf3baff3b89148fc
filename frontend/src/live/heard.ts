// What is heard now, whatever it is: every few seconds the last ones are described.
import { signal } from "@preact/signals";
import { ask, body, isAbort, Problem, url } from "../api";
import { clear, show } from "../problems";
import type { Tag } from "../recording/questions";
import { language } from "../words";
import { level } from "./seen";
import { naming } from "./wish";

const EVERY = 3000; // ms
const SECONDS = 5;
const MOST = 4, LEAST = 0.15;
const QUIET = -65; // dB, below which nothing is heard
const BUSY = new Set([429, 503, 504]);

export const tags = signal<readonly Tag[] | null>(null); // null: not asked yet
let asked = -Infinity;
let request: AbortController | null = null;

export function forgetHeard(): void {
  request?.abort();
  request = null;
  tags.value = null;
  asked = performance.now() - EVERY + 1500; // the first time when there is something to hear
}

/** Ask what the sound is, if it is time to. */
export function hearNow(sound: { last(seconds: number): Blob }): void {
  if (!naming.peek() || request || performance.now() - asked < EVERY) return;
  asked = performance.now();
  if (level.peek() < QUIET) tags.value = [];
  else void name(sound.last(SECONDS));
}

async function name(clip: Blob): Promise<void> {
  const mine = (request = new AbortController());
  const form = new FormData();
  form.set("audio", clip, "now.wav");
  form.set("language", language.peek());
  try {
    const found = await body<{ tags: Tag[] }>(await ask(url("v1/describe"), { method: "POST", body: form, signal: mine.signal }));
    if (request !== mine) return;
    tags.value = found.tags.filter(({ confidence }) => confidence >= LEAST).slice(0, MOST);
    clear("heard");
  } catch (error) {
    if (isAbort(error) || !(error instanceof Problem)) throw error;
    if (!error.lost && !BUSY.has(error.status)) show("heard", error); // what is lost or busy is asked again soon
  } finally {
    if (request === mine) request = null;
  }
}
