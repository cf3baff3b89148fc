// The keyboard. What is typed into a field, or meant for a button, a menu or a dialog, is left to it.
import { rows } from "./finding";
import { helping } from "./help";
import { active, focusRow, inList, scroller } from "./list/list";
import { moreLike } from "./list/row";
import { audition, current, length, loop, now, play, seek, setLoop, toggle } from "./player/audio";
import { focusQuery } from "./query/query";
import { pressedInLive } from "./live/keys";
import { pressedInRecording } from "./recording/keys";
import { pressedInTeach } from "./teach/keys";
import { openSound } from "./recording/recording";
import { state } from "./state";
import { favourite, tick } from "./tray/ticks";

function row(): { path: string; from: number } | null {
  const here = rows.peek()?.at(active.peek());
  return here?.path ? { path: here.path, from: here.hit?.start ?? 0 } : null;
}

/** Go to a row; where that is wished, hear it. */
function move(to: number): void {
  const all = rows.peek();
  if (!all) return;
  const next = Math.max(0, Math.min(to, all.total - 1));
  const over = all.at(next)?.line ? next + Math.sign(to - active.peek() || 1) : next; // the line is no sound
  focusRow(over);
  const reached = row();
  if (audition.peek() && reached) play(reached.path, reached.from);
}

function step(by: number): void {
  const all = length.peek();
  if (current.peek()) seek(now.peek() + by * Math.max(0.1, Math.min(5, all / 10)));
}

const IN_LIST: Record<string, () => void> = {
  ArrowDown: () => move(active.peek() + 1),
  ArrowUp: () => (active.peek() === 0 ? focusHead() : move(active.peek() - 1)),
  PageDown: () => move(active.peek() + scroller.page),
  PageUp: () => move(active.peek() - scroller.page),
  Home: () => move(0),
  End: () => move(Number.MAX_SAFE_INTEGER),
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  Enter: () => row() && moreLike(row()!.path),
  " ": () => row() && toggle(row()!.path, row()!.from),
};
const ANYWHERE: Record<string, () => void> = {
  "/": focusQuery,
  f: () => withSound((path) => void favourite(path)),
  o: () => withSound(openSound),
  r: () => withSound(openSound),
  x: () => withSound((path) => tick(path)),
  l: () => setLoop(!loop.peek()),
  Escape: focusQuery,
};
const NOWHERE: Record<string, () => void> = { // nothing in particular has the focus
  ArrowDown: () => focusRow(active.peek()),
  ArrowUp: () => focusRow(active.peek()),
  " ": () => toggle(),
};

function withSound(does: (path: string, from?: number) => void): void {
  const here = inList(document.activeElement) ? row() : { path: current.peek(), from: 0 };
  if (here?.path) does(here.path, here.from);
}

/** The first button of the list's head that can be pressed. */
function focusHead(): void {
  document.querySelector<HTMLElement>(".head button, .head input")?.focus();
}

function inHead(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  if (!target.closest?.(".head")) return false;
  const all = [...document.querySelectorAll<HTMLElement>(".head button, .head input")];
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (event.key === "ArrowDown") focusRow(0);
  else if (by) all[(all.indexOf(target) + by + all.length) % all.length]?.focus();
  else return false;
  return true;
}

function isField(target: HTMLElement): boolean {
  return target.matches("input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]");
}

function pressed(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.key === "?" && !isField(target)) return void (helping.value = true);
  if (state.peek().place === "recording") return pressedInRecording(event);
  if (state.peek().place === "live") return pressedInLive(event);
  if (state.peek().place === "teach") return pressedInTeach(event);
  if (state.peek().place !== "find") return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (target.closest(".map") || document.querySelector("dialog[open], :popover-open")) return;
  if (isField(target)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onRow = target.matches("[data-index]");
  const nowhere = target === document.body || target.matches("main");
  const does = (onRow ? IN_LIST[key] : nowhere ? NOWHERE[key] : undefined) ?? ANYWHERE[key];
  if (inHead(event)) event.preventDefault();
  else if (does) {
    event.preventDefault();
    does();
  }
}

export function listen(): void {
  addEventListener("keydown", pressed);
}
