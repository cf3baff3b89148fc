// WAV files → samples. Parts are read from the file when they are wanted, so that memory does not grow with its length.

export interface WavFormat {
  rate: number;
  channels: number;
  bits: number;
  float: boolean;
  frameBytes: number;
  start: number; // byte of the first frame
  frames: number;
}

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** What the header of a WAV says; null where the file is no WAV, or one whose samples are coded. */
export async function readWavFormat(file: Blob): Promise<WavFormat | null> {
  const head = await view(file, 0, 12);
  if (head.byteLength < 12 || tag(head, 0) !== "RIFF" || tag(head, 8) !== "WAVE") return null;
  let format: Omit<WavFormat, "start" | "frames"> | null = null;
  for (let at = 12; at + 8 <= file.size; ) {
    const chunk = await view(file, at, 48);
    const size = chunk.getUint32(4, true);
    const name = tag(chunk, 0);
    if (name === "fmt ") format = readFormat(chunk);
    if (name === "data") {
      if (!format) return null;
      const bytes = Math.min(size, file.size - at - 8); // a recorder that was cut off leaves 0xffffffff or too much
      return { ...format, start: at + 8, frames: Math.floor(bytes / format.frameBytes) };
    }
    at += 8 + size + (size % 2);
  }
  return null;
}

function readFormat(chunk: DataView): Omit<WavFormat, "start" | "frames"> | null {
  if (chunk.byteLength < 24) return null;
  const [channels, rate, frameBytes, bits] = [chunk.getUint16(10, true), chunk.getUint32(12, true), chunk.getUint16(20, true), chunk.getUint16(22, true)];
  let kind = chunk.getUint16(8, true);
  if (kind === EXTENSIBLE && chunk.byteLength >= 34) kind = chunk.getUint16(32, true);
  const known = kind === PCM ? [8, 16, 24, 32].includes(bits) : kind === FLOAT && [32, 64].includes(bits);
  if (!known || !channels || !rate || frameBytes !== (channels * bits) / 8) return null;
  return { rate, channels, bits, float: kind === FLOAT, frameBytes };
}

/** Some frames → the samples of each channel; integers are divided by their full scale, as libsndfile does. */
export async function readWavFrames(file: Blob, wav: WavFormat, from: number, count: number): Promise<Float32Array[]> {
  const bytes = await view(file, wav.start + from * wav.frameBytes, count * wav.frameBytes);
  const frames = Math.floor(bytes.byteLength / wav.frameBytes);
  const width = wav.bits / 8;
  return Array.from({ length: wav.channels }, (_, channel) => {
    const samples = new Float32Array(frames);
    for (let i = 0, at = channel * width; i < frames; i++, at += wav.frameBytes) samples[i] = sample(bytes, at, wav);
    return samples;
  });
}

/** Some frames as a WAV file of their own, which the browser's decoder takes. */
export async function cutWav(file: Blob, wav: WavFormat, from: number, count: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(await file.slice(wav.start + from * wav.frameBytes, wav.start + (from + count) * wav.frameBytes).arrayBuffer());
  const whole = new Uint8Array(44 + bytes.length);
  const head = new DataView(whole.buffer);
  const write = (at: number, text: string) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  head.setUint32(4, 36 + bytes.length, true);
  write(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, wav.float ? FLOAT : PCM, true);
  head.setUint16(22, wav.channels, true);
  head.setUint32(24, wav.rate, true);
  head.setUint32(28, wav.rate * wav.frameBytes, true);
  head.setUint16(32, wav.frameBytes, true);
  head.setUint16(34, wav.bits, true);
  write(36, "data");
  head.setUint32(40, bytes.length, true);
  whole.set(bytes, 44);
  return whole.buffer;
}

function sample(bytes: DataView, at: number, { bits, float }: WavFormat): number {
  if (float) return bits === 32 ? bytes.getFloat32(at, true) : bytes.getFloat64(at, true);
  if (bits === 16) return bytes.getInt16(at, true) / 2 ** 15;
  if (bits === 24) return ((bytes.getInt8(at + 2) << 16) | bytes.getUint16(at, true)) / 2 ** 23;
  if (bits === 32) return bytes.getInt32(at, true) / 2 ** 31;
  return (bytes.getUint8(at) - 128) / 128;
}

async function view(file: Blob, at: number, size: number): Promise<DataView> {
  return new DataView(await file.slice(at, at + size).arrayBuffer());
}

function tag(bytes: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => (at + i < bytes.byteLength ? bytes.getUint8(at + i) : 0)));
}
