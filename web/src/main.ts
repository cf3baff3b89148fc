// The page: a folder is picked, listened to, and searched by words.
import { dropped, filesOf, KINDS, walk, type Picked } from "./folder";
import { index, type Heard, type Report } from "./indexing";
import { Model } from "./model";
import type { Loaded } from "./protocol";
import { make, show } from "./results";
import { search } from "./search";
import { MOST_MINUTES } from "./sound";
import { Store } from "./store";
import { label, showTheme, speak, turnLanguage, type Key, type Values } from "./strings";

const MOST_HITS = 50;
const MOST_BAD = 200; // names that are listed

const find = <E extends HTMLElement>(id: string) => document.querySelector<E>(`#${id}`)!;
const tell = (id: string, key: Key | "", values?: Values) => label(find(id), key, values);
const input = find<HTMLInputElement>("folder-input");
const filesInput = find<HTMLInputElement>("files-input");

const recordings = new Map<string, Heard>(); // by path
let stopping: AbortController | null = null;

// -- the model -----------------------------------------------------------------------------------

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
const model = new Model((done, all) => {
  if (done < all) tell("model", "model.loading", { done: megabytes(done), all: megabytes(all) });
  else tell("model", "model.starting");
});
const ready = Promise.all([model.load(), stayOffline()]).then(async ([loaded, offline]) => {
  tell("model", offline ? "model.offline" : "model.ready", { model: loaded.manifest.model });
  const store = await Store.open(loaded.manifest.fingerprint);
  const folders = await store.folders();
  find("again").replaceChildren(...folders.map(buttonOf));
  find("forget").hidden = false;
  return { ...loaded, store };
});
ready.catch((error: Error) => tell("model", "model.failed", { why: error.message }));

/** Have the page kept by a service worker; whether that is so. */
async function stayOffline(): Promise<boolean> {
  try {
    await navigator.serviceWorker.register("offline.js");
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false; // by http://, or forbidden
  }
}

// -- choosing sounds -----------------------------------------------------------------------------

function buttonOf(folder: FileSystemDirectoryHandle): HTMLElement {
  const button = make("button", "chip");
  label(button, "pick.again", { name: folder.name });
  button.addEventListener("click", () => void openFolder(folder));
  return button;
}

type Picker = { showDirectoryPicker?: (options: { id: string }) => Promise<FileSystemDirectoryHandle> };
type Asking = { requestPermission?: (how: { mode: "read" }) => Promise<PermissionState> };

async function pickFolder(): Promise<void> {
  const pick = (window as Picker).showDirectoryPicker;
  if (!pick) return input.click();
  const folder = await pick.call(window, { id: "openclap" }).catch((error: DOMException) => {
    if (error.name !== "AbortError") tell("state", "pick.refused");
    return null;
  });
  if (folder) await openFolder(folder);
}

async function openFolder(folder: FileSystemDirectoryHandle): Promise<void> {
  try {
    if ((await (folder as Asking).requestPermission?.({ mode: "read" })) === "denied") throw new Error("denied");
    await listen(await walk(folder));
    await (await ready).store.keepFolder(folder);
  } catch {
    tell("state", "pick.refused");
  }
}

function take(from: HTMLInputElement): void {
  const files = filesOf(from.files ?? []);
  from.value = ""; // so that the same folder can be chosen again
  void listen(files);
}

// -- listening -----------------------------------------------------------------------------------

async function listen(files: Picked[]): Promise<void> {
  stopping?.abort();
  if (!files.length) return tell("state", "pick.none", { kinds: KINDS.join(", ") });
  const stop = (stopping = new AbortController());
  find("working").hidden = false;
  tell("doing", "index.waiting");
  tell("state", "");
  try {
    const { manifest, store } = await ready;
    void navigator.storage?.persist?.();
    const heard = (one: Heard) => recordings.set(one.recording.path, one);
    const progress = (done: number, report: Report) => {
      find<HTMLProgressElement>("progress").value = done / files.length;
      tell("doing", "index.doing", { done: Math.floor(done), all: files.length });
      showBad(report);
    };
    const report = await index(files, { model, store, manifest }, heard, progress, stop.signal);
    if (stop !== stopping) return; // another folder was chosen meanwhile
    const values = { count: recordings.size, known: report.known, silent: report.silent };
    tell("state", stop.signal.aborted ? "index.stopped" : "index.done", values);
  } catch (error) {
    tell("state", "index.broken", { why: (error as Error).message });
  }
  find("working").hidden = true;
}

let listed = 0;

function showBad({ bad, full }: Report): void {
  tell("full", full ? "index.full" : "");
  if (bad.length === listed) return;
  if (bad.length < listed) find("bad-list").replaceChildren();
  const news = bad.slice(bad.length < listed ? 0 : listed, MOST_BAD);
  listed = bad.length;
  find("bad").hidden = !listed;
  tell("bad-count", "index.bad", { count: listed });
  find("bad-list").append(
    ...news.map(({ path, fault }) => {
      const why = make("span", "soft");
      label(why, fault, { minutes: MOST_MINUTES });
      const item = make("li");
      item.append(make("bdi", "", path), " ", why);
      return item;
    }),
  );
}

async function forget(): Promise<void> {
  stopping?.abort();
  await (await ready).store.forget().catch(() => undefined);
  recordings.clear();
  show([]);
  find("again").replaceChildren();
  ["told", "unknown", "english"].forEach((id) => tell(id, ""));
  tell("state", "index.forgotten");
}

// -- searching -----------------------------------------------------------------------------------

async function ask(): Promise<void> {
  const query = find<HTMLInputElement>("query").value.trim();
  if (!query) return;
  let loaded: Loaded;
  try {
    loaded = await ready;
  } catch {
    return; // said where the model is
  }
  const [words] = await model.embedTexts([query]);
  const hits = search(recordings.values(), words!, loaded.confidence, MOST_HITS);
  tell("unknown", words!.unknown.length ? "search.unknown" : "", { words: words!.unknown.join(", ") });
  tell("english", words!.english !== query && !words!.nothing ? "search.english" : "", { words: words!.english });
  const none = hits.length > 0 && hits.every(({ verdict }) => verdict === "unlikely");
  tell("told", !hits.length ? "search.none" : none ? "search.unlikely" : "search.found", { count: hits.length });
  find("found").hidden = false;
  show(hits);
}

// -- events --------------------------------------------------------------------------------------

find("folder").addEventListener("click", () => void pickFolder());
find("files").addEventListener("click", () => filesInput.click());
for (const one of [input, filesInput]) one.addEventListener("change", () => take(one));
find("stop").addEventListener("click", () => stopping?.abort());
find("forget").addEventListener("click", () => void forget());
find("language").addEventListener("click", turnLanguage);
find("theme").addEventListener("click", () => showTheme(true));
find("search").addEventListener("submit", (event) => {
  event.preventDefault();
  void ask();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  find("sounds").classList.add("over");
});
document.addEventListener("dragleave", () => find("sounds").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  find("sounds").classList.remove("over");
  if (event.dataTransfer) void dropped(event.dataTransfer).then(listen, () => tell("state", "pick.refused"));
});
showTheme();
speak();
