// How the strip is drawn: a ruler, the level, and a row for each sound with its confidences and its events.
import { COLOURS } from "../recording/lanes";
import { clock, share } from "../words";
import { called, events } from "./events";
import { clockAt, heard, latest, length, names, PEAK_SECONDS, peaks, phase, windows } from "./seen";
import { on } from "./wish";

const RULER = 20, LEVEL = 30, ROW = 34, GAP = 4; // px
export const SHOWN = 120; // seconds of a microphone
const MOST = 12; // rows: those that were heard best
const SHORTEST = 30; // seconds

/** How many rows there are: the level of a microphone is one of them. */
export function rowsOf(count: number): number {
  return Math.min(MOST, count) + (length.peek() ? 0 : 1);
}

export function heightOf(rows: number): number {
  return RULER + rows * ROW;
}

type Pen = CanvasRenderingContext2D;
interface Paper { pen: Pen; width: number; start: number; end: number; colour: (name: string) => string; x: (seconds: number) => number }

export function draw(canvas: HTMLCanvasElement): void {
  const [width, height, sharp] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
  if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
  }
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const all = length.peek();
  const end = all || Math.max(SHORTEST, heard.peek());
  const start = all ? 0 : Math.max(0, end - SHOWN);
  const paper: Paper = { pen, width, start, end, colour: (name) => style.getPropertyValue(`--r-${name}`), x: (seconds) => ((seconds - start) / (end - start)) * width };
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `12px ${style.fontFamily}`;
  pen.textBaseline = "middle";
  ruler(paper, height);
  if (!all) level(paper, RULER + LEVEL / 2);
  const top = RULER + (all ? 0 : ROW);
  best().forEach((which, row) => confidences(paper, which, top + row * ROW));
}

/** Which names have a row. */
function best(): number[] {
  const count = names.peek().length;
  const order = Array.from({ length: count }, (_, index) => index);
  if (count <= MOST) return order;
  const most = order.map((index) => Math.max(0, ...windows.map(({ confidences: all }) => all[index] ?? 0)));
  return order.sort((a, b) => most[b]! - most[a]!).slice(0, MOST).sort((a, b) => a - b);
}

const STEPS = [5, 10, 30, 60, 300, 600, 1800, 3600];

function ruler({ pen, width, start, end, colour, x }: Paper, height: number): void {
  const step = STEPS.find((one) => (one / (end - start)) * width >= 84) ?? 7200;
  const zero = clockAt.peek()(0);
  const shift = zero === null ? 0 : (((zero - new Date(zero).getTimezoneOffset() * 60_000) / 1000) % step); // whole minutes of the clock
  [pen.textAlign, pen.lineWidth, pen.strokeStyle, pen.fillStyle] = ["left", 1, colour("line"), colour("soft")];
  pen.beginPath();
  for (let at = Math.ceil((start + shift) / step) * step - shift; at <= end; at += step) {
    const left = Math.round(x(at)) + 0.5;
    pen.moveTo(left, 4);
    pen.lineTo(left, height);
    const text = label(at);
    if (left + 5 + pen.measureText(text).width < width) pen.fillText(text, left + 5, RULER / 2);
  }
  pen.stroke();
}

function label(seconds: number): string {
  const ms = clockAt.peek()(seconds);
  return ms === null ? clock(Math.round(seconds), 3600) : new Date(Math.round(ms / 1000) * 1000).toTimeString().slice(0, 8);
}

function level({ pen, start, end, colour, x }: Paper, middle: number): void {
  pen.fillStyle = colour("wave");
  const wide = Math.max(1, x(start + PEAK_SECONDS) - x(start) - 0.3);
  for (let number = Math.max(peaks.first, Math.floor(start / PEAK_SECONDS)); number <= end / PEAK_SECONDS; number++) {
    const peak = peaks.values[number - peaks.first];
    if (peak === undefined) break;
    const tall = Math.max(0.5, Math.sqrt(peak) * (LEVEL / 2 - 2)); // so that what is soft is seen
    pen.fillRect(x(number * PEAK_SECONDS), middle - tall, wide, tall * 2);
  }
}

function confidences({ pen, width, start, end, colour, x }: Paper, which: number, top: number): void {
  const name = names.peek()[which]!;
  const [low, tall] = [top + ROW - GAP, ROW - GAP - 2];
  const paint = colour(`span-${which % COLOURS}`);
  pen.fillStyle = paint;
  for (const one of events.peek()) {
    if (one.alert !== name || one.end < start) continue;
    pen.globalAlpha = 0.22;
    pen.fillRect(x(one.start), top + 2, Math.max(2, x(one.still ? Math.min(end, heard.peek()) : one.end) - x(one.start)), tall);
  }
  pen.globalAlpha = 0.5;
  pen.beginPath();
  let before: number | null = null;
  for (const { start: from, end: to, confidences: all } of windows) {
    if (to < start) continue;
    const at = x((from + to) / 2);
    if (before === null) pen.moveTo(at, low);
    pen.lineTo(at, low - (all[which] ?? 0) * tall);
    before = at;
  }
  if (before !== null) pen.lineTo(before, low);
  pen.fill();
  [pen.globalAlpha, pen.strokeStyle, pen.lineWidth] = [1, paint, 1.2];
  pen.stroke();
  pen.strokeStyle = colour("line");
  pen.beginPath();
  pen.moveTo(0, low + 0.5);
  pen.lineTo(width, low + 0.5);
  pen.stroke();
  pen.setLineDash([2, 4]);
  pen.strokeStyle = colour("soft");
  pen.beginPath();
  pen.moveTo(0, low - on.peek() * tall);
  pen.lineTo(width, low - on.peek() * tall);
  pen.stroke();
  pen.setLineDash([]);
  words(pen, called(name), 6, top + 10, "left", colour);
  const shown = phase.peek() === "idle" || length.peek() ? Math.max(0, ...windows.map(({ confidences: all }) => all[which] ?? 0)) : (latest()[which] ?? 0); // now, or at best
  words(pen, share(shown), width - 6, top + 10, "right", colour);
}

/** Words over the drawing, on a ground of their own so that they can be read. */
function words(pen: Pen, text: string, at: number, middle: number, side: "left" | "right", colour: (name: string) => string): void {
  const wide = Math.min(pen.measureText(text).width, 240);
  pen.globalAlpha = 0.8;
  pen.fillStyle = colour("ground");
  pen.fillRect(side === "left" ? at - 3 : at - wide - 3, middle - 8, wide + 6, 16);
  pen.globalAlpha = 1;
  [pen.textAlign, pen.fillStyle] = [side, colour("text")];
  pen.fillText(text, at, middle, 240);
}
