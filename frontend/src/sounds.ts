// What is known of sounds, by path: shared by the list, the player, the map and the tray. Rows that come in pages leave
// it again (`forget`), so that a library of a million does not fill the browser.
import { signal } from "@preact/signals";
import { get, inParts, isAbort, post, type Sound } from "./api";

const known = new Map<string, Sound>();
const MOST = 20_000;
export const version = signal(0); // grows when something is learnt

export function learn(sounds: readonly Sound[]): void {
  for (const sound of sounds) {
    known.delete(sound.path); // last in, last out
    known.set(sound.path, sound);
  }
  for (const path of known.keys()) {
    if (known.size <= MOST) break;
    known.delete(path);
  }
  version.value++;
}

export function sound(path: string): Sound | undefined {
  return known.get(path);
}

/** Name and folder are in the path, so a row has something to show before the server has told the rest. */
export function nameOf(path: string): string {
  return known.get(path)?.name ?? path.slice(path.lastIndexOf("/") + 1);
}

export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

const asked = new Set<string>();

/** Ask for what is not known yet of some sounds. */
export async function lookUp(paths: readonly string[], signal?: AbortSignal): Promise<void> {
  const missing = paths.filter((path) => !known.has(path) && !asked.has(path));
  missing.forEach((path) => asked.add(path));
  try {
    for (const part of inParts(missing)) {
      learn((await get<{ files: Sound[] }>("v1/library/files", { path: part, limit: part.length }, signal)).files);
    }
  } catch (error) {
    if (!isAbort(error)) console.warn(error); // a row without its length is still a row
  } finally {
    missing.forEach((path) => asked.delete(path));
  }
}

export interface Change { add?: string[]; remove?: string[]; collect?: string[]; uncollect?: string[] }

function changed(had: string[], add: string[] = [], remove: string[] = []): string[] {
  return [...new Set([...had.filter((one) => !remove.includes(one)), ...add])];
}

/** Change tags and collections; shown at once, and taken back if the server says no. */
export async function change(paths: string[], wish: Change): Promise<number> {
  const before = new Map(paths.flatMap((path) => (known.has(path) ? [[path, known.get(path)!] as const] : [])));
  for (const [path, one] of before) {
    known.set(path, {
      ...one, tags: changed(one.tags, wish.add, wish.remove), collections: changed(one.collections ?? [], wish.collect, wish.uncollect),
    });
  }
  version.value++;
  try {
    const answer = await post("v1/library/tags", { paths, ...wish });
    return ((await answer.json()) as { changed: number }).changed;
  } catch (error) {
    for (const [path, one] of before) known.set(path, one);
    version.value++;
    throw error;
  }
}
