// What the page and its worker say to each other.

export interface Manifest {
  model: string;
  fingerprint: string;
  sample_rate: number;
  window_seconds: number;
  hop_seconds: number;
  embedding_size: number;
  confidence: string | null;
  tokenizer: { file: string; begin_ids: number[]; end_ids: number[]; max_tokens: number; suffix: string };
}

/** As openclap's confidence.py: two banks of reference vectors and a curve. */
export interface Confidence {
  words: [number, number, number];
  unlikely: number;
  texts: number[][];
  sounds: number[][];
}

export interface Loaded {
  manifest: Manifest;
  confidence: Confidence | null;
}

export interface Words {
  vector: Float32Array;
  english: string; // what was asked, in English
  unknown: string[]; // words that the model was never taught, or that have no English here
  nothing: boolean; // whether no word is known
}

export type Asked = { id: number } & ({ kind: "load" } | { kind: "wave"; wave: Float32Array } | { kind: "texts"; texts: string[] });
export type Told =
  | { kind: "progress"; done: number; all: number }
  | { id: number; kind: "done"; value: Loaded | Float32Array | Words[] }
  | { id: number; kind: "failed"; message: string };
