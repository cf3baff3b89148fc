// Sounds of the library as examples: marked in a list of hits, or ticked.
import type { Hit } from "../api";
import { nameOf } from "../sounds";
import { add, examples, remove, turn } from "./lesson";
import type { Example } from "./types";

/** How an example of a hit, or of a whole file, is called. */
export function exampleOf(path: string, yes: boolean, hit?: Hit): Example {
  return { path, name: nameOf(path), yes, ...(hit ? { start: hit.start, end: hit.end } : {}) };
}

export function markOf(path: string): boolean | undefined {
  return examples.value.find((one) => one.path === path)?.yes;
}

/** Say of a sound of the library that it is it, or not; the same again takes it back. */
export function mark(path: string, yes: boolean, hit?: Hit): void {
  const there = examples.peek().find((one) => one.path === path);
  if (there?.yes === yes) remove(there);
  else if (there) turn(there);
  else add([exampleOf(path, yes, hit)]);
}
