// The recordings nearest to a text: by the cosine of their best window, each with how likely it is that it holds what was asked for.
import type { Heard } from "./indexing";
import type { Confidence, Words } from "./protocol";

export type Verdict = "sure" | "maybe" | "unlikely";

export interface Hit {
  heard: Heard;
  start: number;
  end: number;
  cosine: number;
  verdict: Verdict | null; // null: the model has no curve of its own
}

const SURE = 0.7;

export function search(recordings: Iterable<Heard>, { vector, nothing }: Words, confidence: Confidence | null, most: number): Hit[] {
  const best = [...recordings].filter(({ recording }) => recording.starts.length).map((heard) => bestWindow(heard, vector));
  best.sort((a, b) => b.cosine - a.cosine || (a.heard.recording.path < b.heard.recording.path ? -1 : 1));
  const ofQuery = confidence && deviations(confidence.sounds, vector);
  return best.slice(0, most).map(({ at, ...hit }) => {
    if (!confidence || !ofQuery) return { ...hit, verdict: null };
    const window = hit.heard.recording.vectors.subarray(at * vector.length, (at + 1) * vector.length);
    const [start, bySounds, byTexts] = confidence.words;
    const logit = start + bySounds * ofQuery(hit.cosine) + byTexts * deviations(confidence.texts, window)(hit.cosine);
    const likely = nothing ? 0 : 1 / (1 + Math.exp(-logit));
    return { ...hit, verdict: likely < confidence.unlikely ? "unlikely" : likely >= SURE ? "sure" : "maybe" };
  });
}

function bestWindow(heard: Heard, vector: Float32Array): Omit<Hit, "verdict"> & { at: number } {
  const { vectors, starts, ends } = heard.recording;
  let [at, cosine] = [0, -Infinity];
  for (let i = 0; i < starts.length; i++) {
    const one = dot(vectors, vector, i * vector.length);
    if (one > cosine) [at, cosine] = [i, one];
  }
  return { heard, at, start: starts[at]!, end: ends[at]!, cosine };
}

/** How many standard deviations a cosine lies above those of a bank with a vector. */
function deviations(bank: number[][], vector: Float32Array): (cosine: number) => number {
  const cosines = bank.map((row) => dot(row, vector));
  const mean = cosines.reduce((sum, x) => sum + x, 0) / cosines.length;
  const deviation = Math.sqrt(cosines.reduce((sum, x) => sum + (x - mean) ** 2, 0) / cosines.length);
  return (cosine) => (cosine - mean) / Math.max(deviation, 1e-6);
}

function dot(rows: ArrayLike<number>, vector: Float32Array, from = 0): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += rows[from + i]! * vector[i]!;
  return sum;
}
