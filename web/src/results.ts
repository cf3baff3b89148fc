// What was found, as a list, and the player that begins at the best window.
import type { Hit } from "./search";
import { label } from "./strings";

const list = document.querySelector<HTMLOListElement>("#results")!;
const footer = document.querySelector<HTMLElement>("#player")!;
const playing = document.querySelector<HTMLElement>("#playing")!;
const audio = document.querySelector<HTMLAudioElement>("#audio")!;
let address = "";

export function show(hits: Hit[]): void {
  list.replaceChildren(...hits.map(row));
}

function row(hit: Hit): HTMLElement {
  const { path } = hit.heard.recording;
  const cut = path.lastIndexOf("/");
  const item = make("li", hit.verdict ?? "");
  const play = make("button", "play", "▶");
  label(play, "hit.play", { name: path.slice(cut + 1), time: clock(hit.start) }, "aria-label");
  play.addEventListener("click", () => void playFrom(hit, path.slice(cut + 1)));
  const names = make("span", "names");
  names.append(make("bdi", "name", path.slice(cut + 1)), make("bdi", "soft", path.slice(0, Math.max(cut, 0))));
  const marks = make("span", "marks");
  const cosine = make("span", "soft");
  cosine.dataset["cosine"] = String(hit.cosine);
  label(cosine, "hit.cosine", { cosine: hit.cosine.toFixed(3) });
  if (hit.verdict) {
    const verdict = make("span", "verdict");
    label(verdict, `hit.${hit.verdict}`);
    marks.append(verdict);
  }
  marks.append(make("span", "soft", `${clock(hit.start)}–${clock(hit.end)}`), cosine);
  item.append(play, names, marks);
  return item;
}

async function playFrom(hit: Hit, name: string): Promise<void> {
  footer.hidden = false;
  try {
    const file = await hit.heard.open();
    await file.slice(0, 1).arrayBuffer(); // whether it is still there
    audio.pause();
    URL.revokeObjectURL(address);
    playing.textContent = name;
    playing.removeAttribute("data-say");
    address = URL.createObjectURL(file);
    audio.src = address;
    audio.currentTime = hit.start;
    await audio.play();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return; // another one was played meanwhile
    label(playing, "player.failed", { name });
  }
}

/** Seconds as a clock shows them: 0:07, 3:05, 1:02:09. */
function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  const pad = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

export function make(name: string, kind = "", text = ""): HTMLElement {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}
