// How the recording is drawn: seconds, lanes of spans, waveform, spectrogram.
import type { Drawn } from "./lanes";
import { spectrogram, waveform, type Piece } from "./pictures";
import type { Part } from "./view";

export const RULER = 20; // px
export const LANE = 22;
const GAP = 4;

export interface Scene { view: Part; seconds: number; lanes: Drawn[][]; hot: Part | null; chosen: Part | null }
export interface Rooms { wave: number; low: number; picture: number; end: number } // px from the top

/** Where the parts of a drawing lie. */
export function rooms(height: number, lanes: number): Rooms {
  const wave = RULER + lanes * LANE;
  const picture = wave + Math.round((height - wave) * 0.56);
  return { wave, low: picture - GAP, picture, end: height };
}

export function draw(canvas: HTMLCanvasElement, scene: Scene): void {
  const [width, height, sharp] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
  if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
  }
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(`--r-${name}`);
  const room = rooms(height, scene.lanes.length);
  const x = (seconds: number) => ((seconds - scene.view.start) / (scene.view.end - scene.view.start)) * width;
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `12px ${style.fontFamily}`;
  ruler(pen, scene, x, width, room, colour);
  picture(pen, scene, width, room, sharp);
  tints(pen, scene, x, room, colour);
  wave(pen, scene, width, room, colour("wave"), sharp);
  scene.lanes.forEach((lane, number) => spans(pen, lane, x, width, RULER + number * LANE, colour));
  if (scene.chosen) chosen(pen, scene.chosen, x, height, colour("accent"));
  if (scene.hot) {
    [pen.strokeStyle, pen.lineWidth] = [colour("text"), 1.5];
    pen.strokeRect(x(scene.hot.start), RULER + 1, Math.max(2, x(scene.hot.end) - x(scene.hot.start)), room.low - RULER - 2);
  }
}

/** The span that is chosen: all of it tinted, its ends as lines. */
function chosen(pen: Pen, { start, end }: Part, x: X, height: number, paint: string): void {
  const [left, right] = [x(start), x(end)];
  pen.fillStyle = paint;
  pen.globalAlpha = 0.2;
  pen.fillRect(left, RULER, Math.max(1, right - left), height - RULER);
  pen.globalAlpha = 1;
  for (const edge of [left, right]) pen.fillRect(edge - 1, RULER, 2, height - RULER);
}

type Pen = CanvasRenderingContext2D;
type Colour = (name: string) => string;
type X = (seconds: number) => number;

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

