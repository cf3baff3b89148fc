// Made-up recordings: how long one is, and what is in it, follows from its name. "hour" lasts an hour, "silent" is silent,
// "tracks" has two, "lost" is forgotten at once, "broken" is no sound, "slow" answers slowly.
import { deflateSync, crc32 } from "node:zlib";
import { random } from "./library.mjs";

const RATE = 8000;
export const kept = new Map();
const heard = new Set(); // recordings that were listened to: the next answer comes at once
const wait = (ms) => new Promise((go) => setTimeout(go, ms));
const SOUNDS = [["Dog", "狗"], ["Rain", "雨"], ["Speech", "说话声"], ["Car passing by", "汽车驶过"], ["Music", "音乐"], ["Bird", "鸟"], ["Door", "门"], ["Wind", "风"], ["Siren", "警笛"]];

export function keep(name, seconds) {
  if (/broken/.test(name)) return null;
  const long = seconds ?? (/hour/.test(name) ? 3600 : /minutes/.test(name) ? 600 : 12.5);
  const one = { id: `r${kept.size + 1}x${name.length}abcdef`, name, seconds: long, silent: /silent/.test(name), tracks: /tracks/.test(name) ? [{ index: 1, title: "<b>Boom</b>", language: "en" }, { index: 2, title: "Lavalier", language: "zh" }] : [{ index: 1, title: "", language: "" }] };
  kept.set(one.id, one);
  if (/lost/.test(name)) setTimeout(() => kept.delete(one.id), 1500);
  return one;
}

/** Loudness at a second, 0 to 1: bursts, so that any zoom shows something. */
function level(one, second) {
  if (one.silent) return 0;
  const burst = Math.sin(second * 0.9) ** 8 * 0.7 + 0.12 + 0.18 * Math.sin(second / 97) ** 2;
  return Math.min(1, burst * (0.75 + 0.25 * Math.sin(second * 211)));
}

function peaks(one, query) {
  const [start, end, count] = [Number(query.get("start") ?? 0), Number(query.get("end") ?? one.seconds), Number(query.get("count") ?? 1000)];
  const bytes = Buffer.alloc(count);
  for (let i = 0; i < count; i++) {
    const at = start + ((i + 0.5) / count) * (end - start);
    const wide = (end - start) / count;
    bytes[i] = 255 * Math.max(level(one, at), level(one, at + wide / 3), level(one, at - wide / 3)) * (wide < 0.001 ? Math.abs(Math.sin(at * 1382)) : 1);
  }
  return bytes.toString("base64");
}

const RAMP = [[10, 10, 20], [53, 17, 94], [122, 28, 109], [190, 54, 84], [239, 105, 37], [252, 180, 40], [252, 255, 200]];

