// The events of a watch, newest first, each with its clip where there is one.
import { signal } from "@preact/signals";
import { clean } from "../list/names";
import { say } from "../said";
import { number, share, t } from "../words";
import { raise } from "./alarm";
import type { Told } from "./socket";

export interface Heard {
  key: string;
  alert: string;
  start: number; // seconds since the beginning
  end: number;
  confidence: number;
  at: number | null; // time of day, ms
  still: boolean; // it goes on
  clip: (() => Promise<Blob>) | null;
  told: Told;
}

export const UNUSUAL = "unusual"; // what the server calls what has no words
const MOST = 1000;
const CLIP_BYTES = 96 << 20; // of clips that are kept here
const QUIET = 4000; // ms between two words to a screen reader

export const events = signal<readonly Heard[]>([]);
export const older = signal(0); // that were forgotten
const sizes = new Map<string, number>();

export function forgetEvents(): void {
  [events.value, older.value] = [[], 0];
  sizes.clear();
}

/** A name as it was written; what has no words is called by ours. */
export function called(alert: string): string {
  return alert === UNUSUAL ? t("live.unusual_name") : clean(alert);
}

/** Add an event, or what is known now of one that had begun. */
export function addEvent(next: Heard): void {
  const all = events.peek();
  const at = all.findIndex(({ key }) => key === next.key);
  if (at < 0) {
    events.value = [next, ...all].slice(0, MOST);
    older.value += Math.max(0, all.length + 1 - MOST);
    announce(next);
    raise(next);
  } else events.value = all.map((one, index) => (index === at ? next : one));
}

/** What goes on has ended: nobody listens any more. */
export function endAll(): void {
  if (events.peek().some(({ still }) => still)) events.value = events.peek().map((one) => ({ ...one, still: false }));
}

/** Keep the sound of an event; the oldest sounds go where there are too many. */
export function keepClip(key: string, clip: Blob): () => Promise<Blob> {
  sizes.set(key, clip.size);
  let all = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  for (const [old, size] of sizes) {
    if (all <= CLIP_BYTES) break;
    all -= size;
    sizes.delete(old);
    events.value = events.peek().map((one) => (one.key === old ? { ...one, clip: null } : one));
  }
  return () => Promise.resolve(clip);
}

let waiting: Heard[] = [];
let timer = 0;
let last = -Infinity;

/** Tell a screen reader, now and then: several that come together are one sentence. */
function announce(one: Heard): void {
  waiting.push(one);
  if (timer) return;
  timer = setTimeout(() => {
    const [some, first] = [waiting, waiting.at(-1)!];
    [waiting, timer, last] = [[], 0, performance.now()];
    const told = t("live.said", { name: called(first.alert), share: share(first.confidence) });
    say(some.length > 1 ? `${told} ${t("live.said_more", { count: number(some.length - 1) })}` : told);
  }, Math.max(0, last + QUIET - performance.now()));
}
