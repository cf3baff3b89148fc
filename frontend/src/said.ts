// What a screen reader is told: one polite live region for results and states.
import { signal } from "@preact/signals";

export const said = signal("");
let timer = 0;

/** Tell; what follows at once replaces it, so that nobody is told what is over. */
export function say(text: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => (said.value = said.peek() === text ? `${text}\u00a0` : text), 150);
}