function picture(one, query) {
  const [start, end] = [Number(query.get("start") ?? 0), Number(query.get("end") ?? one.seconds)];
  const [width, height] = [Number(query.get("width") ?? 1000), Number(query.get("height") ?? 96)];
  const rows = Buffer.alloc((width + 1) * height);
  for (let x = 0; x < width; x++) {
    const at = start + ((x + 0.5) / width) * (end - start);
    const loud = level(one, at);
    for (let y = 0; y < height; y++) {
      const pitch = (height - y) / height;
      const tone = Math.exp(-(((pitch - 0.35 - 0.2 * Math.sin(at)) * 9) ** 2)) + 0.6 * Math.exp(-pitch * 4);
      rows[y * (width + 1) + x + 1] = Math.min(255, 255 * loud * tone + 18 * pitch);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.alloc(768);
  for (let i = 0; i < 256; i++) {
    const [at, part] = [Math.min(5, Math.floor((i / 255) * 6)), Math.min(1, (i / 255) * 6 - Math.min(5, Math.floor((i / 255) * 6)))];
    for (let c = 0; c < 3; c++) colours[i * 3 + c] = RAMP[at][c] + (RAMP[at + 1][c] - RAMP[at][c]) * part;
  }
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("PLTE", colours), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** Bytes of a WAV of any length, made as they are asked for. */
function wav(one, from, to) {
  const all = Math.floor(one.seconds * RATE) * 2;
  const out = Buffer.alloc(to - from);
  const head = Buffer.alloc(44);
  head.write("RIFF"); head.writeUInt32LE(36 + all, 4); head.write("WAVEfmt ", 8); head.writeUInt32LE(16, 16); head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22); head.writeUInt32LE(RATE, 24); head.writeUInt32LE(RATE * 2, 28); head.writeUInt16LE(2, 32); head.writeUInt16LE(16, 34);
  head.write("data", 36); head.writeUInt32LE(all, 40);
  for (let i = from; i < to; i++) {
    if (i < 44) out[i - from] = head[i];
    else {
      const sample = Math.floor((i - 44) / 2);
      const value = Math.round(5000 * level(one, sample / RATE) * Math.sin((sample / RATE) * 1382));
      out[i - from] = (i - 44) % 2 ? (value >> 8) & 255 : value & 255;
    }
  }
  return out;
}

function audio(one, request, answer, send) {
  const all = 44 + Math.floor(one.seconds * RATE) * 2;
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
  const from = range ? Number(range[1]) : 0;
  const to = Math.min(all, range?.[2] ? Number(range[2]) + 1 : from + 2_000_000);
  const headers = { "Content-Type": "audio/wav", "Accept-Ranges": "bytes", "Content-Length": to - from, "Content-Range": `bytes ${from}-${to - 1}/${all}` };
  send(answer, 206, wav(one, from, to), headers);
}

function spans(one, zh) {
  const next = random(one.name.length);
  const all = [];
  for (let at = 0; at < one.seconds - 0.5;) {
    const end = Math.min(one.seconds, at + 2 + next() * (one.seconds / 40));
    const [first, second] = [SOUNDS[Math.floor(next() * SOUNDS.length)], SOUNDS[Math.floor(next() * SOUNDS.length)]];
    const label = one.silent ? (zh ? "静音" : "silence") : next() < 0.1 ? null : first[zh ? 1 : 0];
    const score = one.silent ? 1 : 0.4 + next() * 0.6;
    all.push({ start: at, end, label, score, tags: label ? [{ label, confidence: score, similarity: 0.2, alike: [] }, { label: second[zh ? 1 : 0], confidence: score / 2, similarity: 0.1, alike: [] }] : [], sentence: "" });
    at = end;
    if (one.silent) break;
  }
  return all;
}

const ANSWERS = {
  describe: (one, { timeline, language }) => {
    const zh = language === "zh";
    const tags = one.silent ? [] : [["Dog", "狗", 0.93], ["Rain", "雨", 0.71], ["Speech", "说话声", 0.32]].map(([en, other, confidence]) => ({ label: zh ? other : en, confidence, similarity: 0.3, alike: [] }));
    return { tags, sentence: one.silent ? (zh ? "静音。" : "Silence.") : zh ? "一只狗在雨中叫，可能有人说话。" : "A dog barks in the rain, and perhaps somebody speaks.", captions: [], spans: timeline ? spans(one, zh) : null };
  },
  classify: (one, { labels }) => {
    const scores = labels.map((label) => ({ label, weight: Math.exp(6 * random(label.length + one.name.length)()) }));
    const all = scores.reduce((sum, { weight }) => sum + weight, 0);
    return { labels: scores.map(({ label, weight }) => ({ label, score: one.silent ? 0 : weight / all, similarity: one.silent ? 0 : Math.log(weight) / 14 })).sort((a, b) => b.score - a.score), unknown: unknown(labels), silent: one.silent || undefined };
  },
  match: (one, { texts }) => ({ matches: texts.map((text) => ({ text, score: one.silent ? 0 : random(text.length)() * 0.8 - 0.2 })), unknown: unknown(texts), silent: one.silent || undefined }),
  moments: (one, { queries = [], detectors = [], k }) => ({
    moments: [...queries, ...detectors].flatMap((query, number) => Array.from({ length: Math.min(k, Math.ceil(one.seconds / 3)) }, (_, i) => {
      const next = random(query.length * 31 + number * 7 + i);
      const start = next() * (one.seconds - 1);
      const none = one.silent || /asdf|unlikely/.test(query);
      const confidence = none ? 0.05 * next() : Math.max(0.1, 0.97 - i * 0.12 - 0.1 * next());
      return { ...(detectors.includes(query) ? { detector: query } : { query }), start, end: Math.min(one.seconds, start + 0.6 + next() * Math.min(12, one.seconds / 12)), score: confidence / 2, confidence, unlikely: confidence < 0.3 };
    })), left_out: 0, unknown: unknown(queries),
  }),
};

function unknown(texts) {
  return texts.some((text) => /hundegebell/i.test(text)) ? [{ word: "Hundegebell", nearest: ["dog", "barking"] }] : [];
}

async function question(tool, request, answer, { read, json, error, log }) {
  if (request.headers["content-type"]?.startsWith("multipart/")) { // a sound of a few seconds
    const language = (await read(request)).includes('name="language"\r\n\r\nzh') ? "zh" : "en";
    return json(answer, ANSWERS[tool]({ name: "now", seconds: 5 }, { language }));
  }
  const wish = JSON.parse(await read(request));
  const one = kept.get(wish.recording);
  if (!one) return error(answer, 404, "there is no such recording, or no longer; upload it again");
  if (JSON.stringify(wish).includes("error")) return error(answer, 400, "labels holds an empty text; describe a sound in words");
  log.push(`${tool} ${JSON.stringify(wish)}`.slice(0, 300));
  if (!request.headers.accept?.includes("ndjson")) return json(answer, ANSWERS[tool](one, wish));
  answer.writeHead(200, { "Content-Type": "application/x-ndjson" });
  const steps = heard.has(one.id) ? 0 : /slow/.test(one.name) ? 200 : one.seconds > 300 ? 20 : 4;
  for (let i = 0; i < steps; i++) {
    if (answer.destroyed) return void log.push(`${tool} was stopped`);
    answer.write(`${JSON.stringify({ progress: i / steps, seconds_left: i ? (steps - i) * 0.1 : null })}\n`);
    await wait(100);
  }
  if (answer.destroyed) return void log.push(`${tool} was stopped`);
  heard.add(one.id);
  answer.end(`${JSON.stringify({ result: ANSWERS[tool](one, wish) })}\n`);
}

async function upload(request, answer, { read, json, error, byPath }) {
  const bytes = await read(request);
  const kind = request.headers["content-type"] ?? "";
  if (kind.startsWith("application/json")) {
    const sound = byPath(JSON.parse(bytes).path);
    return sound ? json(answer, keep(sound.name, sound.seconds)) : error(answer, 404, "no such sound in the library");
  }
  const name = /filename="((?:[^"\\]|\\.)*)"/.exec(bytes.subarray(0, 2000).toString())?.[1].replaceAll("%22", '"') ?? "recording";
  await wait(150);
  const one = keep(name);
  return one ? json(answer, one) : error(answer, 422, `${name}: holds no audio`);
}

