// Files → recordings with the vectors of their windows, one file after the other; a bad one never stops the rest.
import type { Picked } from "./folder";
import type { Model } from "./model";
import { isHeard } from "./mono";
import type { Manifest } from "./protocol";
import { openSound, SoundError, windowStarts, type Fault, type Sound } from "./sound";
import type { Recording, Store } from "./store";

export interface Heard {
  recording: Recording;
  open: () => Promise<File>;
}

export interface Report {
  known: number;
  silent: number;
  bad: { path: string; fault: Fault }[];
  full: boolean; // the browser had no room to keep something
}

/** Listen to files; `heard` gets each recording, `progress` how many files are done, a part of one as a fraction. */
export async function index(
  files: Picked[],
  { model, store, manifest }: { model: Model; store: Store; manifest: Manifest },
  heard: (one: Heard) => void,
  progress: (done: number, report: Report) => void,
  stop: AbortSignal,
): Promise<Report> {
  const report: Report = { known: 0, silent: 0, bad: [], full: false };
  let next = files[0] && prepare(files[0], store, manifest);
  for (const [i, { path, open }] of files.entries()) {
    if (stop.aborted) break;
    progress(i, report);
    const current = next;
    await current?.catch(() => undefined); // one file is decoded at a time, while the one before it is computed
    next = files[i + 1] && prepare(files[i + 1]!, store, manifest);
    next?.catch(() => undefined); // it is awaited in the next round
    try {
      const { file, known, sound } = await current!;
      const recording = known ?? (await listen(path, file, sound!, model, manifest, (part) => progress(i + part, report), stop));
      if (!recording) break;
      if (known) report.known++;
      else if (!(await store.keep(recording))) report.full = true;
      if (!recording.starts.length) report.silent++;
      heard({ recording, open });
    } catch (error) {
      if (!(error instanceof SoundError)) throw error;
      report.bad.push({ path, fault: error.fault });
    }
  }
  progress(files.length, report);
  return report;
}

interface Prepared {
  file: File;
  known: Recording | null;
  sound: Sound | null; // of a file that is not known
}

async function prepare({ path, open }: Picked, store: Store, manifest: Manifest): Promise<Prepared> {
  const file = await open().catch(() => {
    throw new SoundError("bad.read");
  });
  const known = await store.find(path, file).catch(() => null);
  return { file, known, sound: known ? null : await openSound(file, manifest.sample_rate) };
}

/** A recording, or null where it was stopped; while a window is computed the next one is read. */
async function listen(path: string, file: File, sound: Sound, model: Model, manifest: Manifest, progress: (part: number) => void, stop: AbortSignal): Promise<Recording | null> {
  const rate = manifest.sample_rate;
  const window = Math.round(manifest.window_seconds * rate);
  const starts = windowStarts(sound.samples, window, manifest.hop_seconds * rate);
  const [from, to, rows]: [number[], number[], Float32Array[]] = [[], [], []];
  let computing: Promise<unknown> = Promise.resolve();
  for (const [i, start] of starts.entries()) {
    if (stop.aborted) return null;
    let wave: Float32Array;
    try {
      wave = await sound.read(start, Math.min(window, sound.samples - start));
    } catch (error) {
      await computing;
      throw error instanceof SoundError ? error : new SoundError("bad.read");
    }
    await computing;
    progress(i / starts.length);
    if (!isHeard(wave, rate)) continue;
    from.push(start / rate);
    to.push((start + wave.length) / rate);
    computing = model.embedWave(wave).then((row) => rows.push(row));
    computing.catch(() => undefined); // it is awaited above or below
  }
  await computing;
  const vectors = new Float32Array(rows.length * manifest.embedding_size);
  rows.forEach((row, i) => vectors.set(row, i * manifest.embedding_size));
  return { path, size: file.size, modified: file.lastModified, starts: Float64Array.from(from), ends: Float64Array.from(to), vectors };
}
