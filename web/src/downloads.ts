// The model and the engine: downloaded once, checked, and kept in the browser's cache where there is one.

export interface DataFile {
  file: string;
  bytes: number;
  sha256: string;
}

const base = new URL("./", self.location.href);

/** The files by name; `told` hears how many bytes are there. */
export async function download(files: DataFile[], version: string, told: (done: number, all: number) => void): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const cache = "caches" in self ? await caches.open(`openclap ${base.pathname} data ${version}`).catch(() => null) : null;
  const all = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  const found = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const one of files) {
    const address = new URL(one.file, base).href;
    const held = await cache?.match(address);
    if (held) {
      found.set(one.file, new Uint8Array(await held.arrayBuffer()));
      told((done += one.bytes), all);
      continue;
    }
    const content = await fetchWhole(address, one.bytes, (bytes) => told((done += bytes), all));
    await check(content, one);
    found.set(one.file, content);
    await cache?.put(address, new Response(content)).catch(() => undefined); // a full disk: it is downloaded again next time
  }
  return found;
}

async function fetchWhole(address: string, size: number, more: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(address);
  if (!response.ok || !response.body) throw new Error(`${address}: ${response.status}`);
  const content = new Uint8Array(size);
  let at = 0;
  for await (const part of chunks(response.body)) {
    if (at + part.length > size) throw new Error(`${address} is longer than ${size} bytes`);
    content.set(part, at);
    at += part.length;
    more(part.length);
  }
  if (at < size) throw new Error(`${address} ended after ${at} of ${size} bytes`);
  return content;
}

async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader(); // Safari cannot iterate a stream
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

async function check(content: Uint8Array<ArrayBuffer>, { file, sha256 }: DataFile): Promise<void> {
  if (!("subtle" in crypto)) return; // not by http://
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  if ([...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") !== sha256) throw new Error(`${file} was damaged on its way`);
}
