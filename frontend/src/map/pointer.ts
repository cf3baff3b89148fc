// Mouse, pen and fingers on the map: drag and pinch, wheel, hover, lasso.
import { batch, signal } from "@preact/signals";
import type { MapPoint } from "../api";
import { play } from "../player/audio";
import { tickAll } from "../tray/ticks";
import { ALL, toMap, unit, type Look } from "./draw";
import { drawing, inside, nearest } from "./points";

export const look = signal<Look>(ALL);
export const over = signal<MapPoint | null>(null); // under the pointer, or reached by keys
export const lasso = signal(false); // does a drag draw a loop?
export const hearing = signal(true); // does hovering play?
export const loop = signal<[number, number][]>([]);

const NEAREST = 60;

/** Zoom by a factor around a place of the canvas. */
export function zoom(canvas: HTMLCanvasElement, by: number, left = canvas.clientWidth / 2, top = canvas.clientHeight / 2): void {
  const now = look.peek();
  const scale = Math.max(0.8, Math.min(NEAREST, now.scale * by));
  const [x, y] = toMap(canvas, now, left, top);
  const share = now.scale / scale;
  look.value = { scale, x: x + (now.x - x) * share, y: y + (now.y - y) * share };
}

/** Listen to what pointers do on a canvas. */
export function point(canvas: HTMLCanvasElement): () => void {
  const down = new Map<number, [number, number]>();
  let moved = false;
  let timer = 0;
  const place = (event: PointerEvent | WheelEvent): [number, number] => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  const under = (at: [number, number]): MapPoint | null => {
    const map = drawing.peek();
    return map && nearest(map, ...toMap(canvas, look.peek(), ...at), 14 / unit(canvas, look.peek()));
  };
  const hover = (at: [number, number]) => {
    const found = under(at);
    if (found === over.peek()) return;
    over.value = found;
    clearTimeout(timer);
    if (found && hearing.peek()) timer = setTimeout(() => play(found.path), 120); // not what is merely passed
  };
  const on = {
    pointerdown(event: PointerEvent) {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, place(event));
      moved = false;
      if (lasso.peek() || event.shiftKey) loop.value = [toMap(canvas, look.peek(), ...place(event))];
    },
    pointermove(event: PointerEvent) {
      const at = place(event);
      const before = down.get(event.pointerId);
      if (!before) return event.pointerType === "mouse" ? hover(at) : undefined;
      const [dx, dy] = [at[0] - before[0], at[1] - before[1]];
      if (!moved && Math.hypot(dx, dy) < 4) return;
      moved = true;
      if (loop.peek().length) loop.value = [...loop.peek(), toMap(canvas, look.peek(), ...at)];
      else if (down.size === 2) pinch(event.pointerId, before, at);
      else {
        const px = unit(canvas, look.peek());
        look.value = { ...look.peek(), x: look.peek().x - dx / px, y: look.peek().y - dy / px };
      }
      down.set(event.pointerId, at);
    },
    pointerup(event: PointerEvent) {
      down.delete(event.pointerId);
      if (loop.peek().length) return close();
      if (moved) return;
      const found = under(place(event));
      over.value = found;
      if (found) play(found.path);
    },
    pointercancel(event: PointerEvent) {
      down.delete(event.pointerId);
      loop.value = [];
    },
    pointerleave() {
      clearTimeout(timer);
    },
    wheel(event: WheelEvent) {
      event.preventDefault();
      zoom(canvas, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...place(event));
    },
  };
  const pinch = (id: number, before: [number, number], at: [number, number]) => {
    const other = [...down].find(([one]) => one !== id)![1];
    const apart = (to: [number, number]) => Math.max(1, Math.hypot(to[0] - other[0], to[1] - other[1]));
    zoom(canvas, apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  };
  const close = () => {
    const map = drawing.peek();
    batch(() => {
      if (map && loop.peek().length > 2) tickAll(inside(map, loop.peek()).map(({ path }) => path));
      loop.value = [];
    });
  };
  const all = Object.entries(on) as [string, (event: Event) => void][];
  for (const [name, does] of all) canvas.addEventListener(name, does, { passive: false });
  return () => {
    clearTimeout(timer);
    for (const [name, does] of all) canvas.removeEventListener(name, does);
  };
}
