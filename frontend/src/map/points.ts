// The points of the map, and which of them is nearest to a place.
import { effect, signal, untracked } from "@preact/signals";
import { get, type Cluster, type MapPoint } from "../api";
import { filters } from "../finding";
import { clear, show } from "../problems";
import { state } from "../state";
import { language } from "../words";

export interface Drawing { points: MapPoint[]; clusters: Cluster[]; byPath: Map<string, MapPoint>; cells: Map<number, MapPoint[]> }

const CELLS = 100; // a side
export const drawing = signal<Drawing | null>(null);

let request: AbortController | null = null;
let wanted = "";

/** Follow the filters while the map is shown. */
export function followMap(): () => void {
  return effect(() => {
    const now = JSON.stringify(filters.value);
    if (state.value.view !== "map" || (now === wanted && drawing.peek())) return;
    wanted = now;
    untracked(load);
  });
}

async function load(): Promise<void> {
  request?.abort();
  request = new AbortController();
  clear("map");
  try {
    const got = await get<{ points: MapPoint[]; clusters: Cluster[] }>("v1/library/map", filters.peek(), request.signal);
    const cells = new Map<number, MapPoint[]>();
    for (const point of got.points) {
      const key = cell(point.x, point.y);
      cells.get(key)?.push(point) ?? cells.set(key, [point]);
    }
    const clusters = got.clusters.sort((a, b) => b.count - a.count);
    drawing.value = { points: got.points, clusters, cells, byPath: new Map(got.points.map((point) => [point.path, point])) };
  } catch (error) {
    show("map", error, () => void load());
  }
}

function cell(x: number, y: number): number {
  const at = (value: number) => Math.max(0, Math.min(CELLS - 1, Math.floor(value * CELLS)));
  return at(y) * CELLS + at(x);
}

/** The point nearest to a place, not farther than `most` of the whole. */
export function nearest({ cells }: Drawing, x: number, y: number, most: number): MapPoint | null {
  let best: MapPoint | null = null;
  let least = most * most;
  const reach = Math.ceil(most * CELLS);
  for (let row = Math.floor(y * CELLS) - reach; row <= Math.floor(y * CELLS) + reach; row++) {
    for (let column = Math.floor(x * CELLS) - reach; column <= Math.floor(x * CELLS) + reach; column++) {
      if (row < 0 || column < 0 || row >= CELLS || column >= CELLS) continue;
      for (const point of cells.get(row * CELLS + column) ?? []) {
        const far = (point.x - x) ** 2 + (point.y - y) ** 2;
        if (far < least) [best, least] = [point, far];
      }
    }
  }
  return best;
}

/** The next point in a direction (dx, dy of −1, 0, 1): near, and not too far aside. */
export function beside({ points }: Drawing, from: MapPoint, dx: number, dy: number): MapPoint | null {
  let best: MapPoint | null = null;
  let least = Infinity;
  for (const point of points) {
    const along = (point.x - from.x) * dx + (point.y - from.y) * dy;
    const aside = Math.abs((point.x - from.x) * dy) + Math.abs((point.y - from.y) * dx);
    if (along <= 0 || aside > along) continue;
    const far = along + 2 * aside;
    if (far < least) [best, least] = [point, far];
  }
  return best;
}

/** What lies in a loop. */
export function inside({ points }: Drawing, loop: readonly (readonly [number, number])[]): MapPoint[] {
  return points.filter(({ x, y }) => {
    let odd = false;
    for (let i = 0, j = loop.length - 1; i < loop.length; j = i++) {
      const [[ax, ay], [bx, by]] = [loop[i]!, loop[j]!];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  });
}

/** What the points around one are called. */
export function clusterOf({ clusters }: Drawing, point: MapPoint): string {
  const cluster = clusters.find(({ id }) => id === point.cluster);
  return cluster ? nameOfCluster(cluster) : "";
}

/** A name in the language of the page. */
export function nameOfCluster({ name, names }: Cluster): string {
  return names?.[language.value] ?? name;
}
