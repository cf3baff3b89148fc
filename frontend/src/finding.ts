// From the state of the page to the rows that are shown: the library with its filters, the hits of a search, or a walk.
import { computed, effect, signal, untracked } from "@preact/signals";
import { ask, body, get, post, url, type Facets, type Found, type Hit, type Params } from "./api";
import { remember } from "./query/history";
import { clear, show, tell } from "./problems";
import { LibraryRows, WholeRows, type Row, type Rows } from "./rows";
import { say } from "./said";
import { library, page, readPage } from "./server";
import { checkSize } from "./sizes";
import { lookUp, nameOf } from "./sounds";
import { mode, state } from "./state";
import { t } from "./words";

export interface Results extends Found { busy: boolean; asked: string }

export const ownSound = signal<File | null>(null); // the sound that was given to search by
export const results = signal<Results | null>(null);
export const libraryRows = signal<LibraryRows | null>(null); // those that are shown; newer ones may be on their way
export const facets = signal<Facets | null>(null);
const anew = signal(0);

export const filters = computed<Params>(() => {
  const { text, folder, format, tag, collection, least, most } = state.value;
  return { text: text.trim(), folder, format, tag, collection, min_seconds: least, max_seconds: most };
});
const listing = computed(() => JSON.stringify([filters.value, state.value.sort, state.value.order, anew.value]));
const asking = computed(() => {
  const { q, like, sound, taught, by, k, without, from, to } = state.value;
  const wish = mode.value === "walk" ? { from, to } : { q: q.trim(), like, sound, taught, by, k, without, given: sound && ownSound.value?.size };
  return JSON.stringify([mode.value, wish, mode.value === "search" ? { ...filters.value, text: "" } : 0, anew.value]);
});

/** Read everything again: after sounds were added, or when the user tries again. */
export function readAgain(): void {
  anew.value++;
}

/** Count again what files have: tags or collections were changed. */
export function recount(): void {
  void count();
}

export type Verdict = "sure" | "maybe" | "unlikely";

/** The number by which hits are ordered, as far as it is a share, and the word for it. */
export function judge(hit: Hit): { value: number; verdict: Verdict } {
  const value = Math.max(0, Math.min(1, hit.relevance ?? hit.confidence ?? hit.score));
  return { value, verdict: hit.unlikely || hit.silent ? "unlikely" : value >= 0.7 ? "sure" : "maybe" };
}

/** What passes the filters that are the page's own: words of the name as they are typed, and "only sure ones". */
function passes(hit: Hit, words: string[], sure: boolean): boolean {
  const path = hit.path.toLowerCase();
  return (!sure || judge(hit).verdict === "sure") && words.every((word) => path.includes(word));
}

const hits = computed(() => results.value?.hits); // the same ones while others are on their way

export const shownHits = computed<Hit[]>(() => {
  if (mode.value === "walk") return hits.value ?? [];
  const words = state.value.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (hits.value ?? []).filter((hit) => passes(hit, words, state.value.sure));
});

export const rows = computed<Rows | null>(() => {
  if (mode.value === "library") return libraryRows.value;
  if (!hits.value) return null;
  const shown: Row[] = shownHits.value.map((hit) => ({ path: hit.path, hit }));
  const line = mode.value === "walk" ? -1 : shown.findIndex(({ hit }) => hit?.unlikely);
  if (line > 0) shown.splice(line, 0, { path: "", line: true });
  return new WholeRows(shown);
});

/** Begin to follow the state. Called once. */
export function follow(): void {
  let typing = 0;
  let listed = "";
  effect(() => {
    const wanted = listing.value;
    if (mode.value !== "library" || (wanted === listed && libraryRows.peek())) return;
    listed = wanted;
    clearTimeout(typing);
    typing = setTimeout(() => untracked(list), libraryRows.peek() ? 50 : 0);
  });
  effect(() => {
    asking.value;
    untracked(search);
  });
  let counting = 0;
  effect(() => {
    const wanted = JSON.stringify([filters.value, anew.value]);
    clearTimeout(counting);
    counting = setTimeout(() => wanted && void count(), 200);
  });
}

let coming: LibraryRows | null = null;

/** Ask for the library; the rows before stay until the first new ones are there, so nothing flickers. */
function list(): void {
  if (coming !== libraryRows.peek()) coming?.end();
  const { sort, order } = state.value;
  const next = (coming = new LibraryRows({ ...filters.value, sort, order }));
  void next.load(0);
  const stop = next.ready.subscribe((ready) => {
    if (!ready || coming !== next) return;
    queueMicrotask(() => stop());
    libraryRows.peek()?.end();
    libraryRows.value = next;
    if (state.peek().place === "find") say(t("list.files", { count: next.total }));
  });
}

let searching: AbortController | null = null;

function search(): void {
  searching?.abort();
  clear("search");
  if (mode.value === "library") {
    results.value = null;
    return;
  }
  const { sound } = state.value;
  if (mode.value === "search" && sound && ownSound.value?.name !== sound) {
    results.value = null;
    return tell("search", () => t("query.gone_sound"));
  }
  searching = new AbortController();
  void answer(searching.signal);
}

async function answer(signal: AbortSignal): Promise<void> {
  const { q, like, from, to } = state.value;
  results.value = { hits: [], ...results.value, busy: true, asked: q || nameOf(like) };
  say(t("list.searching"));
  try {
    const found = mode.value === "walk"
      ? { hits: (await body<{ steps: Hit[] }>(await post("v1/journey", { from, to, n: 12 }, signal))).steps }
      : await body<Found>(await request(signal));
    results.value = { ...found, busy: false, asked: q || nameOf(like) };
    if (q.trim() && mode.value === "search") remember(q.trim());
    const nothing = found.nothing_likely && found.hits.length ? ` ${t("list.nothing_likely")}` : "";
    say(t("list.found", { count: shownHits.value.length }) + nothing);
    if (page.peek()?.model.state !== "ready") void readPage(); // a search loads the model
    void lookUp(found.hits.map(({ path }) => path), signal);
  } catch (error) {
    if (!signal.aborted) results.value = null;
    show("search", error, readAgain);
  }
}

async function request(signal: AbortSignal): Promise<Response> {
  const { q, like, taught, by, k, without, folder, format, tag, collection, least, most } = state.value;
  const given = ownSound.value && state.value.sound ? ownSound.value : null;
  const wish: Record<string, unknown> = { k };
  if (q.trim()) Object.assign(wish, { query: q.trim(), by });
  if (like) wish.like = like;
  if (taught) wish.detector = taught;
  const unwanted = without.split(/[,，、]/).map((one) => one.trim()).filter(Boolean);
  if (unwanted.length) wish.without = unwanted;
  if (folder) wish.within = [folder];
  if (format.length) wish.format = format;
  if (tag.length) wish.tags = tag;
  if (collection) wish.collections = [collection];
  if (least) wish.min_seconds = Number(least);
  if (most) wish.max_seconds = Number(most);
  if (!given) return post("v1/search", wish, signal);
  checkSize(given, "body");
  const form = new FormData();
  form.set("audio", given, given.name);
  for (const [name, value] of Object.entries(wish)) for (const one of [value].flat()) form.append(name, String(one));
  return ask(url("v1/search"), { method: "POST", body: form, signal });
}

let counting: AbortController | null = null;

async function count(): Promise<void> {
  counting?.abort();
  counting = new AbortController();
  clear("facets");
  if (library.peek()?.files === 0) return;
  try {
    facets.value = await get<Facets>("v1/library/facets", filters.value, counting.signal);
  } catch (error) {
    show("facets", error, () => void count());
  }
}

