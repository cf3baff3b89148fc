// The keyboard in Live. What is typed into a field, or meant for a button or a menu, is left to it.
import { toggle } from "./live";

const KEYS: Record<string, () => void> = {
  l: toggle,
  "/": () => document.querySelector<HTMLElement>("#live-alerts")?.focus(),
};

export function pressedInLive(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  const does = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const isField = target.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
  if (!does || isField || document.querySelector("dialog[open], :popover-open")) return;
  event.preventDefault();
  does();
}
