// The detectors that the server has: read, kept, renamed, taught anew, forgotten, sent.
import { signal } from "@preact/signals";
import { ask, blob, body, get, post, Problem, url } from "../api";
import { clean, fileName } from "../list/names";
import { save } from "../parts/save";
import { clear, show } from "../problems";
import { say } from "../said";
import { t } from "../words";
import { lesson, read, shown, teachSoon, title } from "./lesson";
import type { Detector, Lesson } from "./types";

interface All { detectors: Detector[]; failed: { name: string; error: string }[]; writable: boolean }
interface Kept { detector: Detector; lost: number }

export const DRAFT = "draft:";
export const detectors = signal<All | null>(null);
export const done = signal({ keep: "", taught: "" }); // what was done, as a sentence beside where it was
export const working = signal("");
const keptAs = signal({ draft: "", name: "" }); // what was kept last, and under which name

/** Where one of them is asked for. */
function place(name: string, what: string): string {
  return `v1/detectors/${encodeURIComponent(name)}/${what}`;
}

/** Give the user the file of a detector, or of a draft under a name. */
export async function download(name: string, called = name): Promise<void> {
  const [where, plain] = [name.startsWith(DRAFT) ? "keep" : "taught", fileName(called)] as const;
  clear(where);
  try {
    const answer = await ask(url(place(name, "file"), name.startsWith(DRAFT) ? { as: plain } : {}));
    save(await blob(answer), `${plain}.safetensors`);
  } catch (error) {
    forgotten(error);
    show(where, error, () => void download(name, called));
  }
}

/** A draft that the server has forgotten is taught again. */
export function forgotten(error: unknown): void {
  if (error instanceof Problem && error.status === 404) teachSoon();
}

/** What a detector is called; a draft has an id that says nothing. */
export function nameOfTaught(name: string): string {
  if (!name.startsWith(DRAFT)) return clean(name);
  return lesson.value?.id === name ? clean(title()) : t("taught.draft");
}

/** By what a draft is searched with: what was kept has a name, which also a link of tomorrow finds. */
export function asKept(draft: string): string {
  return keptAs.value.draft === draft && isOwn(keptAs.value.name) ? keptAs.value.name : draft;
}

export async function readDetectors(): Promise<void> {
  clear("taught");
  try {
    detectors.value = await get<All>("v1/detectors");
  } catch (error) {
    show("taught", error, () => void readDetectors());
  }
}

let asked = false;

/** Read them once, for places that offer them. */
export function wantDetectors(): void {
  if (asked) return;
  asked = true;
  void readDetectors();
}

export function usable(): Detector[] {
  return (detectors.value?.detectors ?? []).filter(({ fits }) => fits);
}

export function isOwn(name: string): boolean {
  return Boolean(detectors.value?.detectors.some((one) => one.own && one.name === name));
}

async function change(again: () => void, work: () => Promise<string>, where: "taught" | "keep" = "taught"): Promise<void> {
  clear(where);
  done.value = { keep: "", taught: "" };
  try {
    const sentence = await work();
    await readDetectors();
    done.value = { ...done.peek(), [where]: sentence };
    say(sentence);
  } catch (error) {
    if (where === "keep") forgotten(error);
    show(where, error, again);
  } finally {
    working.value = "";
  }
}

export function keep(): Promise<void> {
  const name = title();
  const draft = lesson.peek()!.id;
  return change(() => void keep(), async () => {
    const found = await body<Kept>(await post("v1/detectors", { draft, name, over: isOwn(name) }));
    const lost = found.lost ? ` ${t("keep.lost", { count: found.lost })}` : "";
    keptAs.value = { draft, name: found.detector.name };
    return t("keep.kept", { name: clean(found.detector.name) }) + lost;
  }, "keep");
}

export function rename(name: string, to: string): Promise<void> {
  return change(() => void rename(name, to), async () => {
    const found = await body<Kept>(await post(place(name, "rename"), { name: to }));
    return t("taught.renamed", { name: clean(found.detector.name) });
  });
}

export function forget(name: string): Promise<void> {
  return change(() => void forget(name), async () => {
    await post(place(name, "forget"), {});
    return t("taught.forgotten", { name: clean(name) });
  });
}

/** Teach one anew for the model that is loaded, and put it in the place of the old one. */
export function refit(name: string): Promise<void> {
  working.value = t("taught.refitting", { name: clean(name) });
  say(working.value);
  return change(() => void refit(name), async () => {
    const made = await read<Lesson>(await post(place(name, "refit"), {}, undefined, { Accept: "application/x-ndjson" }));
    await post("v1/detectors", { draft: made.id, name, over: true });
    return t("taught.refitted", { name: clean(name), recall: shown(made.detector.report.recall), before: shown(made.before?.recall) });
  });
}

export function send(file: File): Promise<void> {
  return change(() => void send(file), async () => {
    const form = new FormData();
    form.set("file", file, file.name);
    const found = await body<Kept>(await ask(url("v1/detectors"), { method: "POST", body: form }));
    return t("taught.added", { name: clean(found.detector.name) });
  });
}

