// How the map is drawn: where it is looked at from, its points, names and walks.
import type { MapPoint } from "../api";
import { clean } from "../list/names";
import { nameOfCluster, type Drawing } from "./points";

export interface Look { x: number; y: number; scale: number } // the middle of the view, and how near it is
export const ALL: Look = { x: 0.5, y: 0.5, scale: 1 };

export interface Scene {
  look: Look;
  at: MapPoint | null; // where the keys are
  playing: string;
  ticked: ReadonlySet<string>;
  found: readonly string[]; // hits, best first; or the steps of a walk
  walk: boolean;
  loop: readonly (readonly [number, number])[];
}

export function unit(canvas: HTMLCanvasElement, { scale }: Look): number {
  return Math.min(canvas.clientWidth, canvas.clientHeight) * 0.94 * scale;
}

export function toScreen(canvas: HTMLCanvasElement, look: Look, x: number, y: number): [number, number] {
  const px = unit(canvas, look);
  return [(x - look.x) * px + canvas.clientWidth / 2, (y - look.y) * px + canvas.clientHeight / 2];
}

export function toMap(canvas: HTMLCanvasElement, look: Look, left: number, top: number): [number, number] {
  const px = unit(canvas, look);
  return [(left - canvas.clientWidth / 2) / px + look.x, (top - canvas.clientHeight / 2) / px + look.y];
}

export function draw(canvas: HTMLCanvasElement, map: Drawing, scene: Scene): void {
  const [width, height, sharp] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
  if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
  }
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(`--map-${name}`);
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, width, height);
  const place = (point: { x: number; y: number }) => toScreen(canvas, scene.look, point.x, point.y);
  const size = Math.max(1.6, Math.min(7, 2.2 * Math.sqrt(scene.look.scale) * Math.sqrt(Math.min(4, 4000 / Math.max(1, map.points.length)))));
  const dot = (point: MapPoint, radius: number) => {
    const [x, y] = place(point);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
    pen.moveTo(x + radius, y);
    pen.arc(x, y, radius, 0, 7);
  };
  const fill = (points: Iterable<MapPoint | undefined>, radius: number, name: string) => {
    pen.beginPath();
    for (const point of points) if (point) dot(point, radius);
    pen.fillStyle = colour(name);
    pen.fill();
  };
  const named = (paths: Iterable<string>) => [...paths].map((path) => map.byPath.get(path));
  fill(map.points, size, "dot");
  fill(named(scene.found), size + 1.5, "found");
  fill(named(scene.ticked), size + 1.5, "ticked");
  names(pen, map, scene, place, style.fontFamily, colour);
  if (scene.walk) walk(pen, named(scene.found), place, colour);
  const ring = (point: MapPoint | undefined | null, radius: number) => {
    if (!point) return;
    pen.beginPath();
    dot(point, radius);
    [pen.strokeStyle, pen.lineWidth] = [colour("ring"), 2];
    pen.stroke();
  };
  ring(map.byPath.get(scene.playing), size + 4);
  ring(scene.at, size + 7);
  loop(pen, scene, canvas, colour);
}

type Place = (point: { x: number; y: number }) => [number, number];
type Colour = (name: string) => string;

/** Names of clusters, the largest first; one that would cover another waits until the map is nearer. */
function names(pen: CanvasRenderingContext2D, map: Drawing, { look }: Scene, place: Place, font: string, colour: Colour): void {
  const taken: [number, number, number, number][] = [];
  pen.font = `600 13px ${font}`;
  [pen.textAlign, pen.textBaseline, pen.lineJoin] = ["center", "middle", "round"];
  for (const cluster of map.clusters) {
    const name = clean(nameOfCluster(cluster)).slice(0, 40);
    const [x, y] = place(cluster);
    const half = pen.measureText(name).width / 2 + 6;
    const box: [number, number, number, number] = [x - half, y - 11, x + half, y + 11];
    if (taken.some(([a, b, c, d]) => box[0] < c && box[2] > a && box[1] < d && box[3] > b)) continue;
    taken.push(box);
    [pen.strokeStyle, pen.lineWidth] = [colour("ground"), look.scale > 3 ? 3 : 5];
    pen.strokeText(name, x, y);
    pen.fillStyle = colour("name");
    pen.fillText(name, x, y);
  }
}

function walk(pen: CanvasRenderingContext2D, steps: (MapPoint | undefined)[], place: Place, colour: Colour): void {
  const there = steps.filter((step) => step !== undefined);
  pen.beginPath();
  there.forEach((step, i) => (i ? pen.lineTo(...place(step)) : pen.moveTo(...place(step))));
  [pen.strokeStyle, pen.lineWidth] = [colour("found"), 2];
  pen.stroke();
  pen.font = "600 11px system-ui";
  there.forEach((step, i) => {
    const [x, y] = place(step);
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.fillStyle = colour("found");
    pen.fill();
    pen.fillStyle = colour("ground");
    pen.fillText(String(i + 1), x, y + 0.5);
  });
}

function loop(pen: CanvasRenderingContext2D, scene: Scene, canvas: HTMLCanvasElement, colour: Colour): void {
  if (scene.loop.length < 2) return;
  pen.beginPath();
  scene.loop.forEach(([x, y], i) => {
    const at = toScreen(canvas, scene.look, x, y);
    if (i) pen.lineTo(...at);
    else pen.moveTo(...at);
  });
  pen.closePath();
  [pen.strokeStyle, pen.lineWidth] = [colour("found"), 1.5];
  pen.stroke();
}
