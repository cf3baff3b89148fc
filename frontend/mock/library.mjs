// A made-up library: file number i is always the same, so a million of them cost nothing until they are looked at.
const KINDS = [
  ["Animals/Birds", ["robin", "crow", "gull", "owl"], ["bird", "outdoors"]], ["Animals/Dogs", ["bark", "growl", "howl"], ["dog"]],
  ["Drums/Kicks", ["kick", "kick_909", "kick_dry"], ["drum", "one-shot"]], ["Drums/Snares", ["snare", "rimshot"], ["drum", "one-shot"]],
  ["Weather/Rain", ["rain_on_roof", "drizzle", "downpour"], ["rain", "ambience"]], ["Weather/Wind", ["gust", "breeze"], ["wind", "ambience"]],
  ["Doors", ["door_creak", "door_slam"], ["door"]], ["城市/车站", ["地铁进站", "广播", "人群"], ["city", "城市"]],
];
const FORMATS = ["wav", "wav", "wav", "flac", "mp3", "aiff"];
const HOSTILE = [
  "<img src=x onerror=alert(1)>.wav", "\u202Egnp.exe.wav", "two\nlines.wav", `${"very_long_name_".repeat(20)}end.wav`, "\"quotes\" & 'more'.wav",
  "שלום עולם.wav", "a b  c.wav", "👩‍👩‍👧‍👦 family_family_family_family 👩‍👩‍👧‍👦.wav", "-rf.wav", "${x}{{y}}.wav",
];
export const playedTags = new Map(); // path → tags that were changed
export const collected = new Map(); // path → collections

export function random(seed) {
  let a = (seed + 1) * 0x9e3779b9;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function file(i) {
  const next = random(i);
  const kind = Math.floor(next() * KINDS.length);
  const [folder, words, tags] = KINDS[kind];
  const format = FORMATS[Math.floor(next() * FORMATS.length)];
  const word = words[Math.floor(next() * words.length)];
  const name = i < HOSTILE.length ? HOSTILE[i] : `${word}_${String(i).padStart(5, "0")}.${format}`;
  const place = i < HOSTILE.length ? "Strange <b>names</b>" : next() < 0.3 ? `${folder}/Pack ${1 + Math.floor(next() * 4)}` : folder;
  const path = `${place}/${name}`;
  return {
    path, name, folder: place, seconds: Math.round(Math.exp(next() * 7 - 1.5) * 100) / 100, format: name.slice(name.lastIndexOf(".") + 1),
    tags: playedTags.get(path) ?? tags.slice(0, next() < 0.6 ? 1 : 2), collections: collected.get(path) ?? (i % 4000 === 77 ? ["Trailer"] : []), modified: 1.7e9 + next() * 5e7, playable: true, why: null, kind, number: i,
  };
}

export function peaks(seconds, seed) {
  const next = random(seed + 77);
  const decay = 1 + next() * 6;
  const bytes = Buffer.alloc(200);
  for (let i = 0; i < 200; i++) bytes[i] = Math.min(255, (40 + 215 * next()) * Math.exp((-decay * i) / 200) * (0.6 + 0.4 * Math.sin(i / (3 + seed % 9))));
  return bytes.toString("base64");
}

export function tone(one) {
  const rate = 8000;
  const count = Math.floor(Math.min(one.seconds, 120) * rate);
  const wav = Buffer.alloc(44 + count * 2);
  wav.write("RIFF", 0); wav.writeUInt32LE(36 + count * 2, 4); wav.write("WAVEfmt ", 8); wav.writeUInt32LE(16, 16); wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22); wav.writeUInt32LE(rate, 24); wav.writeUInt32LE(rate * 2, 28); wav.writeUInt16LE(2, 32); wav.writeUInt16LE(16, 34);
  wav.write("data", 36); wav.writeUInt32LE(count * 2, 40);
  const pitch = 180 + (one.number % 24) * 30;
  for (let i = 0; i < count; i++) wav.writeInt16LE(Math.round(6000 * Math.sin((i / rate) * pitch * 2 * Math.PI) * Math.exp(-i / rate / 2)), 44 + i * 2);
  return wav;
}

export function point(one) {
  const next = random(one.number + 5);
  const spread = () => (next() + next() + next() - 1.5) * 0.12;
  const angle = (one.kind / KINDS.length) * 2 * Math.PI;
  return { path: one.path, x: 0.5 + 0.33 * Math.cos(angle) + spread(), y: 0.5 + 0.33 * Math.sin(angle) + spread(), cluster: one.kind };
}

export const CLUSTERS = KINDS.map(([, , tags], id) => {
  const angle = (id / KINDS.length) * 2 * Math.PI;
  return { id, name: `${tags[0]} ${id % 2 ? "" : "sounds"}`.trim(), names: { zh: `组 ${id}` }, x: 0.5 + 0.33 * Math.cos(angle), y: 0.5 + 0.33 * Math.sin(angle) };
});
