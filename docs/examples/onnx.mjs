// Which of these words fits a sound best?   node onnx.mjs FOLDER SOUND.wav "a dog barking" "rain" …
// FOLDER is what `openclap export --onnx FOLDER` wrote. Needs: npm install onnxruntime-node @huggingface/tokenizers
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import ort from "onnxruntime-node";

const [folder, sound, ...texts] = process.argv.slice(2);
const json = async (name) => JSON.parse(await readFile(join(folder, name), "utf8"));
const manifest = await json("manifest.json");
const { begin_ids, end_ids, max_tokens, suffix, file } = manifest.tokenizer;
const tokenizer = new Tokenizer(await json(file), {});
const audio = await ort.InferenceSession.create(join(folder, "audio.onnx"));
const text = await ort.InferenceSession.create(join(folder, "text.onnx"));

/** A wave of any length at the model's rate → its unit vector. */
async function embedWave(wave) {
  const input = new ort.Tensor("float32", wave, [1, wave.length]);
  return (await audio.run({ wave: input })).embedding.data;
}

/** A text → its unit vector. */
async function embedText(words) {
  const most = max_tokens - begin_ids.length - end_ids.length;
  const ids = tokenizer.encode(words + suffix, { add_special_tokens: false }).ids.slice(0, most);
  const all = BigInt64Array.from([...begin_ids, ...ids, ...end_ids].map(BigInt));
  const shape = [1, all.length];
  const mask = new ort.Tensor("int64", all.map(() => 1n), shape);
  return (await text.run({ input_ids: new ort.Tensor("int64", all, shape), attention_mask: mask })).embedding.data;
}

/** The samples of a WAV file of 16 bits, which must have one channel and the model's rate. */
async function readWav(path) {
  const bytes = await readFile(path);
  let at = 12;
  let format;
  for (; bytes.toString("latin1", at, at + 4) !== "data"; at += 8 + bytes.readUInt32LE(at + 4)) {
    if (bytes.toString("latin1", at, at + 4) === "fmt ") format = at + 8;
  }
  const [channels, rate, bits] = [bytes.readUInt16LE(format + 2), bytes.readUInt32LE(format + 4), bytes.readUInt16LE(format + 14)];
  if (channels !== 1 || rate !== manifest.sample_rate || bits !== 16) {
    throw new Error(`${path}: ffmpeg -i IN -ac 1 -ar ${manifest.sample_rate} -c:a pcm_s16le OUT.wav makes what is read here`);
  }
  const count = bytes.readUInt32LE(at + 4) / 2;
  return Float32Array.from({ length: count }, (_, i) => bytes.readInt16LE(at + 8 + 2 * i) / 32768);
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const heard = await embedWave(await readWav(sound));
for (const words of texts) {
  console.log(dot(heard, await embedText(words)).toFixed(4), words);
}
