// Several channels → one, and how loud it is; the rules and numbers of openclap's audio/channels.py and audio/levels.py.

const CANCELLED_SHARE = 0.08; // of the power of unrelated channels
const FAINT_POWER = 1e-8;
const AUDIBLE_SHARE = 0.25; // of the loudest channel's power
const FRAME_SECONDS = 0.05;
const CLICK_DB = -52;
const MIN_DB = -120;
const SILENT_DB = -65;

/** The mean of the channels; for a second in which they cancel each other out, the first one that is heard. */
export function toMono(channels: Float32Array[], rate: number): Float32Array {
  const [first] = channels;
  if (!first || channels.length === 1) return first ?? new Float32Array(0);
  const mean = new Float32Array(first.length);
  for (const channel of channels) for (let i = 0; i < mean.length; i++) mean[i]! += channel[i]!;
  for (let i = 0; i < mean.length; i++) mean[i]! /= channels.length;
  const second = Math.max(1, Math.round(rate));
  for (let from = 0; from < mean.length; from += second) {
    const parts = channels.map((channel) => channel.subarray(from, from + second));
    if (isCancelling(parts)) mean.set(audible(parts), from);
  }
  return mean;
}

function isCancelling(channels: Float32Array[]): boolean {
  const still = channels.map(() => 0);
  if (!cancels(channels, still)) return false;
  const offsets = channels.map((channel) => channel.reduce((sum, x) => sum + x, 0) / channel.length);
  return cancels(channels, offsets); // constant offsets are not heard
}

function cancels(channels: Float32Array[], offsets: number[]): boolean {
  const count = channels[0]!.length;
  let [ofSum, ofChannels] = [0, 0];
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let c = 0; c < channels.length; c++) {
      const x = channels[c]![i]! - offsets[c]!;
      sum += x;
      ofChannels += x * x;
    }
    ofSum += sum * sum;
  }
  return ofSum < CANCELLED_SHARE * ofChannels && ofChannels >= FAINT_POWER * count * channels.length;
}

function audible(channels: Float32Array[]): Float32Array {
  const powers = channels.map((channel) => channel.reduce((sum, x) => sum + x * x, 0));
  const loudest = Math.max(...powers);
  return channels[powers.findIndex((power) => power >= AUDIBLE_SHARE * loudest)]!;
}

/** Whether something is heard in a wave: its loudest 50 ms, or a click. */
export function isHeard(wave: Float32Array, rate: number): boolean {
  const size = Math.max(1, Math.round(FRAME_SECONDS * rate));
  let [loudest, peak] = [0, 0];
  for (let from = 0; from < wave.length; from += size) {
    const end = Math.min(from + size, wave.length);
    let power = 0;
    for (let i = from; i < end; i++) {
      const squared = wave[i]! * wave[i]!;
      power += squared;
      if (squared > peak) peak = squared;
    }
    loudest = Math.max(loudest, power / (end - from));
  }
  return Math.max(decibels(loudest), decibels(peak) + SILENT_DB - CLICK_DB) >= SILENT_DB;
}

function decibels(power: number): number {
  return Math.max(10 * Math.log10(Math.max(power, 1e-12)), MIN_DB);
}