/** Answer what is about recordings; false where it is not. */
export async function recordings(request, answer, path, query, tools) {
  const { json, error, send, read } = tools;
  if (path === "/v1/recordings" && request.method === "POST") return upload(request, answer, tools), true;
  const tool = /^\/v1\/(describe|classify|match|moments)$/.exec(path)?.[1];
  if (tool) return question(tool, request, answer, tools), true;
  if (path === "/v1/export") {
    const { spans: all, format } = JSON.parse(await read(request));
    return send(answer, 200, `${format}\n${all.map(({ start, end, label }) => `${start}\t${end}\t${label}`).join("\n")}`, { "Content-Type": "text/plain" }), true;
  }
  const [, id, what] = /^\/v1\/recordings\/([^/]+)(?:\/(\w+))?$/.exec(path) ?? [];
  if (!id) return false;
  const one = kept.get(id);
  if (!one) error(answer, 404, "there is no such recording, or no longer; upload it again");
  else if (!what) json(answer, one);
  else if (what === "peaks" && request.headers.accept?.includes("ndjson")) send(answer, 200, `${JSON.stringify({ progress: 0 })}\n${JSON.stringify({ result: { peaks: peaks(one, query) } })}\n`, { "Content-Type": "application/x-ndjson" });
  else if (what === "peaks") json(answer, { peaks: peaks(one, query) });
  else if (what === "spectrogram" && request.headers.accept?.includes("ndjson")) {
    answer.writeHead(200, { "Content-Type": "application/x-ndjson" });
    for (let i = 0; i < 8; i++) {
      answer.write(`${JSON.stringify({ progress: i / 8, seconds_left: null })}\n`);
      await wait(60);
    }
    answer.end(`${JSON.stringify({ result: { png: picture(one, query).toString("base64") } })}\n`);
  } else if (what === "part") send(answer, 200, wav({ ...one, seconds: query.get("end") - query.get("start") }, 0, 44 + Math.floor((query.get("end") - query.get("start")) * RATE) * 2), { "Content-Type": "audio/wav", "Content-Disposition": "attachment; filename=part.wav" });
  else if (what === "spectrogram") send(answer, 200, picture(one, query), { "Content-Type": "image/png" });
  else if (what === "audio") audio(one, request, answer, send);
  else return false;
  return true;
}
