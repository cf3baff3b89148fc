// Ticked sounds, and what is done with them: files, tags, favourites.
import { signal } from "@preact/signals";
import { blob, post } from "../api";
import { clean } from "../list/names";
import { save } from "../parts/save";
import { clear, show, tell } from "../problems";
import { say } from "../said";
import { library } from "../server";
import { changeTags, nameOf, sound } from "../sounds";
import { t } from "../words";

export const FAVOURITE = "favourite";
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
}

export function isFavourite(path: string): boolean {
  return sound(path)?.tags.includes(FAVOURITE) ?? false;
}

export async function favourite(path: string): Promise<void> {
  clear("tags");
  if (!library.peek()?.writable) return tell("tags", () => t("tray.readonly"));
  const on = !isFavourite(path);
  try {
    await changeTags([path], on ? [FAVOURITE] : [], on ? [] : [FAVOURITE]);
    say(t(on ? "tray.favourite_on" : "tray.favourite_off", { name: clean(nameOf(path)) }));
  } catch (error) {
    show("tags", error, () => void favourite(path));
  }
}

export async function tagTicked(tag: string): Promise<void> {
  clear("tray");
  const paths = [...ticked.peek()];
  try {
    await changeTags(paths, [tag], []);
    done.value = t("tray.tagged", { count: paths.length, tag });
    say(done.value);
  } catch (error) {
    show("tray", error, () => void tagTicked(tag));
  }
}

/** Ask for the ticked sounds as one file, and save it. */
export async function exportTicked(format: "zip" | "m3u8" | "csv"): Promise<void> {
  if (working.peek()) return;
  clear("tray");
  working.value = true;
  try {
    const answer = await post("v1/library/export", { paths: [...ticked.peek()], format });
    save(await blob(answer), `openclap.${format}`);
  } catch (error) {
    show("tray", error, () => void exportTicked(format));
  } finally {
    working.value = false;
  }
}
