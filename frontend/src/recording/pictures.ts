// Waveform and spectrogram in pieces: the whole once, and what is looked at more closely as finely as the screen shows it.
// What is there already is drawn at once, however coarse, and sharpens when the finer piece has come.
import { effect, signal, untracked } from "@preact/signals";
import { ask, blob, get, isAbort, Problem, url } from "../api";
import { lines } from "../lines";
import { clear, show } from "../problems";
import { isLost, lose, recording, type Recording } from "./recording";
import type { Part } from "./view";

export interface Piece<T> extends Part { fine: number; data: T } // fine: columns a second
type Fetch<T> = (one: Recording, part: Part, columns: number, signal: AbortSignal) => Promise<T>;

const OFTEN = 120; // ms between requests while the view moves
const KEPT = 12; // pieces
const BESIDE = 0.5; // of the view, fetched on either side of it
export const SPECTROGRAM_ROWS = 96;
export const drawn = signal(0); // grows when a piece has come

export class Layer<T> {
  pieces: Piece<T>[] = []; // from coarse to fine, as they are drawn
  private came: Piece<T>[] = []; // the whole first
  private wanted: [Part, number] | null = null;
  private timer = 0;
  private request: AbortController | null = null;
  private coming: Part | null = null; // what the request is for

  constructor(private readonly most: number, private readonly fetch: Fetch<T>) {}

  /** Say what is seen, and how many columns it has. */
  want(part: Part, columns: number): void {
    this.wanted = [part, columns];
    if (!this.timer) this.timer = setTimeout(() => void this.load(), this.pieces.length ? OFTEN : 0);
  }

  reset(): void {
    this.request?.abort();
    this.coming = null;
    this.pieces = this.came = [];
  }

  private async load(): Promise<void> {
    this.timer = 0;
    const one = recording.peek();
    if (!one || !this.wanted) return;
    const [seen, columns] = this.wanted;
    const all: Part = { start: 0, end: one.seconds };
    const fine = columns / Math.max(1e-6, seen.end - seen.start);
    const beside = (seen.end - seen.start) * BESIDE;
    const part = this.pieces.length ? { start: Math.max(0, seen.start - beside), end: Math.min(all.end, seen.end + beside) } : all;
    const asked = Math.max(1, Math.min(this.most, Math.round(this.pieces.length ? fine * (part.end - part.start) : columns)));
    const enough = Math.min(fine, asked / (part.end - part.start)) * 0.8; // a very wide screen gets what the server draws
    if (this.pieces.some((piece) => piece.start <= seen.start && piece.end >= seen.end && piece.fine >= enough)) return;
    if (this.coming && this.coming.end > seen.start && this.coming.start < seen.end) return; // of use; what is wanted then is asked for next
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.coming = part;
    try {
      const data = await this.fetch(one, part, asked, request.signal);
      if (recording.peek()?.id !== one.id) return;
      this.keep({ ...part, fine: asked / (part.end - part.start), data });
      clear("pictures");
      drawn.value++;
      this.coming = null;
      this.want(...this.wanted); // it may have moved on meanwhile
    } catch (error) {
      if (isAbort(error)) return;
      this.coming = null;
      if (isLost(error)) return lose();
      show("pictures", error, () => void this.load());
    }
  }

  private keep(piece: Piece<T>): void {
    const [first, ...rest] = [...this.came, piece];
    this.came = [first!, ...rest.slice(-KEPT)]; // the whole stays
    this.pieces = [...this.came].sort((a, b) => a.fine - b.fine);
  }
}

const span = ({ start, end }: Part) => ({ start: start.toFixed(4), end: end.toFixed(4) });
const at = (one: Recording) => `v1/recordings/${encodeURIComponent(one.id)}`;

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

const LONG = 300; // seconds of a recording whose pictures take a while: longer than an answer may that is not in lines

async function inLines<T>(address: string, signal: AbortSignal, tell?: (share: number) => void): Promise<T> {
  const answer = await ask(address, { signal, headers: { Accept: "application/x-ndjson" } });
  for await (const { progress, result } of lines<{ progress?: number; result?: T; error?: { message: string } }>(answer)) {
    if (result) return result;
    tell?.(progress ?? 0);
  }
  throw new Problem("", true); // it ended before it was drawn
}

export const waveform: Layer<Uint8Array> = new Layer(8000, async (one, part, count, signal) => {
  const [path, wish] = [`${at(one)}/peaks`, { ...span(part), count }];
  const short = one.seconds < LONG || waveform.pieces.length > 0;
  const { peaks } = await (short ? get<{ peaks: string }>(path, wish, signal) : inLines<{ peaks: string }>(url(path, wish), signal));
  return bytes(peaks);
});

export const drawing = signal<number | null>(null); // the share of it that is there

export const spectrogram = new Layer<ImageBitmap>(4000, async (one, part, width, signal) => {
  const address = url(`${at(one)}/spectrogram`, { ...span(part), width, height: SPECTROGRAM_ROWS });
  if (one.seconds < LONG || spectrogram.pieces.length) return createImageBitmap(await blob(await ask(address, { signal })));
  drawing.value = 0;
  try {
    const { png } = await inLines<{ png: string }>(address, signal, (share) => (drawing.value = share));
    return await createImageBitmap(new Blob([bytes(png)], { type: "image/png" }));
  } finally {
    drawing.value = null;
  }
});

/** Begin to follow the recording. Called once. */
export function followPictures(): void {
  effect(() => {
    recording.value;
    untracked(() => {
      clear("pictures");
      for (const layer of [waveform, spectrogram] as Layer<unknown>[]) layer.reset();
      drawn.value++;
    });
  });
}
