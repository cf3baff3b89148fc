// The public HTTP API of the server, and nothing of the page. Addresses are relative: a proxy may serve it below a prefix.
import { language } from "./words";

export interface Sound {
  path: string;
  name: string;
  folder: string;
  seconds: number;
  format: string;
  tags: string[];
  collections: string[];
  modified: number;
  playable: boolean;
  why: string | null;
}
export interface Hit {
  path: string;
  start: number;
  end: number;
  score: number;
  confidence?: number | null;
  relevance?: number | null;
  named?: string[] | null;
  unlikely?: boolean;
  silent?: boolean; // nothing is heard in it
}
export interface Unknown { word: string; nearest: string | string[] | null }
export interface Understood { text: string; english: string }
export interface Found { hits: Hit[]; left_out?: number; unknown?: Unknown[]; understood?: Understood[]; nothing_likely?: boolean }
export interface Count { value: string; count: number }
export interface Facets { folders: Count[]; formats: Count[]; tags: Count[]; collections: Count[] }
export interface Library { files: number; writable: boolean; roots: string[] }
export interface Page {
  model: { name: string; state: "ready" | "loading" | "none"; error?: string };
  models: string[]; // that may be loaded
  manage?: boolean; // may this visitor load one? Servers that do not say so let the list decide
  most_bytes?: { recording: number; file: number; body: number }; // of an upload to Recording, into the library, with a search
  any_model?: boolean; // also one that is not in the list: a Hub id, a file of the server
}
export interface MapPoint { path: string; x: number; y: number; cluster: number }
export interface Cluster { id: number; name: string; names?: Record<string, string>; x: number; y: number; count: number }
export type Params = Record<string, string | number | readonly string[] | undefined>;

/** What went wrong, as one sentence; `lost`: no answer came at all; that, and what is `said`, the page says in its own language. */
export class Problem extends Error {
  constructor(message: string, readonly lost = false, readonly status = 0, readonly said?: () => string) {
    super(message);
  }
}

export function url(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (Array.isArray(value)) value.forEach((one) => query.append(name, one));
    else if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return new URL(text ? `${path}?${text}` : path, document.baseURI).href;
}

/** Ask; any answer that is no success becomes a Problem. An abort stays an AbortError. */
export async function ask(address: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, { ...init, headers: { "Accept-Language": language.value, ...init.headers } });
  } catch (error) {
    throw isAbort(error) ? error : new Problem("", true);
  }
  if (!answer.ok) {
    throw refusal(answer.status, answer.statusText, await answer.json().catch(() => null));
  }
  return answer;
}

/** What an answer says that is no success. */
export function refusal(status: number, text: string, body: unknown): Problem {
  const said = (body as { error?: { message?: string } } | null)?.error?.message;
  return new Problem(said ?? `${status} ${text}`, false, status);
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<T> {
  return body<T>(await ask(url(path, params), { signal }));
}

export function post(path: string, data: unknown, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<Response> {
  return ask(url(path), {
    method: "POST", signal, body: JSON.stringify(data), headers: { "Content-Type": "application/json", ...headers },
  });
}

/** What an answer holds; one that breaks off is a lost connection. */
async function whole<T>(coming: Promise<T>): Promise<T> {
  try {
    return await coming;
  } catch (error) {
    throw isAbort(error) ? error : new Problem("", true);
  }
}

export function body<T>(answer: Response): Promise<T> {
  return whole(answer.json() as Promise<T>);
}

export function blob(answer: Response): Promise<Blob> {
  return whole(answer.blob());
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The file of a sound; `wav`: decoded, for browsers that do not play its format. */
export function audioUrl(path: string, wav = false, download = false): string {
  return url("v1/library/audio", { path, as: wav ? "wav" : undefined, download: download ? "true" : undefined });
}

/** Split names into requests that stay short: few names, and a short address. */
export function inParts(paths: readonly string[], most = 100, characters = 12_000): string[][] {
  const parts: string[][] = [];
  let part: string[] = [];
  let length = 0;
  for (const path of paths) {
    const cost = encodeURIComponent(path).length + 6;
    if (part.length && (part.length >= most || length + cost > characters)) {
      parts.push(part);
      [part, length] = [[], 0];
    }
    part.push(path);
    length += cost;
  }
  if (part.length) parts.push(part);
  return parts;
}
