// The HTTP API as the page sees it, over a made-up library; for developing the page, never shipped.
//   node mock/server.mjs [--port 8123] [--files 10000] [--slow MS] [--readonly] [--no-model]
import { createServer } from "node:http";
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { kept, recordings } from "./recordings.mjs";
import { teaching } from "./teaching.mjs";
import { CLUSTERS, collected, file, peaks, playedTags, point, random, tone } from "./library.mjs";
import { isFull, setFull, upgrade } from "./watching.mjs";

const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const flag = (name) => process.argv.includes(`--${name}`);
const STATIC = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "src", "openclap", "serve", "static");
const SLOW = Number(option("slow", 0));
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; connect-src 'self' blob:; font-src 'self'; worker-src 'self' blob:; manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };
const BARE = `<!doctype html><title>bare</title><input id="field"><p id="typed"></p><script>field.oninput = () => (typed.textContent = field.value)</script>`; // to measure by
let count = Number(option("files", 10000));
let model = { name: "mini", state: flag("no-model") ? "none" : "ready" };
export const log = [];

let all = null;
const files = () => (all ??= Array.from({ length: count }, (_, i) => i));
const byPath = (path) => {
  const digits = /_(\d{5,7})\.\w+$/.exec(path);
  if (digits) return file(Number(digits[1]));
  for (let i = 0; i < 10; i++) if (file(i).path === path) return file(i);
  return null;
};

