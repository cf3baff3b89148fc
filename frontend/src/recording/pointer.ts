// Mouse, pen and fingers on the waveform: drag pans, wheel and pinch zoom, a click hears from there.
import { signal } from "@preact/signals";
import { recording } from "./recording";
import { playFrom } from "./listening";
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

/** Listen to what pointers do on the drawing. */
export function point(element: HTMLElement): () => void {
  const down = new Map<number, number>(); // pointer → where it is across
  let moved = 0;
  const on = {
    pointerdown(event: PointerEvent) {
      if (event.button) return;
      element.setPointerCapture(event.pointerId);
      down.set(event.pointerId, event.clientX);
      moved = down.size > 1 ? 9 : 0;
    },
    pointermove(event: PointerEvent) {
      if (event.pointerType === "mouse") under.value = secondAt(element, event.clientX);
      const before = down.get(event.pointerId);
      if (before === undefined) return;
      const by = event.clientX - before;
      moved += Math.abs(by);
      if (moved < 4 && down.size === 1) return;
      const other = [...down].find(([one]) => one !== event.pointerId)?.[1];
      if (other === undefined) pan(-by * perPixel(element));
      else {
        const apart = (x: number) => Math.max(12, Math.abs(x - other));
        zoom(apart(event.clientX) / apart(before), secondAt(element, (event.clientX + other) / 2));
      }
      down.set(event.pointerId, event.clientX);
    },
    pointerup(event: PointerEvent) {
      if (!down.delete(event.pointerId)) return;
      if (moved < 4 && recording.peek()) playFrom(secondAt(element, event.clientX));
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
