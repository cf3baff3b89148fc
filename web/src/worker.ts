// The model: waves → unit vectors, texts → unit vectors, in ONNX Runtime, beside the page.
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web/wasm";
import { Translator } from "./chinese";
import { download, type DataFile } from "./downloads";
import type { Asked, Confidence, Loaded, Manifest, Told, Words } from "./protocol";

declare const DATA: DataFile[];
declare const DATA_VERSION: string;

let manifest: Manifest;
let tokenizer: Tokenizer;
let translator: Translator;
let audio: ort.InferenceSession;
let text: ort.InferenceSession;

async function load(): Promise<Loaded> {
  const files = await download(DATA, DATA_VERSION, (done, all) => tell({ kind: "progress", done, all }));
  const bytes = (name: string) => files.get(`data/${name}`)!;
  const json = (name: string) => JSON.parse(new TextDecoder().decode(bytes(name)));
  manifest = json("manifest.json");
  tokenizer = new Tokenizer(json(manifest.tokenizer.file), {});
  translator = new Translator(json("chinese.json"));
  ort.env.wasm.numThreads = 1; // more need headers that few static hosts send
  ort.env.wasm.wasmBinary = bytes("ort-wasm-simd-threaded.wasm").buffer;
  audio = await ort.InferenceSession.create(bytes("audio.onnx"));
  text = await ort.InferenceSession.create(bytes("text.onnx"));
  return { manifest, confidence: manifest.confidence ? (json(manifest.confidence) as Confidence) : null };
}

async function embedWave(wave: Float32Array): Promise<Float32Array> {
  const made = await audio.run({ wave: new ort.Tensor("float32", wave, [1, wave.length]) });
  return made["embedding"]!.data as Float32Array;
}

async function embedText(asked: string): Promise<Words> {
  const english = translator.translate(asked);
  const words = /[\p{L}\p{N}]/u.test(english.text) ? english.text : asked; // else nothing of it is known
  const { begin_ids, end_ids, max_tokens, suffix } = manifest.tokenizer;
  const ids = encode(words + suffix).ids.slice(0, max_tokens - begin_ids.length - end_ids.length);
  const all = BigInt64Array.from([...begin_ids, ...ids, ...end_ids].map(BigInt));
  const shape = [1, all.length];
  const given = { input_ids: new ort.Tensor("int64", all, shape), attention_mask: new ort.Tensor("int64", all.map(() => 1n), shape) };
  const vector = (await text.run(given))["embedding"]!.data as Float32Array;
  const known = unknownWords(words);
  const unknown = [...new Set([...english.unknown, ...known.unknown])];
  return { vector, english: words, unknown, nothing: known.unknown.length === known.words };
}

function encode(words: string): { ids: number[]; tokens: string[] } {
  return tokenizer.encode(words, { add_special_tokens: false });
}

/** The words of a text that are not one token each: the model was never taught them. */
function unknownWords(words: string): { unknown: string[]; words: number } {
  const found = words.match(/[\p{L}\p{N}\p{M}]+/gu) ?? [words.trim()];
  const unknown = found.filter((word) => encode(word).tokens.length !== 1 || encode(word).tokens[0] === "[UNK]");
  return { unknown: [...new Set(unknown)], words: new Set(found).size };
}

async function answer(asked: Asked): Promise<Loaded | Float32Array | Words[]> {
  if (asked.kind === "load") return load();
  if (asked.kind === "wave") return embedWave(asked.wave);
  const made: Words[] = [];
  for (const words of asked.texts) made.push(await embedText(words));
  return made;
}

function tell(told: Told): void {
  self.postMessage(told);
}

let last: Promise<void> = Promise.resolve(); // one after the other
self.onmessage = ({ data: asked }: MessageEvent<Asked>) => {
  last = last.then(async () => {
    try {
      tell({ id: asked.id, kind: "done", value: await answer(asked) });
    } catch (error) {
      tell({ id: asked.id, kind: "failed", message: String(error instanceof Error ? error.message : error) });
    }
  });
};
