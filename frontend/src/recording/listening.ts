// Playing the recording: by range requests, from any minute at once.
import { effect, signal, untracked } from "@preact/signals";
import { url } from "../api";
import { clean } from "../list/names";
import { ending, player, plays } from "../player/one";
import { pause as pauseOther } from "../player/audio";
import { clear, tell } from "../problems";
import { state } from "../state";
import { t } from "../words";
import { recording, track } from "./recording";
import { round, selection } from "./selection";
import { keepInView, type Part } from "./view";

export const playing = signal(false);
export const now = signal(0); // seconds
export const JUMP = 5; // seconds

const audio = player();
audio.preload = "metadata";
const INEXACT = new Set(["mp3", "mp2", "aac"]); // a browser does not find a second in them: the server decodes
let decoded = false;
let begin = 0; // seconds, where to begin once the file is there
let until = Infinity;
let frame = 0;

export function audioOf(id: string, params: Record<string, string> = {}): string {
  return url(`v1/recordings/${encodeURIComponent(id)}/audio`, params);
}

/** The address of a part as a WAV file. */
export function partOf({ start, end }: Part): string {
  const one = `v1/recordings/${encodeURIComponent(recording.peek()?.id ?? "")}/part`;
  return url(one, { start: start.toFixed(3), end: end.toFixed(3), track: track.value || undefined });
}

function load(asWav: boolean): void {
  const here = recording.peek();
  if (!here) return;
  decoded = asWav;
  audio.src = audioOf(here.id, asWav ? { as: "wav" } : {});
}

export function seek(seconds: number): void {
  const to = Math.max(0, Math.min(seconds, recording.peek()?.seconds ?? 0));
  now.value = to;
  until = Infinity;
  if (audio.readyState > 0) audio.currentTime = to;
  else begin = to;
}

/** Play from a second on, up to another one. */
export function playFrom(seconds: number, end = Infinity): void {
  seek(seconds);
  until = end;
  void play();
}

async function play(): Promise<void> {
  clear("player");
  if (!audio.hasAttribute("src")) begin = now.peek();
  if (!audio.hasAttribute("src")) load(INEXACT.has(ending(recording.peek()?.name ?? "")) || !plays(ending(recording.peek()?.name ?? "")));
  try {
    await audio.play();
  } catch {
    // paused meanwhile, or the error event tells
  }
}

export function toggle(): void {
  if (!recording.peek()) return;
  if (playing.peek()) return audio.pause();
  const span = selection.peek();
  if (span && (now.peek() < span.start || now.peek() >= span.end - 0.01)) return playFrom(span.start, span.end);
  if (now.peek() >= recording.peek()!.seconds - 0.01) seek(0);
  until = span?.end ?? Infinity;
  void play();
}

export function jump(by: number): void {
  seek(now.peek() + by);
}

function tick(): void {
  const before = now.peek();
  if (audio.readyState > 0) now.value = audio.currentTime; // until then it is not where it shall begin
  keepInView(before, now.peek());
  hold(before);
  frame = audio.paused ? 0 : requestAnimationFrame(tick);
}

/** At the end of what shall be heard: again, or no further. */
function hold(before = now.peek()): void {
  const again = round.peek();
  if (audio.readyState === 0) return;
  if (again && audio.currentTime >= again.end && before < again.end + 1) audio.currentTime = again.start;
  else if (audio.currentTime >= until) {
    until = Infinity;
    audio.pause();
  }
}

audio.addEventListener("loadedmetadata", () => {
  if (begin > 0) audio.currentTime = begin;
  begin = 0;
});
audio.addEventListener("play", () => {
  playing.value = true;
  frame ||= requestAnimationFrame(tick);
});
audio.addEventListener("pause", () => (playing.value = false));
audio.addEventListener("timeupdate", () => document.hidden && hold()); // no frames are drawn then
audio.addEventListener("ended", () => {
  playing.value = false;
  if (round.peek() && round.peek()!.end >= audio.duration - 0.1) playFrom(round.peek()!.start, round.peek()!.end);
});
audio.addEventListener("error", () => {
  if (!audio.hasAttribute("src") || !recording.peek()) return;
  begin = now.peek();
  const once = decoded;
  if (!once) {
    load(true); // the browser does not play it as it is
    return void play();
  }
  unload();
  tell("player", () => t("player.broken", { name: clean(recording.peek()?.name ?? "") }), () => void play());
});

function unload(): void {
  audio.pause();
  playing.value = false;
  audio.removeAttribute("src");
  audio.load();
}

/** Begin to follow the recording and the place. Called once. */
export function followListening(): void {
  effect(() => {
    recording.value;
    untracked(() => {
      clear("player");
      unload();
      until = Infinity;
      now.value = Math.min(Number(state.peek().start) || 0, recording.peek()?.seconds ?? 0);
    });
  });
  effect(() => {
    if (state.value.place === "recording") untracked(pauseOther);
    else audio.pause(); // nothing there would stop it
  });
}
