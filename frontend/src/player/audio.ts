// One sound plays at a time: what it is, where it is, and how to change that.
import { signal } from "@preact/signals";
import { audioUrl } from "../api";
import { kept } from "../kept";
import { clear, tell } from "../problems";
import { clean } from "../list/names";
import { nameOf, sound } from "../sounds";
import { t } from "../words";
import { ending, player, plays } from "./one";

export const current = signal(""); // path of the sound in the player
export const playing = signal(false);
export const now = signal(0); // seconds
export const length = signal(0); // seconds, as the player knows it
export const loop = signal(kept.get("loop", false));
export const audition = signal(kept.get("audition", true)); // ↑ and ↓ play what they reach

const audio = player();
audio.preload = "auto";
let decoded = false; // is the server asked to decode?
let frame = 0;
let start = 0; // seconds, where to begin once it is known how long it is

function canPlay(path: string): boolean {
  return plays(sound(path)?.format ?? ending(path));
}

function load(path: string, asWav: boolean): void {
  decoded = asWav;
  audio.src = audioUrl(path, asWav);
  audio.loop = loop.peek();
}

/** Play a sound from a place in it, in seconds. */
export function play(path: string, from = 0): void {
  clear("player");
  if (current.peek() !== path) {
    current.value = path;
    now.value = from;
    length.value = sound(path)?.seconds ?? 0;
    start = from;
    load(path, !canPlay(path));
  } else {
    seek(from);
  }
  void begin();
}

async function begin(): Promise<void> {
  try {
    await audio.play();
  } catch (error) {
    // another sound was asked for meanwhile, or the error event tells
    if (error instanceof DOMException && error.name === "NotAllowedError") playing.value = false;
  }
}

export function pause(): void {
  audio.pause();
}

export function toggle(path = current.peek(), from = 0): void {
  if (!path) return;
  if (path !== current.peek()) play(path, from);
  else if (playing.peek()) pause();
  else void begin();
}

export function seek(seconds: number): void {
  const to = Math.max(0, Math.min(seconds, length.peek() || seconds));
  now.value = to;
  if (audio.readyState > 0) audio.currentTime = to;
  else start = to;
}

export function setLoop(on: boolean): void {
  loop.value = audio.loop = on;
  kept.set("loop", on);
}

export function setAudition(on: boolean): void {
  audition.value = on;
  kept.set("audition", on);
}

export function close(): void {
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  current.value = "";
  clear("player");
}

function tick(): void {
  if (audio.readyState > 0) now.value = audio.currentTime; // until then it is not where it shall begin
  frame = audio.paused ? 0 : requestAnimationFrame(tick);
}

audio.addEventListener("loadedmetadata", () => {
  if (Number.isFinite(audio.duration)) length.value = audio.duration;
  if (start > 0) audio.currentTime = start;
  start = 0;
});
audio.addEventListener("play", () => {
  playing.value = true;
  if (!frame) frame = requestAnimationFrame(tick);
});
audio.addEventListener("pause", () => (playing.value = false));
audio.addEventListener("ended", () => (playing.value = false));
audio.addEventListener("error", () => {
  const path = current.peek();
  if (!path || !audio.hasAttribute("src")) return;
  if (!decoded) {
    load(path, true); // the browser does not play it as it is
    void begin();
    return;
  }
  playing.value = false;
  const why = sound(path)?.why;
  tell("player", () => why || t("player.broken", { name: clean(nameOf(path)) }), () => play(path));
});
