// A lesson: examples of a sound and of what it is not, what is asked next, and what was taught by them so far.
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { body, isAbort, post, Problem, type Found, type Hit } from "../api";
import { kept } from "../kept";
import { lines } from "../lines";
import { clean } from "../list/names";
import { clear, show } from "../problems";
import { say } from "../said";
import { page } from "../server";
import { nameOf, lookUp } from "../sounds";
import { go, state } from "../state";
import { share, t } from "../words";
import { hear, heard, hush, keyOf, playing } from "./hearing";
import type { Candidate, Example, Lesson, Share, Why } from "./types";

const RANKED = 24;
const SUGGESTED = 6;
const FEW = 3; // yes, until which what ranks highest is asked about instead of what is hardest to tell
const SOON = 120; // ms that a teaching waits for the next answer
const LOOKED = 40; // results of the words that are asked about

interface Kept { named: string; words: string; examples: readonly Example[] }
const before = kept.get<Kept>("teach.lesson", { named: "", words: "", examples: [] });

export const examples = signal<readonly Example[]>(before.examples);
export const lesson = signal<Lesson | null>(null);
export const doing = signal(false); // it is being taught
export const looking = signal(false);
const aloud = signal(false); // somebody has begun: before that nothing is played
export const auto = signal(kept.get("teach.auto", true)); // what is asked about is played at once
const queue = signal<readonly Candidate[]>([]);
const skipped = signal<ReadonlySet<string>>(new Set());
const answered = signal<readonly string[]>([]); // keys of examples, the last one last

/** What it is called, and the words that it begins from. */
export function title(): string {
  return state.peek().named.trim() || state.peek().words.trim() || t("teach.unnamed");
}

/** A part of a file and the whole of it are the same sound to be asked about. */
const known = computed(() => new Set(examples.value.map(({ path }) => path).filter(Boolean)));
export const candidate = computed<Candidate | null>(() => queue.value.find((one) => !known.value.has(one.path) && !skipped.value.has(one.path)) ?? null);
export const canTakeBack = computed(() => answered.value.length > 0);

export function counts(of: readonly Example[] = examples.value): { yes: number; no: number } {
  const usable = of.filter(({ broken }) => !broken);
  const yes = usable.filter((one) => one.yes).length;
  return { yes, no: usable.length - yes };
}

// -- examples

/** Add examples, or turn those that are there already. */
export function add(some: readonly Example[]): void {
  const all = new Map(examples.peek().map((one) => [keyOf(one), one]));
  for (const one of some) all.set(keyOf(one), one);
  change([...all.values()]);
}

export function turn(one: Example): void {
  change(examples.peek().map((other) => (other === one ? { ...one, yes: !one.yes } : other)));
}

export function remove(one: Example): void {
  change(examples.peek().filter((other) => other !== one));
}

/** Another part of the same sound. */
export function cut(one: Example, start?: number, end?: number): void {
  const { error: _, ...rest } = one;
  change(examples.peek().map((other) => (other === one ? { ...rest, start, end } : other)));
}

function change(next: readonly Example[]): void {
  examples.value = next;
  keepLesson();
  teachSoon();
}

function keepLesson(): void {
  const { named, words } = state.peek();
  kept.set("teach.lesson", { named, words, examples: examples.peek() } satisfies Kept);
}

// -- one by one

export function answer(yes: boolean): void {
  const here = candidate.peek();
  if (!here) return;
  const { why: _, likely: __, ...one } = here;
  batch(() => {
    aloud.value = true;
    answered.value = [...answered.peek(), keyOf(one)];
    add([{ ...one, yes }]);
  });
  said(t(yes ? "ask_one.marked_yes" : "ask_one.marked_no", { name: clean(here.name) }));
}

export function skip(): void {
  const here = candidate.peek();
  if (!here) return;
  aloud.value = true;
  skipped.value = new Set([...skipped.peek(), here.path]);
  said("");
}

export function takeBack(): void {
  const key = answered.peek().at(-1);
  const one = examples.peek().find((other) => keyOf(other) === key);
  answered.value = answered.peek().slice(0, -1);
  if (!one) return;
  queue.value = [{ ...one, path: one.path!, why: "unsure" }, ...queue.peek()];
  remove(one);
}

function said(first: string): void {
  const next = candidate.peek();
  say([first, next ? t("ask_one.next", { name: clean(next.name) }) : t("ask_one.none")].filter(Boolean).join(" "));
}

export function setAuto(on: boolean): void {
  auto.value = on;
  kept.set("teach.auto", on);
}

function asCandidate(why: Why): (hit: Hit) => Candidate {
  return ({ path, start, end, confidence }) => ({ path, name: nameOf(path), start, end, why, likely: why === "words" ? null : confidence });
}

// -- looking for something to ask about

let search: AbortController | null = null;

