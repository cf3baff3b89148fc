// Ticked sounds, and what is done with them: files, tags, favourites.
import { signal } from "@preact/signals";
import { blob, inParts, post, url } from "../api";
import { readAgain, recount } from "../finding";
import { clean } from "../list/names";
import { save } from "../parts/save";
import { clear, show, tell } from "../problems";
import { say } from "../said";
import { library } from "../server";
import { change, nameOf, sound, type Change } from "../sounds";
import { t } from "../words";

export const FAVOURITE = "favourite";
const PARCEL = 1000; // sounds that may be dragged out at once
export const ticked = signal<ReadonlySet<string>>(new Set());
export const working = signal(false);
export const done = signal(""); // what was done, as a sentence

export function tick(path: string, on = !ticked.peek().has(path)): void {
  const next = new Set(ticked.peek());
  if (on) next.add(path);
  else next.delete(path);
  ticked.value = next;
  done.value = "";
  say(t("tray.count", { count: next.size }));
}

export function tickAll(paths: readonly string[]): void {
  ticked.value = new Set([...ticked.peek(), ...paths]);
  say(t("tray.count", { count: ticked.peek().size }));
}

export function untickAll(): void {
  ticked.value = new Set();
  done.value = "";
  clear("tray");
  say(t("tray.count", { count: 0 }));
}

export function isFavourite(path: string): boolean {
  return sound(path)?.tags.includes(FAVOURITE) ?? false;
}

export async function favourite(path: string): Promise<void> {
  clear("tags");
  if (!library.peek()?.writable) return tell("tags", () => t("tray.readonly"));
  const on = !isFavourite(path);
  try {
    await change([path], on ? { add: [FAVOURITE] } : { remove: [FAVOURITE] });
    say(t(on ? "tray.favourite_on" : "tray.favourite_off", { name: clean(nameOf(path)) }));
  } catch (error) {
    show("tags", error, () => void favourite(path));
  }
}

/** Change all that is ticked, count anew, and say what was done. */
async function changeTicked(wish: Change, told: (count: number) => string): Promise<void> {
  clear("tray");
  const paths = [...ticked.peek()];
  try {
    await change(paths, wish);
    done.value = told(paths.length);
    say(done.value);
    recount();
  } catch (error) {
    show("tray", error, () => void changeTicked(wish, told));
  }
}

export function tagTicked(tag: string): void {
  void changeTicked({ add: [tag] }, (count) => t("tray.tagged", { count, tag }));
}

export function collectTicked(name: string): void {
  void changeTicked({ collect: [name] }, (count) => t("tray.collected", { count, name }));
}

/** Take what is ticked out of a collection; a list of that collection is read again. */
export async function uncollectTicked(name: string): Promise<void> {
  await changeTicked({ uncollect: [name] }, (count) => t("tray.uncollected", { count, name }));
  readAgain();
}

/** The address of the ticked sounds as one file to drag; "" where it would be too long. */
export function parcel(): string {
  const paths = [...ticked.peek()];
  return inParts(paths, PARCEL).length > 1 ? "" : url("v1/library/export", { path: paths });
}

/** Ask for the ticked sounds as one file, and save it. */
export async function exportTicked(format: "zip" | "m3u8" | "csv"): Promise<void> {
  if (working.peek()) return;
  clear("tray");
  working.value = true;
  const [paths, name] = [[...ticked.peek()], `openclap.${format}`];
  try {
    save(await blob(await post("v1/library/export", { paths, format })), name);
    done.value = t("tray.saved", { name, count: paths.length });
    say(done.value);
  } catch (error) {
    show("tray", error, () => void exportTicked(format));
  } finally {
    working.value = false;
  }
}