function ruler(pen: Pen, { view, seconds }: Scene, x: X, width: number, room: Rooms, colour: Colour): void {
  const step = STEPS.find((one) => (one / (view.end - view.start)) * width >= 72) ?? 3600;
  const [first, last] = [Math.ceil(view.start / step - 1e-9), Math.floor(view.end / step + 1e-9)];
  [pen.textBaseline, pen.textAlign, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = ["middle", "left", 1, colour("line"), colour("soft")];
  pen.beginPath();
  for (let number = first; number <= last; number++) {
    const at = Math.round(x(number * step)) + 0.5;
    pen.moveTo(at, 4);
    pen.lineTo(at, room.low);
    const text = tick(number * step, step, seconds);
    if (at + 5 + pen.measureText(text).width < width) pen.fillText(text, at + 5, RULER / 2);
  }
  pen.stroke();
}

function tick(seconds: number, step: number, all: number): string {
  const digits = step < 1 ? Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)) : 0;
  const [h, m] = [Math.floor(seconds / 3600 + 1e-9), Math.floor((seconds / 60 + 1e-9) % 60)];
  const s = Math.max(0, seconds - h * 3600 - m * 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return all >= 3600 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** What of a piece is seen: its columns, and where they are on the screen. */
function picture(pen: Pen, { view }: Scene, width: number, room: Rooms, sharp: number): void {
  const tall = room.end - room.picture;
  const px = width / (view.end - view.start);
  pen.imageSmoothingEnabled = true;
  for (const { start, end, data } of spectrogram.pieces) {
    const [from, to] = [Math.max(start, view.start), Math.min(end, view.end)];
    if (to <= from) continue;
    const columns = data.width / (end - start);
    const left = Math.round((from - view.start) * px * sharp) / sharp;
    const right = Math.round((to - view.start) * px * sharp) / sharp;
    pen.drawImage(data, (from - start) * columns, 0, Math.max(0.01, (to - from) * columns), data.height, left, room.picture, right - left, tall);
  }
}

function tints(pen: Pen, { lanes }: Scene, x: X, room: Rooms, colour: Colour): void {
  for (const { start, end, colour: number, dim } of lanes.flat()) {
    const [left, right] = [x(start), x(end)];
    if (right < 0 || left > pen.canvas.width) continue;
    pen.globalAlpha = dim ? 0.06 : 0.16;
    pen.fillStyle = colour(`span-${number}`);
    pen.fillRect(left, room.wave, Math.max(1, right - left), room.low - room.wave);
  }
  pen.globalAlpha = 1;
}

function wave(pen: Pen, { view }: Scene, width: number, room: Rooms, paint: string, sharp: number): void {
  const half = (room.low - room.wave) / 2;
  const middle = room.wave + half;
  const columns = Math.max(1, Math.round(width * sharp));
  const each = (view.end - view.start) / columns;
  const gain = 1 / Math.max(12, loudest(waveform.pieces[0]));
  pen.fillStyle = paint;
  for (let column = 0; column < columns; column++) {
    const start = view.start + column * each;
    const piece = finest(start, start + each);
    if (!piece) continue;
    const tall = Math.max(0.5, peak(piece, start, start + each) * gain * (half - 2));
    pen.fillRect(column / sharp, middle - tall, 1 / sharp, tall * 2);
  }
}

const loud = new WeakMap<Uint8Array, number>();

function loudest(piece: Piece<Uint8Array> | undefined): number {
  if (!piece) return 255;
  if (!loud.has(piece.data)) loud.set(piece.data, piece.data.reduce((a, b) => Math.max(a, b), 0));
  return loud.get(piece.data)!;
}

function finest(start: number, end: number): Piece<Uint8Array> | undefined {
  for (let i = waveform.pieces.length - 1; i >= 0; i--) {
    const piece = waveform.pieces[i]!;
    if (piece.start <= start + 1e-6 && piece.end >= end - 1e-6) return piece;
  }
  return undefined;
}

function peak({ start, fine, data }: Piece<Uint8Array>, from: number, to: number): number {
  const first = Math.max(0, Math.min(data.length - 1, Math.floor((from - start) * fine + 1e-6)));
  const last = Math.max(first + 1, Math.min(data.length, Math.ceil((to - start) * fine - 1e-6)));
  let most = 0;
  for (let i = first; i < last; i++) most = Math.max(most, data[i]!);
  return most;
}

function spans(pen: Pen, lane: Drawn[], x: X, width: number, top: number, colour: Colour): void {
  pen.textAlign = "left";
  for (const { start, end, label, colour: number, dim } of lane) {
    const [left, right] = [Math.max(-1, x(start)), Math.min(width + 1, x(end))];
    if (right < 0 || left > width) continue;
    const wide = Math.max(2, right - left - 1);
    pen.globalAlpha = dim ? 0.18 : 0.34;
    pen.fillStyle = colour(`span-${number}`);
    pen.fillRect(left, top + 1, wide, LANE - 3);
    pen.globalAlpha = 1;
    pen.fillRect(left, top + 1, 2, LANE - 3);
    if (wide < 48 && pen.measureText(label).width > wide - 9) continue; // no room for what could be read
    pen.save();
    pen.beginPath();
    pen.rect(left, top, wide - 3, LANE);
    pen.clip();
    pen.fillStyle = colour("text");
    pen.fillText(label, left + 6, top + LANE / 2);
    pen.restore();
  }
}
