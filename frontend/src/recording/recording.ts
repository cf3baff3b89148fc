// The recording that is asked about: uploaded, or a sound of the library, and kept by the server under an id.
import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { get, isAbort, post, Problem, body, refusal, url } from "../api";
import { clean } from "../list/names";
import { clear, show } from "../problems";
import { say } from "../said";
import { checkSize } from "../sizes";
import { nameOf } from "../sounds";
import { go, state } from "../state";
import { language, t } from "../words";

export interface Track { index: number; title: string; language: string }
export interface Recording { id: string; name: string; seconds: number; tracks: Track[]; silent: boolean }
export interface Coming { name: string; share: number | null } // null: all was sent, the server reads it

export const recording = signal<Recording | null>(null);
export const coming = signal<Coming | null>(null);
export const gone = signal(false); // the server does not keep it any more
export const track = signal(0); // that is heard; 0: the server chooses

let own: File | null = null; // what was uploaded, to be sent again when the server has forgotten it
let source = ""; // path in the library of the recording that is here
let request: AbortController | null = null;
let waiting: (() => void) | null = null; // a question that was asked before there was a recording

export function stopComing(): void {
  request?.abort();
}

/** Do it with the recording that is here, or with the next one. */
export function withRecording(does: () => void): boolean {
  waiting = recording.peek() ? null : does;
  if (recording.peek()) does();
  return !waiting;
}

/** Show a sound of the library here. */
export function openSound(path: string, from = 0): void {
  const start = from > 0 ? String(from) : "";
  go({ place: "recording", id: "", of: path, start, end: "" });
}

/** Send a file, once. */
export async function upload(file: File): Promise<void> {
  await come(file.name, () => void upload(file), async (signal) => {
    const found = await send(file, signal);
    own = file;
    take(found, "", "", "");
  });
}

/** Send what was uploaded before once more; false: this browser has not kept it either. */
export function uploadAgain(): boolean {
  if (own) void upload(own);
  return Boolean(own);
}

export function canUploadAgain(): boolean {
  return own !== null;
}

async function openPath(path: string): Promise<void> {
  await come(nameOf(path), () => void openPath(path), async (signal) => {
    const found = await body<Recording>(await post("v1/recordings", { path }, signal));
    own = null;
    take(found, path, state.peek().start, state.peek().end);
  });
}

async function read(id: string, of: string): Promise<void> {
  await come(of ? nameOf(of) : "", () => void read(id, of), async (signal) => {
    try {
      take(await get<Recording>(`v1/recordings/${encodeURIComponent(id)}`, {}, signal), of, state.peek().start, state.peek().end);
    } catch (error) {
      if (!isLost(error)) throw error;
      lose(of);
    }
  });
}

export function isLost(error: unknown): boolean {
  return error instanceof Problem && (error.status === 404 || error.status === 410);
}

/** The server has forgotten it: a sound of the library is opened anew, any other must be uploaded again. */
export function lose(of = source): void {
  batch(() => {
    recording.value = null;
    if (of) return go({ id: "", of }, false);
    gone.value = true;
    say(t("recording.gone"));
  });
}

async function come(name: string, again: () => void, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  request?.abort();
  const mine = (request = new AbortController());
  clear("recording");
  batch(() => {
    gone.value = false;
    coming.value = { name, share: null };
  });
  try {
    await work(mine.signal);
  } catch (error) {
    show("recording", error, again);
    if (isAbort(error) && request === mine) go({ of: source, id: recording.peek()?.id ?? "" }, false);
  } finally {
    if (request === mine) coming.value = null;
  }
}

function take(found: Recording, of: string, start: string, end: string): void {
  source = of;
  batch(() => {
    track.value = 0;
    recording.value = found;
    coming.value = null;
    const same = state.peek().id === found.id || (of && state.peek().of === of);
    go({ place: "recording", id: found.id, of, start, end }, !same);
  });
  say(t("recording.here", { name: clean(found.name) }));
  const does = waiting;
  waiting = null;
  does?.();
}

/** Upload with word of how far it is, which `fetch` does not give. */
function send(file: File, signal: AbortSignal): Promise<Recording> {
  checkSize(file, "recording");
  const form = new FormData();
  form.set("file", file, file.name);
  const call = new XMLHttpRequest();
  return new Promise((done, failed) => {
    call.open("POST", url("v1/recordings"));
    call.setRequestHeader("Accept-Language", language.peek());
    call.responseType = "json";
    call.upload.onprogress = ({ loaded, total }) => {
      if (!signal.aborted) coming.value = { name: file.name, share: loaded < total ? loaded / total : null };
    };
    call.onload = () => (call.status < 300 ? done(call.response as Recording) : failed(refusal(call.status, call.statusText, call.response)));
    call.onerror = () => failed(new Problem("", true));
    call.onabort = () => failed(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => call.abort());
    call.send(form);
  });
}

/** Begin to follow the address. Called once. */
export function followRecording(): void {
  const wanted = computed(() => JSON.stringify([state.value.place === "recording", state.value.id, state.value.of]));
  effect(() => {
    const [here, id, of] = JSON.parse(wanted.value) as [boolean, string, string];
    if (here) untracked(() => settle(id, of));
  });
}

function settle(id: string, of: string): void {
  const here = recording.peek();
  if (here && (id === here.id || (!id && of === source))) {
    if (!id) go({ id: here.id, of: source }, false); // come back by a link that names none
  } else if (id) void read(id, of);
  else if (of) void openPath(of);
  else if (here) go({ id: here.id, of: source }, false);
}
