// Mouse, pen and fingers on the waveform: the mouse's drag chooses a span, a finger's pans (or chooses, where that is
// wished), wheel and pinch zoom, a click hears from there.
import { signal } from "@preact/signals";
import { recording } from "./recording";
import { playFrom } from "./listening";
import { choose, choosing, sayChosen, selection, unchoose } from "./selection";
import { isWhole, pan, view, zoom } from "./view";

export const under = signal<number | null>(null); // second under the mouse

export function secondAt(element: HTMLElement, clientX: number): number {
  const { left, width } = element.getBoundingClientRect();
  const { start, end } = view.peek();
  return start + (Math.max(0, Math.min(clientX - left, width)) / width) * (end - start);
}

function perPixel(element: HTMLElement): number {
  return (view.peek().end - view.peek().start) / Math.max(1, element.clientWidth);
}

const EDGE = 7; // px beside the end of a span, in which that end is taken

/** Where a span that is being chosen stays: the other end of the one whose end is taken, or where the drag begins. */
function anchorOf(element: HTMLElement, clientX: number): number {
  const at = secondAt(element, clientX);
  const span = selection.peek();
  const near = EDGE * perPixel(element);
  if (span && Math.abs(at - span.start) < near) return span.end;
  return span && Math.abs(at - span.end) < near ? span.start : at;
}

/** Listen to what pointers do on the drawing. */
export function point(element: HTMLElement): () => void {
  const down = new Map<number, number>(); // pointer → where it is across
  let moved = 0;
  let anchor: number | null = null; // second where the span that is being chosen begins
  const on = {
    pointerdown(event: PointerEvent) {
      if (event.button) return;
      element.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event.clientX);
      moved = down.size > 1 ? 9 : 0;
      anchor = down.size === 1 && (event.pointerType === "mouse" || choosing.peek()) ? anchorOf(element, event.clientX) : null;
    },
    pointermove(event: PointerEvent) {
      if (event.pointerType === "mouse") under.value = secondAt(element, event.clientX);
      const before = down.get(event.pointerId);
      if (before === undefined) return;
      const by = event.clientX - before;
      moved += Math.abs(by);
      if (moved < 4 && down.size === 1) return;
      const other = [...down].find(([one]) => one !== event.pointerId)?.[1];
      if (anchor !== null && other === undefined) choose(anchor, secondAt(element, event.clientX));
      else if (other === undefined) pan(-by * perPixel(element));
      else {
        const apart = (x: number) => Math.max(12, Math.abs(x - other));
        zoom(apart(event.clientX) / apart(before), secondAt(element, (event.clientX + other) / 2));
      }
      down.set(event.pointerId, event.clientX);
    },
    pointerup(event: PointerEvent) {
      if (!down.delete(event.pointerId)) return;
      if (moved >= 4) return anchor !== null ? sayChosen() : undefined;
      if (!recording.peek()) return;
      const at = secondAt(element, event.clientX);
      const span = selection.peek();
      if (span && (at < span.start || at > span.end)) unchoose(); // a click beside it
      playFrom(at, selection.peek()?.end);
    },
    pointercancel(event: PointerEvent) {
      down.delete(event.pointerId);
    },
    pointerleave() {
      under.value = null;
    },
    wheel(event: WheelEvent) {
      const scale = event.deltaMode ? 30 : 1;
      const across = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY)) pan(across * scale * perPixel(element));
      else if (event.deltaY > 0 && isWhole() && !event.ctrlKey) return; // the page may scroll
      else zoom(Math.exp(-event.deltaY * scale * (event.ctrlKey ? 0.01 : 0.002)), secondAt(element, event.clientX));
      event.preventDefault();
    },
  };
  const all = Object.entries(on) as [string, (event: Event) => void][];
  for (const [name, does] of all) element.addEventListener(name, does, { passive: false });
  return () => all.forEach(([name, does]) => element.removeEventListener(name, does));
}
