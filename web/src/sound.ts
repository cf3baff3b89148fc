// A file → one channel of samples at the model's rate, read part by part.
//
//   WAV at the model's rate     its own samples, read from the file
//   WAV at another rate         parts of it, decoded and resampled by the browser
//   anything else               decoded and resampled by the browser, whole: so its length has a limit
import { toMono } from "./mono";
import { openOggEnd } from "./ogg";
import { cutWav, readWavFormat, readWavFrames, type WavFormat } from "./wav";

export interface Sound {
  samples: number;
  read(from: number, count: number): Promise<Float32Array>;
}

export type Fault = "bad.empty" | "bad.decode" | "bad.long" | "bad.read" | "bad.numbers";

/** Why a file cannot be taken: a key of the strings. */
export class SoundError extends Error {
  constructor(readonly fault: Fault) {
    super(fault);
  }
}

export const MOST_MINUTES = 40; // of a recording that is decoded whole: 600 MB in stereo at 32 kHz

export async function openSound(file: File, rate: number): Promise<Sound> {
  let wav: WavFormat | null;
  try {
    wav = await readWavFormat(file);
  } catch {
    throw new SoundError("bad.read");
  }
  const sound = !wav ? await decodeWhole(file, rate) : wav.rate === rate ? exact(file, wav) : byParts(file, wav, rate);
  if (!sound.samples) throw new SoundError("bad.empty");
  return sound;
}

function exact(file: File, wav: WavFormat): Sound {
  return {
    samples: wav.frames,
    async read(from, count) {
      const second = Math.round(wav.rate); // channels are mixed second by second, from the start of the recording on
      const start = wav.channels === 1 ? from : Math.floor(from / second) * second;
      const end = wav.channels === 1 ? from + count : Math.min(wav.frames, Math.ceil((from + count) / second) * second);
      return finite(toMono(await readWavFrames(file, wav, start, end - start), wav.rate)).subarray(from - start, from - start + count);
    },
  };
}

function byParts(file: File, wav: WavFormat, rate: number): Sound {
  const divisor = gcd(wav.rate, rate);
  const [frameStep, sampleStep] = [wav.rate / divisor, rate / divisor]; // where a frame and a sample fall together
  const margin = Math.ceil((0.25 * rate) / sampleStep); // steps before and behind, in which the resampler settles
  const samples = Math.round((wav.frames * rate) / wav.rate);
  return {
    samples,
    async read(from, count) {
      const first = Math.max(0, Math.floor(from / sampleStep) - margin);
      const last = Math.ceil((from + count) / sampleStep) + margin;
      const frames = Math.min(last * frameStep, wav.frames) - first * frameStep;
      const wave = await decode(await cutWav(file, wav, first * frameStep, frames), rate);
      const part = new Float32Array(count);
      part.set(wave.subarray(from - first * sampleStep, from - first * sampleStep + count));
      return part;
    },
  };
}

async function decodeWhole(file: File, rate: number): Promise<Sound> {
  if ((await secondsOf(file)) > MOST_MINUTES * 60) throw new SoundError("bad.long");
  let bytes: ArrayBuffer;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    throw new SoundError("bad.read");
  }
  if (!bytes.byteLength) throw new SoundError("bad.empty");
  const seconds = openOggEnd(bytes);
  const decoded = await decode(bytes, rate);
  const wave = seconds === null ? decoded : decoded.subarray(0, Math.round(seconds * rate));
  return { samples: wave.length, read: async (from, count) => wave.subarray(from, from + count) };
}

/** The length that the browser's player tells; 0 where it does not know. */
function secondsOf(file: File): Promise<number> {
  return new Promise((resolve) => {
    const player = document.createElement("audio");
    const address = URL.createObjectURL(file);
    const end = () => {
      URL.revokeObjectURL(address);
      player.removeAttribute("src");
      resolve(Number.isFinite(player.duration) ? player.duration : 0);
    };
    player.preload = "metadata";
    player.onloadedmetadata = player.onerror = end;
    player.src = address;
  });
}

async function decode(bytes: ArrayBuffer, rate: number): Promise<Float32Array> {
  let buffer: AudioBuffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch {
    throw new SoundError("bad.decode");
  }
  return finite(toMono(Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c)), rate));
}

function finite(wave: Float32Array): Float32Array {
  if (!wave.every(Number.isFinite)) throw new SoundError("bad.numbers");
  return wave;
}

function gcd(a: number, b: number): number {
  return b ? gcd(b, a % b) : a;
}

/** The first sample of every window: as openclap's audio/clips.py, the last one is moved back to end with the recording. */
export function windowStarts(samples: number, window: number, hop: number): number[] {
  const last = Math.max(samples - window, 0);
  const starts: number[] = [];
  for (let k = 0; Math.round(k * hop) < last; k++) starts.push(Math.round(k * hop));
  return [...starts, last];
}
