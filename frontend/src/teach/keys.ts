// The keyboard in Teach: answers for the sound that is asked about. What is typed into a field is left to it.
import { toggle } from "./hearing";
import { answer, candidate, skip, takeBack } from "./lesson";

const DOES: Record<string, () => void> = {
  y: () => answer(true),
  n: () => answer(false),
  s: skip,
  z: takeBack,
  " ": () => candidate.peek() && toggle(candidate.peek()!),
  "/": () => document.querySelector<HTMLElement>("#teach-name")?.focus(),
};

export function pressedInTeach(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  if (target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open], :popover-open")) return;
  if (event.key === " " && target.matches("button, a, input, summary")) return; // of the button itself
  const does = DOES[event.key.toLowerCase()];
  if (!does || event.repeat) return;
  event.preventDefault();
  does();
}
