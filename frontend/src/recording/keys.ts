// The keyboard in Recording. What is typed into a field, or meant for a button, a tab or a menu, is left to it.
import { state } from "../state";
import { recording } from "./recording";
import { STAGE_KEYS } from "./stage";

const OWN_KEYS = new Set([" ", "Enter"]); // of buttons

function isLeft(target: HTMLElement, key: string): boolean {
  if (target.matches("input, textarea, select, summary, [role=tab]")) return !(target.matches("[role=tab], [type=checkbox]") && "+-=0".includes(key));
  return target.matches("button, a") && OWN_KEYS.has(key);
}

export function pressedInRecording(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (state.peek().place !== "recording" || !recording.peek()) return;
  const target = event.target as HTMLElement;
  const does = STAGE_KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does || isLeft(target, event.key) || document.querySelector("dialog[open], :popover-open")) return;
  if (["Home", "End", "PageUp", "PageDown"].includes(event.key) && !target.matches(".picture")) return; // they scroll
  event.preventDefault();
  does();
}
