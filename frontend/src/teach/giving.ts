// Files that are given as examples: sent one by one; one that is no sound is named, and the others go on.
import { signal } from "@preact/signals";
import { ask, body, isAbort, Problem, url } from "../api";
import { chosen, type Given } from "../add/dropped";
import { clear, show, tell } from "../problems";
import type { Recording } from "../recording/recording";
import { ticked } from "../tray/ticks";
import { t } from "../words";
import { add } from "./lesson";
import { exampleOf } from "./marks";
import type { Example } from "./types";

export const coming = signal<{ done: number; total: number } | null>(null);
let request: AbortController | null = null;

export function stopGiving(): void {
  request?.abort();
}

export function choose(files: FileList | null, yes: boolean): void {
  void give(chosen(files), yes);
}

export async function give(given: readonly Given[], yes: boolean): Promise<void> {
  clear("give");
  if (!given.length) return tell("give", () => t("add.no_sounds"));
  const mine = (request = new AbortController());
  const made: Example[] = [];
  try {
    for (const [index, { file, name }] of given.entries()) {
      coming.value = { done: index, total: given.length };
      made.push(await send(file, name, yes, mine.signal));
    }
  } catch (error) {
    if (!isAbort(error)) show("give", error, () => void give(given.slice(made.length), yes));
  } finally {
    if (request === mine) coming.value = null;
    if (made.length) add(made);
  }
}

async function send(file: File, name: string, yes: boolean, signal: AbortSignal): Promise<Example> {
  const form = new FormData();
  form.set("file", file, file.name);
  try {
    const { id } = await body<Recording>(await ask(url("v1/recordings"), { method: "POST", body: form, signal }));
    return { id, name, yes };
  } catch (error) {
    if (!(error instanceof Problem) || error.lost || error.status === 429 || error.status === 503) throw error;
    return { id: name, name, yes, error: withoutName(error.message, file.name), broken: true }; // it is no sound, or too long: said beside its name
  }
}

/** It stands beside its name. */
function withoutName(sentence: string, name: string): string {
  return sentence.startsWith(`${name}: `) ? sentence.slice(name.length + 2) : sentence;
}

/** The sounds that are ticked in Find. */
export function giveTicked(yes: boolean): void {
  add([...ticked.peek()].map((path) => exampleOf(path, yes)));
}

/** Was it dropped on what is not it? */
export function isDroppedOnNo(event: DragEvent): boolean {
  return Boolean((event.target as Element | null)?.closest?.("[data-drop=no]"));
}

