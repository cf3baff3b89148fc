// The questions about the recording, how far each is, and what was answered.
import { computed, effect, signal, untracked } from "@preact/signals";
import { body, isAbort, post, Problem, type Understood, type Unknown } from "../api";
import { kept } from "../kept";
import { lines } from "../lines";
import { clear, show } from "../problems";
import { say } from "../said";
import { page, readPage } from "../server";
import { state, type Tool } from "../state";
import type { Key } from "../strings";
import { language, t } from "../words";
import { isLost, lose, recording, track, withRecording } from "./recording";

export interface Tag { label: string; confidence: number }
export interface Span { start: number; end: number; label: string | null; score: number; tags: Tag[]; sentence?: string }
export interface Description { tags: Tag[]; sentence: string; spans?: Span[] | null }
export interface Labels { labels: { label: string; score: number; similarity: number }[]; unknown?: Unknown[]; understood?: Understood[]; silent?: boolean | null }
export interface Matches { matches: { text: string; score: number }[]; unknown?: Unknown[]; understood?: Understood[]; silent?: boolean | null }
export interface Moment { query: string; detector?: string | null; start: number; end: number; score: number; confidence?: number | null; unlikely?: boolean }
export interface Moments { queries: string[]; moments: Moment[]; unknown?: Unknown[]; understood?: Understood[] }
type Line<T> = { progress?: number; seconds_left?: number | null; result?: T; error?: { message: string } };
export interface Doing { share: number; left: number | null }

/** One kind of question: what was asked last, and its answer. */
export class Question<T> {
  readonly doing = signal<Doing | null>(null);
  readonly result = signal<T | null>(null);
  readonly stopped = signal(false);
  private request: AbortController | null = null;

  constructor(private readonly tool: Tool, private readonly told: (result: T) => string) {}

  /** Ask; where there is no recording yet, as soon as there is one. */
  ask(wish: Record<string, unknown>, make: (answer: T) => T = (answer) => answer): boolean {
    return withRecording(() => void this.run(wish, make));
  }

  stop(): void {
    this.request?.abort();
  }

  forget(): void {
    this.stop();
    clear(this.tool);
    [this.result.value, this.stopped.value] = [null, false];
  }

  private async run(wish: Record<string, unknown>, make: (answer: T) => T): Promise<void> {
    this.request?.abort();
    const mine = (this.request = new AbortController());
    const here = recording.peek()!.id;
    clear(this.tool);
    this.stopped.value = false;
    this.doing.value = { share: 0, left: null };
    say(t("ask.begun"));
    const heard = track.peek() ? { track: track.peek() } : {};
    try {
      const answer = await post(`v1/${this.tool}`, { recording: here, ...heard, ...wish }, mine.signal, { Accept: "application/x-ndjson, application/json" });
      const result = make(await this.read(answer));
      if (recording.peek()?.id !== here || this.request !== mine) return;
      this.result.value = result;
      say(this.told(result));
      if (page.peek()?.model.state !== "ready") void readPage(); // a question loads the model
    } catch (error) {
      if (isAbort(error) && this.request === mine) this.halted();
      if (isLost(error)) return lose();
      show(this.tool, error, () => void this.run(wish, make));
    } finally {
      if (this.request === mine) this.doing.value = null;
    }
  }

  private halted(): void {
    this.stopped.value = recording.peek() !== null;
    if (this.stopped.peek()) say(t("ask.stopped"));
  }

  private async read(answer: Response): Promise<T> {
    if (!answer.headers.get("Content-Type")?.includes("ndjson")) return body<T>(answer);
    for await (const line of lines<Line<T>>(answer)) {
      if (line.result !== undefined) return line.result;
      this.doing.value = { share: line.progress ?? 0, left: line.seconds_left ?? null };
    }
    throw new Problem("", true); // it ended before it was answered
  }
}

export const describe = new Question<Description>("describe", (found) => found.sentence);
export const classify = new Question<Labels>("classify", (found) => silent(found) || t("classify.first", { label: found.labels[0]?.label ?? "" }));
export const match = new Question<Matches>("match", (found) => silent(found) || t("match.done", { count: found.matches.length }));
export const moments = new Question<Moments>("moments", (found) => t(allUnlikely(found) ? "moments.nothing" : "moments.found", { count: found.moments.length }));
export const ALL = { describe, classify, match, moments } as const;

export const timeline = computed<Span[]>(() => describe.result.value?.spans ?? []);

function silent(found: { silent?: boolean | null }): string {
  return found.silent ? t("ask.silent") : "";
}

export function allUnlikely({ moments: found }: { moments: readonly Moment[] }): boolean {
  return found.length > 0 && found.every(({ unlikely }) => unlikely);
}

// -- what is asked, as it was written; kept in this browser

function written(name: string, otherwise?: Key) {
  const text = signal<string | null>(kept.get<string | null>(`recording.${name}`, null));
  return {
    get value(): string {
      return text.value ?? (otherwise ? t(otherwise) : ""); // an example in the language of the page, until something is written
    },
    set value(next: string) {
      text.value = next;
      kept.set(`recording.${name}`, next);
    },
  };
}

export const labelsText = written("labels", "classify.example");
export const templateText = written("template");
export const ownLabels = written("describe");
export const TEMPLATE = "This is a sound of {}."; // the server's own
export const matchText = written("texts", "match.example");
export const momentsText = written("queries", "moments.example");
export const withTimeline = signal(kept.get("recording.timeline", true));
export const momentsEach = signal(kept.get("recording.k", 5));

const COMMAS = /[,，、;；\n]/;

export function listed(text: string, between: RegExp): string[] {
  return [...new Set(text.split(between).map((one) => one.trim()).filter(Boolean))];
}

export function askDescribe(): void {
  const spans = withTimeline.peek();
  const labels = listed(ownLabels.value, COMMAS);
  describe.ask({ language: language.peek(), timeline: spans, ...(labels.length && { labels }) });
}

export function askClassify(): boolean {
  const template = templateText.value.trim();
  return classify.ask({ labels: listed(labelsText.value, COMMAS), ...(template && { template }) });
}

export function askMatch(): boolean {
  const order = (found: Matches) => ({ ...found, matches: [...found.matches].sort((a, b) => b.score - a.score) });
  return match.ask({ texts: listed(matchText.value, /\n/) }, order);
}

export const momentsTaught = signal<readonly string[]>([]); // detectors that are asked, too

export function askMoments(): boolean {
  const queries = listed(momentsText.value, /\n/);
  const detectors = momentsTaught.peek();
  return moments.ask({ queries, detectors, k: momentsEach.peek() }, (found) => ({
    ...found, queries: [...queries, ...detectors], moments: found.moments.map((one) => ({ ...one, query: one.query ?? one.detector ?? queries[0]! })),
  }));
}

const BRIEF = 120; // seconds that are described without being asked

/** Another recording, and every answer is forgotten; another language, and it is described anew. Called once. */
export function followQuestions(): void {
  effect(() => {
    const id = recording.value?.id;
    track.value;
    untracked(() => {
      Object.values(ALL).forEach((one) => one.forget());
      if (id && recording.peek()!.seconds <= BRIEF && state.peek().tool === "describe") askDescribe();
    });
  });
  let spoken = language.peek();
  effect(() => {
    const changed = spoken !== language.value;
    spoken = language.value;
    if (changed) untracked(() => describe.result.peek() && askDescribe());
  });
}
