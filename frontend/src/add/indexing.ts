// Sounds are added: a folder of the server, or files that are sent to it in parcels. How far it is, and Stop.
import { signal } from "@preact/signals";
import { ask, isAbort, post, Problem, url } from "../api";
import { readAgain } from "../finding";
import { lines } from "../lines";
import { clear, show } from "../problems";
import { say } from "../said";
import { readLibrary } from "../server";
import { checkSize } from "../sizes";
import { t } from "../words";
import type { Given } from "./dropped";

interface Failure { path: string; error: string }
interface Report { added: number; updated: number; unchanged: number; failed: Failure[] }
type Line = Partial<{ done: number; total: number; error: { message: string } } & Report>;

const PARCEL = 16 * 1024 * 1024; // bytes sent at once
const MOST = 32; // files sent at once

export const step = signal<{ done: number; total: number } | null>(null); // null: nothing is being added
export const report = signal<(Report & { stopped: boolean }) | null>(null);
export const waiting = signal<Given[]>([]); // dropped, and not yet sent

let request: AbortController | null = null;

export function stop(): void {
  request?.abort();
}

export function addFolder(folder: string): Promise<void> {
  return run(() => addFolder(folder), async (signal, sum) => {
    const answer = await post("v1/library/index", { folder }, signal);
    merge(sum, await follow(answer, (done, total) => (step.value = { done, total })));
  });
}

export function addFiles(given: Given[]): Promise<void> {
  waiting.value = [];
  return run(() => addFiles(given), async (signal, sum) => {
    let sent = 0;
    step.value = { done: 0, total: given.length };
    for (const parcel of parcels(given.filter(({ file, name }) => fits(file, name, sum)))) {
      const form = new FormData();
      for (const { file, name } of parcel) form.append("files", file, name);
      const answer = await ask(url("v1/library/index"), { method: "POST", body: form, signal });
      const before = sent;
      merge(sum, await follow(answer, (done) => (step.value = { done: before + done, total: given.length })));
      sent += parcel.length;
      step.value = { done: sent, total: given.length };
    }
  });
}

/** A file that the server would refuse is not sent, and told as one that could not be used; the others are added. */
function fits(file: File, name: string, sum: Report): boolean {
  try {
    checkSize({ name, size: file.size }, "file");
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    sum.failed.push({ path: name, error: error.said?.() ?? error.message });
    return false;
  }
}

function parcels(given: Given[]): Given[][] {
  const all: Given[][] = [[]];
  let bytes = 0;
  for (const one of given) {
    if (all.at(-1)!.length && (bytes + one.file.size > PARCEL || all.at(-1)!.length >= MOST)) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1)!.push(one);
    bytes += one.file.size;
  }
  return all.filter((parcel) => parcel.length);
}

async function run(again: () => void, work: (signal: AbortSignal, sum: Report) => Promise<void>): Promise<void> {
  if (request) return;
  clear("add");
  request = new AbortController();
  const sum: Report = { added: 0, updated: 0, unchanged: 0, failed: [] };
  let stopped = false;
  report.value = null;
  step.value = { done: 0, total: 0 };
  try {
    await work(request.signal, sum);
  } catch (error) {
    stopped = isAbort(error);
    show("add", error, again);
    if (!stopped) return;
  } finally {
    request = null;
    step.value = null;
    await readLibrary();
    readAgain();
  }
  report.value = { ...sum, stopped };
  say(stopped ? t("add.stopped") : reportText(sum));
}

export function reportText(sum: Report): string {
  return t("add.done", { added: sum.added, updated: sum.updated, unchanged: sum.unchanged, failed: sum.failed.length });
}

function merge(sum: Report, more: Line): void {
  for (const name of ["added", "updated", "unchanged"] as const) sum[name] += more[name] ?? 0;
  sum.failed.push(...(more.failed ?? []));
}

/** Read an answer line by line; the last one is the report. */
async function follow(answer: Response, progress: (done: number, total: number) => void): Promise<Line> {
  let last: Line = {};
  for await (const line of lines<Line>(answer)) {
    last = line;
    if (line.done !== undefined) progress(line.done, line.total ?? 0);
  }
  return last;
}