async function look(): Promise<void> {
  const words = state.peek().words.trim() || state.peek().named.trim();
  search?.abort();
  if (!words) return;
  const mine = (search = new AbortController());
  clear("teach");
  looking.value = true;
  try {
    const found = await body<Found>(await post("v1/search", { query: words, k: LOOKED }, mine.signal));
    void lookUp(found.hits.map(({ path }) => path));
    if (!lesson.peek()) queue.value = found.hits.map(asCandidate("words"));
    said("");
  } catch (error) {
    const gone = error instanceof Problem && [409, 503].includes(error.status); // there is no library, or an empty one
    if (!gone) show("teach", error, () => void look());
  } finally {
    if (search === mine) looking.value = false;
  }
}

// -- teaching

let request: AbortController | null = null;
let timer = 0;

/** Teach by the examples that are there now, in a moment: several answers in a row are one lesson. */
export function teachSoon(): void {
  clearTimeout(timer);
  request?.abort();
  if (!counts(examples.peek()).yes) {
    [lesson.value, doing.value] = [null, false];
    return;
  }
  doing.value = true;
  timer = setTimeout(() => void teach(), SOON);
}

function wish(one: Example): Record<string, unknown> {
  const { path, id, start, end } = one;
  return { ...(path !== undefined ? { path } : { recording: id }), start, end };
}

async function teach(): Promise<void> {
  const mine = (request = new AbortController());
  const all = examples.peek().filter(({ broken }) => !broken);
  const [yes, no] = [all.filter((one) => one.yes), all.filter((one) => !one.yes)];
  const { named, words } = state.peek();
  clear("lesson");
  try {
    const asked = { name: title(), text: words.trim() || named.trim(), yes: yes.map(wish), no: no.map(wish), k: RANKED, suggestions: SUGGESTED };
    const found = await read(await post("v1/teach", asked, mine.signal, { Accept: "application/x-ndjson" }));
    if (request !== mine) return;
    take(found, { yes, no });
  } catch (error) {
    if (!isAbort(error) && request === mine) lesson.value = null;
    show("lesson", error, () => teachSoon());
  } finally {
    if (request === mine) doing.value = false;
  }
}

export async function read<T = Lesson>(answer: Response): Promise<T> {
  if (!answer.headers.get("Content-Type")?.includes("ndjson")) return body<T>(answer);
  for await (const line of lines<{ result?: T; error?: { message: string } }>(answer)) if (line.result !== undefined) return line.result;
  throw new Problem("", true); // it ended before it was answered
}

function take(found: Lesson, given: Record<"yes" | "no", readonly Example[]>): void {
  const faults = new Map(found.skipped.map(({ of, index, error }) => [given[of][index], error]));
  const ranked = found.hits.filter(({ unlikely }) => !unlikely).map(asCandidate("like"));
  const next = found.next.map(asCandidate("unsure"));
  const here = candidate.peek(); // what somebody is listening to stays
  batch(() => {
    lesson.value = found;
    examples.value = examples.peek().map((one) => (one.broken || faults.get(one) === one.error ? one : { ...one, error: faults.get(one) }));
    queue.value = [...(here ? [here] : []), ...(counts().yes < FEW ? [...ranked, ...next] : [...next, ...ranked])];
  });
  void lookUp([...found.hits, ...found.next].map(({ path }) => path));
  const { judged, precision, recall } = found.detector.report;
  say(judged ? t("good.said", { precision: shown(precision), recall: shown(recall) }) : t("good.said_few"));
}

export function shown(one: Share | undefined): string {
  return one?.value == null ? "–" : share(one.value);
}

// -- the whole lesson

/** Begin by a name and words; examples stay. */
export function begin(named: string, words: string): void {
  go({ named, words });
  aloud.value = true;
  restart();
}

/** Another name or other words for the examples that are there. */
export function rename(named: string, words: string): void {
  if (named === state.peek().named && words === state.peek().words) return;
  go({ named, words }, false);
  keepLesson();
  teachSoon();
}

function restart(): void {
  keepLesson();
  skipped.value = new Set();
  if (examples.peek().length) teachSoon();
  void look();
}

export function anew(): void {
  search?.abort();
  hush();
  batch(() => {
    [examples.value, queue.value, answered.value, lesson.value] = [[], [], [], null];
    skipped.value = new Set();
    go({ named: "", words: "" });
  });
  clear("teach");
  clear("lesson");
  teachSoon();
  keepLesson();
}

/** Begin to follow the place. Called once. */
export function followTeaching(): void {
  let begun = false;
  effect(() => {
    const here = state.value.place === "teach";
    untracked(() => {
      if (!here) return hush();
      if (begun) return;
      begun = true;
      const { named, words } = state.peek();
      const other = (named || words) && (before.named || before.words) && (named !== before.named || words !== before.words);
      if (other) examples.value = []; // a link to another lesson
      if (!named && !words && (before.named || before.words)) go({ named: before.named, words: before.words }, false);
      restart();
    });
  });
  let model = "";
  effect(() => {
    const { name, state: is } = page.value?.model ?? { name: "", state: "none" };
    if (is !== "ready" || name === model) return;
    if (model) untracked(teachSoon); // what was taught is of the model before
    model = name;
  });
  effect(() => {
    const next = candidate.value;
    const asks = state.value.place === "teach" && auto.value && aloud.value;
    untracked(() => {
      if (next && asks && heard.peek() !== keyOf(next)) hear(next);
      else if (!next && playing.peek()) hush();
    });
  });
}