function passes(one, query) {
  const words = (query.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${one.path} ${one.tags.join(" ")}`.toLowerCase();
  const folder = query.get("folder");
  const [formats, tags] = [query.getAll("format"), query.getAll("tag")];
  return words.every((word) => text.includes(word)) && (!folder || one.folder === folder || one.folder.startsWith(`${folder}/`))
    && (!formats.length || formats.includes(one.format)) && tags.every((tag) => one.tags.includes(tag)) && query.getAll("collection").every((name) => one.collections.includes(name))
    && (!query.get("min_seconds") || one.seconds >= Number(query.get("min_seconds"))) && (!query.get("max_seconds") || one.seconds <= Number(query.get("max_seconds")));
}

const cache = new Map();
function listed(query) {
  const [sort, order] = [query.get("sort") ?? "name", query.get("order") ?? "asc"];
  const key = JSON.stringify([...query].filter(([name]) => !["offset", "limit"].includes(name)));
  if (cache.has(key)) return cache.get(key);
  const plain = !["text", "folder", "format", "tag", "collection", "min_seconds", "max_seconds"].some((name) => query.get(name));
  let found = files();
  if (!plain) found = found.slice(0, 50_000).filter((i) => passes(file(i), query));
  if (count <= 100_000) found = found.map((i) => [file(i)[sort], i]).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, i]) => i);
  if (order === "desc") found = [...found].reverse();
  cache.set(key, found);
  return found;
}

function facets(query) {
  const counts = { folders: new Map(), formats: new Map(), tags: new Map(), collections: new Map() };
  const add = (map, value) => map.set(value, (map.get(value) ?? 0) + 1);
  for (const i of listed(query).slice(0, 50_000)) {
    const one = file(i);
    const parts = one.folder.split("/");
    parts.forEach((_, n) => add(counts.folders, parts.slice(0, n + 1).join("/")));
    add(counts.formats, one.format);
    one.tags.forEach((tag) => add(counts.tags, tag));
    one.collections.forEach((name) => add(counts.collections, name));
  }
  return Object.fromEntries(Object.entries(counts).map(([name, map]) => [name, [...map].map(([value, n]) => ({ value, count: n })).sort((a, b) => b.count - a.count)]));
}

function search(wish) {
  const words = (wish.query ?? "").toLowerCase().match(/[\p{L}\d]+/gu) ?? [];
  const like = wish.like ? byPath(wish.like) : null;
  const query = new URLSearchParams([...[wish.within ?? []].flat().map((one) => ["folder", one]), ...[wish.tags ?? []].flat().map((one) => ["tag", one]), ...[wish.format ?? []].flat().map((one) => ["format", one])]);
  const nothing = words.includes("asdf");
  const hits = files().slice(0, 10_000).map(file).filter((one) => passes(one, query)).map((one) => {
    const named = words.filter((word) => word.length > 2 && one.path.toLowerCase().includes(word));
    const noise = random(one.number + words.join("").length * 31)();
    const heard = nothing ? noise * 0.12 : like ? (like.kind === one.kind ? 0.4 + noise * 0.55 : noise * 0.3) : Math.min(0.99, noise * 0.45 + (named.length ? 0.5 : 0));
    return { path: one.path, start: 0, end: Math.min(10, one.seconds), score: heard * 0.6, confidence: heard, relevance: words.length ? Math.min(1, heard * 0.8 + 0.2 * named.length) : null, named: words.length ? named : null, unlikely: heard < 0.42 };
  }).sort((a, b) => (b.relevance ?? b.confidence) - (a.relevance ?? a.confidence)).slice(0, Number(wish.k ?? 10));
  const unknown = words.includes("hundegebell") ? [{ word: "Hundegebell", nearest: "dog" }] : [];
  return { hits, left_out: 0, unknown, nothing_likely: hits.every((hit) => hit.unlikely) };
}

const send = (answer, status, body, headers = {}) => answer.writeHead(status, { "Content-Security-Policy": CSP, "Cache-Control": "no-store", ...headers }).end(body);
const json = (answer, body, status = 200) => send(answer, status, JSON.stringify(body), { "Content-Type": "application/json" });
const error = (answer, status, message) => json(answer, { error: { message, type: "mock", code: "mock" } }, status);
const read = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
};

function audio(request, answer, query) {
  const one = byPath(query.get("path"));
  if (!one) return error(answer, 404, "No such sound.");
  const wav = tone(one);
  const headers = { "Content-Type": "audio/wav", "Accept-Ranges": "bytes" };
  if (query.get("download")) headers["Content-Disposition"] = "attachment";
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
  if (!range) return send(answer, 200, wav, { ...headers, "Content-Length": wav.length });
  const [from, to] = [Number(range[1]), range[2] ? Number(range[2]) : wav.length - 1];
  return send(answer, 206, wav.subarray(from, to + 1), { ...headers, "Content-Range": `bytes ${from}-${to}/${wav.length}`, "Content-Length": to + 1 - from });
}

async function index(request, answer) {
  await read(request);
  answer.writeHead(200, { "Content-Type": "application/x-ndjson" });
  for (let done = 0; done <= 40; done++) {
    if (answer.destroyed) return;
    answer.write(`${JSON.stringify({ done, total: 40 })}\n`);
    await new Promise((go) => setTimeout(go, 60));
  }
  count ||= 40;
  all = null;
  cache.clear();
  answer.end(`${JSON.stringify({ added: 40, updated: 0, unchanged: 0, removed: 0, failed: [{ path: "broken.wav", error: "holds no audio" }] })}\n`);
}

const ROUTES = {
  "GET /v1/library": (_, answer) => json(answer, { files: count, windows: count, seconds: 0, model: "mini", writable: !flag("readonly"), roots: ["sounds"] }),
  "GET /v1/library/files": (_, answer, query) => {
    if (query.has("path")) return json(answer, { total: 0, files: query.getAll("path").map(byPath).filter(Boolean) });
    const [offset, limit] = [Number(query.get("offset") ?? 0), Number(query.get("limit") ?? 200)];
    const found = listed(query);
    return json(answer, { total: found.length, files: found.slice(offset, offset + limit).map(file) });
  },
  "GET /v1/library/facets": (_, answer, query) => json(answer, facets(query)),
  "GET /v1/library/peaks": (_, answer, query) => json(answer, { peaks: Object.fromEntries(query.getAll("path").map((path) => [path, peaks(1, byPath(path)?.number ?? 1)])) }),
  "GET /v1/library/audio": audio,
  "GET /v1/library/folders": (_, answer, query) => json(answer, { folders: query.get("inside") ? ["sounds/Animals", "sounds/Drums"] : ["sounds"] }),
  "GET /v1/library/map": (_, answer, query) => {
    const points = listed(query).slice(0, 20_000).map((i) => point(file(i)));
    return json(answer, { points, clusters: CLUSTERS.map((one) => ({ ...one, count: points.filter(({ cluster }) => cluster === one.id).length })) });
  },
  "GET /v1/page": (_, answer) => json(answer, { model, models: ["mini", "laion/clap-htsat-fused"], languages: ["en", "zh"], examples: true, most_bytes: { recording: 2 ** 21, file: 2 ** 21, body: 2 ** 20 } }),
  "POST /v1/page/model": async (request, answer) => {
    const { name } = JSON.parse(await read(request));
    model = { name, state: "loading" };
    setTimeout(() => (model = { name, state: "ready" }), 1200);
    json(answer, { model });
  },
  "POST /v1/library/tags": async (request, answer) => {
    const { paths, add = [], remove = [], collect = [], uncollect = [] } = JSON.parse(await read(request));
    for (const path of paths) playedTags.set(path, [...new Set([...(byPath(path)?.tags ?? []).filter((tag) => !remove.includes(tag)), ...add])]);
    for (const path of paths) collected.set(path, [...new Set([...(collected.get(path) ?? []).filter((name) => !uncollect.includes(name)), ...collect])]);
    cache.clear();
    json(answer, { changed: paths.length });
  },
  "GET /v1/library/export": (_, answer, query) => send(answer, 200, query.getAll("path").join("\n"), { "Content-Type": "application/zip" }),
  "POST /v1/library/export": async (request, answer) => send(answer, 200, `file\n${JSON.parse(await read(request)).paths.join("\n")}`, { "Content-Type": "text/csv" }),
  "GET /v1/watch": (_, answer) => (isFull() ? error(answer, 429, "the server has 16 websockets open, which is as many as it takes; try again later") : error(answer, 426, "this is a websocket")),
  "POST /mock/full": (_, answer) => json(answer, setFull() ?? {}),
  "POST /v1/library/index": index,
  "POST /v1/search": async (request, answer) => {
    const body = await read(request);
    const isForm = request.headers["content-type"].startsWith("multipart/");
    const wish = isForm ? { like: file(100).path, k: 50 } : JSON.parse(body);
    if (wish.query === "error") return error(answer, 400, "The words “error” cannot be searched for; take others.");
    if (wish.query === "lost") return request.socket.destroy();
    return json(answer, search(wish));
  },
  "POST /v1/journey": async (request, answer) => {
    const { from, to, n } = JSON.parse(await read(request));
    const steps = [byPath(from), ...Array.from({ length: n - 2 }, (_, i) => file(200 + i * 37)), byPath(to)];
    json(answer, { steps: steps.map((one) => ({ path: one.path, start: 0, end: 1, score: 0.5, confidence: 0.5 })) });
  },
};

createServer(async (request, answer) => {
  answer.on("error", () => {});
  const address = new URL(request.url, "http://here");
  const route = ROUTES[`${request.method} ${address.pathname}`];
  if (address.pathname === "/log") return json(answer, log);
  if (route) {
    log.push(`${request.method} ${request.url}`.slice(0, 300));
    if (SLOW) await new Promise((go) => setTimeout(go, SLOW));
    return route(request, answer, address.searchParams);
  }
  if (address.pathname.startsWith("/v1/")) {
    log.push(`${request.method} ${request.url}`.slice(0, 300));
    if (SLOW) await new Promise((go) => setTimeout(go, SLOW));
    if (await teaching(request, answer, address.pathname, { json, error, send, read, kept, readonly: flag("readonly"), log })) return;
    if (await recordings(request, answer, address.pathname, address.searchParams, { json, error, send, read, byPath, log })) return;
  }
  if (address.pathname === "/bare") return answer.writeHead(200, { "Content-Type": TYPES[".html"] }).end(BARE);
  const name = join(STATIC, address.pathname === "/" ? "index.html" : address.pathname.slice(1).replaceAll("..", ""));
  return existsSync(name) ? send(answer, 200, readFileSync(name), { "Content-Type": TYPES[extname(name)] ?? "text/plain" }) : error(answer, 404, "No such route.");
}).on("upgrade", (request, socket, head) => upgrade(request, socket, head, log)).listen(Number(option("port", 8123)), "127.0.0.1", () => console.log("http://127.0.0.1:" + option("port", 8123)));
