// Playing an example or a sound that is asked about: a part of a file of the library, or of a recording.
import { signal } from "@preact/signals";
import { audioUrl } from "../api";
import { clean } from "../list/names";
import { ending, player, plays } from "../player/one";
import { clear, tell } from "../problems";
import { audioOf } from "../recording/listening";
import { t } from "../words";

/** What can be heard: a `path` of the library or an `id` of a recording, all of it or from `start` to `end`. */
export interface Sounding { path?: string; id?: string; name: string; start?: number; end?: number }

export const heard = signal(""); // the key of what is in the player
export const playing = signal(false);
export const now = signal(0); // seconds

const audio = player();
audio.preload = "auto";
let here: Sounding | null = null;
let decoded = false;
let begin = 0;
let frame = 0;

/** What tells two of them apart. */
export function keyOf({ path, id, start, end }: Sounding): string {
  return JSON.stringify([path ?? "", id ?? "", start ?? 0, end ?? 0]);
}

export function hear(one: Sounding): void {
  clear("example");
  if (heard.peek() !== keyOf(one)) {
    const same = here !== null && here.path === one.path && here.id === one.id;
    here = one;
    heard.value = keyOf(one);
    if (!same) load(!plays(ending(one.name)));
  }
  const from = one.start ?? 0;
  now.value = from;
  if (audio.readyState > 0) audio.currentTime = from;
  else begin = from;
  void audio.play().catch(() => {}); // another one was asked for meanwhile, or the error event tells
}

export function toggle(one: Sounding): void {
  if (heard.peek() === keyOf(one) && playing.peek()) audio.pause();
  else hear(one);
}

export function hush(): void {
  audio.pause();
}

function load(asWav: boolean): void {
  decoded = asWav;
  audio.src = here!.path !== undefined ? audioUrl(here!.path, asWav) : audioOf(here!.id!, asWav ? { as: "wav" } : {});
}

function tick(): void {
  if (audio.readyState > 0) now.value = audio.currentTime;
  if (here?.end !== undefined && now.peek() >= here.end) audio.pause();
  frame = audio.paused ? 0 : requestAnimationFrame(tick);
}

audio.addEventListener("loadedmetadata", () => {
  if (begin > 0) audio.currentTime = begin;
  begin = 0;
});
audio.addEventListener("play", () => {
  playing.value = true;
  frame ||= requestAnimationFrame(tick);
});
for (const name of ["pause", "ended"]) audio.addEventListener(name, () => (playing.value = false));
audio.addEventListener("error", () => {
  if (!here || !audio.hasAttribute("src")) return;
  begin = here.start ?? 0;
  if (!decoded) {
    load(true); // the browser does not play it as it is
    return void audio.play().catch(() => {});
  }
  const name = clean(here.name);
  [here, heard.value, playing.value] = [null, "", false];
  tell("example", () => t("player.broken", { name }));
});
