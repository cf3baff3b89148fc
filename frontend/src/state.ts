// What the page shows, as one value that lives in the URL: a link, a bookmark and the Back button give it again.
import { computed, effect, signal, untracked } from "@preact/signals";
import { language, t } from "./words";
import { LANGUAGES } from "./strings";

export const PLACES = ["find", "recording", "live", "teach"] as const;
export const TOOLS = ["describe", "classify", "match", "moments"] as const;
export type Tool = (typeof TOOLS)[number];
export type Place = (typeof PLACES)[number];
export type Sort = "name" | "seconds" | "modified" | "folder";
export type By = "both" | "sound" | "names";

export interface State {
  place: Place;
  tool: Tool; // of Recording
  id: string; // of the recording, while the server keeps it
  of: string; // path of the sound of the library that it is
  start: string; // seconds, what is seen of it
  end: string;
  q: string;
  like: string; // path of a sound of the library
  sound: string; // name of a sound that was given; it is itself not in the URL
  by: By;
  taught: string; // a detector, or the id of a draft, that is searched with
  named: string; // of Teach: what is taught, and the words that it begins from
  words: string;
  k: number;
  without: string;
  from: string; // a journey through the library
  to: string;
  view: "list" | "map";
  sort: Sort;
  order: "asc" | "desc";
  text: string;
  folder: string;
  format: string[];
  tag: string[];
  collection: string;
  least: string; // seconds, as they are written
  most: string;
  sure: boolean;
  source: "microphone" | "recording"; // of Live
  alerts: string;
  detector: string[];
  unusual: boolean;
  on: string; // least confidence, as it is written
  warmup: string; // seconds
}

export const FRESH: State = {
  place: "find", tool: "describe", id: "", of: "", start: "", end: "", q: "", like: "", sound: "", taught: "", named: "", words: "", by: "both", k: 50, without: "", from: "", to: "", view: "list",
  sort: "name", order: "asc", text: "", folder: "", format: [], tag: [], collection: "", least: "", most: "", sure: false,
  source: "microphone", alerts: "", detector: [], unusual: false, on: "", warmup: "",
};
const ALLOWED: { [name: string]: readonly (string | number)[] } = {
  place: PLACES, tool: TOOLS, by: ["both", "sound", "names"], view: ["list", "map"], order: ["asc", "desc"],
  source: ["microphone", "recording"], sort: ["name", "seconds", "modified", "folder"], k: [20, 50, 100, 200, 500],
};

function read(search: string): State {
  const url = new URLSearchParams(search);
  const state: Record<string, unknown> = {};
  for (const [name, fresh] of Object.entries(FRESH)) {
    const text = url.get(name);
    const value = Array.isArray(fresh) ? url.getAll(name)
      : text === null ? fresh
      : typeof fresh === "boolean" ? text === "1"
      : typeof fresh === "number" ? Number(text) : text;
    state[name] = ALLOWED[name] && !ALLOWED[name].includes(value as string) ? fresh : value;
  }
  return state as unknown as State;
}

/** The address of a state, relative to the page. */
export function address(state: State): string {
  const url = new URLSearchParams();
  for (const [name, fresh] of Object.entries(FRESH)) {
    const value = state[name as keyof State];
    if (Array.isArray(value)) value.forEach((one) => url.append(name, one));
    else if (value !== fresh) url.set(name, value === true ? "1" : String(value));
  }
  url.set("lang", language.value);
  return `?${url}`;
}

export const state = signal<State>(read(location.search));

/** Where the list was, for the Back button. */
export const whereabouts = { row: () => 0, back: 0 };
const rowOf = new Map<string, number>();

function write(url: string, push: boolean): void {
  try {
    history[push ? "pushState" : "replaceState"](null, "", url);
  } catch {
    // some browsers refuse a hundred changes in half a minute; the state is right all the same
  }
}

/** Change the state. `push` makes it a step of the Back button; typing and toggles replace the present one. */
export function go(change: Partial<State>, push = true): void {
  const next = { ...untracked(() => state.value), ...change };
  const url = address(next);
  if (push) rowOf.set(location.search, whereabouts.row());
  if (url !== location.search) write(url, push);
  state.value = next;
}

addEventListener("popstate", () => {
  whereabouts.back = rowOf.get(location.search) ?? 0;
  const named = new URLSearchParams(location.search).get("lang");
  language.value = LANGUAGES.find((one) => one === named) ?? language.value;
  state.value = read(location.search);
});
effect(() => {
  language.value;
  write(address(untracked(() => state.value)), false);
});

/** Is something looked for, is a walk shown, or is it the library as it is? */
export const mode = computed<"library" | "search" | "walk">(() => {
  const { q, like, sound, taught, from, to } = state.value;
  return from && to ? "walk" : q.trim() || like || sound || taught ? "search" : "library";
});

export const filtered = computed(() => {
  const { text, folder, format, tag, collection, least, most, sure } = state.value;
  return Boolean(text || folder || format.length || tag.length || collection || least || most || sure);
});

effect(() => {
  const { q, place } = state.value;
  document.title = [place === "find" ? q : t(`place.${place}`), "openclap"].filter(Boolean).join(" – ");
});

export const UNFILTERED: Partial<State> = {
  text: "", folder: "", format: [], tag: [], collection: "", least: "", most: "", sure: false,
};
