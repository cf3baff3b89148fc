// Teaching, made up: a bell is what has "bark" in its name, so what is right and wrong can be told.
import { file, random } from "./library.mjs";

const drafts = new Map();
const REPORT = { judged: true, yes: 3, no: 3, unmarked: false, folds: 3, repeats: 10, precision: { value: 0.8, low: 0.38, high: 0.96 }, recall: { value: 1, low: 0.44, high: 1 }, average_precision: { value: 0.92, low: 0.5, high: 0.99 }, text: { precision: 0.5, recall: 1, average_precision: 0.7 }, gain: { value: 0.2, low: 0.02, high: 0.4 }, verdict: "better" };
const detector = (name, more = {}) => ({ name, text: name, threshold: 0.5, model: "mini", examples: { yes: 4, no: 5, drawn: 200 }, report: REPORT, fits: true, own: true, kept: 9, ...more });
let all = [
  detector("our doorbell"), detector("<b>boiler</b> \u202egnp", { examples: { yes: 1, no: 0, drawn: 200 }, report: { judged: false, why: "few" } }),
  detector("old one", { fits: false, model: "laion/clap-htsat-fused" }), detector("siren", { own: false, kept: 0 }),
];
let count = 0;

function shown(writable) {
  return { detectors: [...all].sort((a, b) => (a.name < b.name ? -1 : 1)), failed: writable ? [{ name: "broken", error: "cannot be read as a detector" }] : [], writable };
}

function hit(one, confidence) {
  return { path: one.path, start: 0, end: Math.min(10, one.seconds), score: confidence / 2, confidence, unlikely: confidence < 0.3 || null };
}

function taught(wish, kept) {
  const [yes, no] = ["yes", "no"].map((name) => (wish[name] ?? []).filter((one) => !one.recording || kept.has(one.recording)));
  const skipped = ["yes", "no"].flatMap((of) => (wish[of] ?? []).flatMap((one, index) => (one.recording && !kept.has(one.recording) ? [{ of, index, name: "a recording", error: "there is no such recording, or no longer; upload it again" }] : [])));
  const paths = new Set([...yes, ...no].map(({ path }) => path));
  const others = Array.from({ length: 400 }, (_, i) => file(i + 20)).map((one) => [one, one.path.includes("bark") ? 0.6 + 0.3 * random(one.number)() : 0.5 * random(one.number)()]);
  const hits = others.sort(([, a], [, b]) => b - a).slice(0, wish.k ?? 12).map(([one, value]) => hit(one, value));
  const next = others.filter(([one, value]) => !paths.has(one.path) && Math.abs(value - 0.45) < 0.1).slice(0, wish.suggestions ?? 5).map(([one, value]) => hit(one, value));
  const judged = yes.length >= 2 && no.length >= 2;
  const report = judged ? { ...REPORT, yes: yes.length, no: no.length } : { judged: false, why: "too few" };
  const made = detector(wish.name, { text: wish.text, examples: { yes: yes.length, no: no.length, drawn: 200 }, report, own: false, kept: 0 });
  const id = `draft:${++count}`;
  drafts.set(id, made);
  return { id, detector: made, hits, next, left_out: 0, skipped, unknown: [], before: null };
}

const lines = (answer, result, send) => {
  const body = `${JSON.stringify({ progress: 0, seconds_left: null })}\n${JSON.stringify({ result })}\n`;
  send(answer, 200, body, { "Content-Type": "application/x-ndjson" });
};

/** Answer what is about teaching; false where it is not. */
export async function teaching(request, answer, path, { json, error, send, read, kept, readonly, log }) {
  const post = request.method === "POST";
  if (path === "/v1/teach" && post) {
    const wish = JSON.parse(await read(request));
    log.push(`teach ${wish.yes.length} ${wish.no.length} ${wish.name} ${wish.text}`);
    if (wish.name === "error") return error(answer, 400, "rain.wav among the yes and rain.wav among the no are the same sound; say which it is"), true;
    const made = taught(wish, kept);
    if (!made.detector.examples.yes) return error(answer, 400, `no example of '${wish.name}' can be used; give sounds that it can be heard in`), true;
    return setTimeout(() => lines(answer, made, send), 60), true;
  }
  if (path === "/v1/detect" && post) {
    const { detectors, recording } = JSON.parse(await read(request));
    const silent = kept.get(recording)?.silent ?? false;
    return json(answer, { detectors: detectors.map((name, i) => ({ detector: name, probability: silent ? 0 : 0.83 / (i + 1), heard: !silent && i === 0 })), silent }), true;
  }
  const [, name, what] = /^\/v1\/detectors(?:\/([^/]+)(?:\/(\w+))?)?$/.exec(path) ?? [];
  if (!path.startsWith("/v1/detectors")) return false;
  const known = name === undefined ? undefined : decodeURIComponent(name);
  if (what === "file") return send(answer, 200, "detector", { "Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="drip.safetensors"` }), true;
  if (!post) return json(answer, shown(!readonly)), true;
  const body = await read(request);
  if (readonly) return error(answer, 403, "only the owner of this server may keep and change detectors"), true;
  if (known === undefined) {
    const wish = (request.headers["content-type"] ?? "").startsWith("multipart/") ? { name: "from a file" } : JSON.parse(body);
    if (body.includes("no detector")) return error(answer, 422, "the file is not taken: cannot be read as a detector"), true;
    const made = { ...(drafts.get(wish.draft) ?? detector(wish.name)), name: wish.name, own: true, kept: 5 };
    log.push(`keep ${wish.name} ${wish.over ?? false}`);
    all = [...all.filter((one) => one.name !== wish.name), made];
    return json(answer, { detector: made, lost: 0 }), true;
  }
  const one = all.find((other) => other.name === known);
  if (what === "forget") all = all.filter((other) => other !== one);
  if (what === "forget") return json(answer, shown(true)), true;
  if (what === "rename") {
    one.name = JSON.parse(body).name;
    return json(answer, { detector: one, lost: 0 }), true;
  }
  drafts.set("draft:refit", { ...one, fits: true, model: "mini" });
  return lines(answer, { id: "draft:refit", detector: one, hits: [], next: [], skipped: [], before: REPORT }, send), true;
}
