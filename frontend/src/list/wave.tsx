// The waveform of a sound: a click in it plays from there. Where the sound plays it is coloured so far.
import { current, length, now, play } from "../player/audio";
import { sound, version } from "../sounds";
import { drawn, waveform } from "./peaks";

interface Props { path: string; from?: number; to?: number }

export function Wave({ path, from, to }: Props) {
  drawn.value;
  version.value;
  const d = waveform(path);
  const seconds = sound(path)?.seconds ?? 0;
  const here = current.value === path;
  const click = (event: MouseEvent) => {
    const { left, width } = (event.currentTarget as Element).getBoundingClientRect();
    event.stopPropagation();
    play(path, (Math.max(0, event.clientX - left) / width) * ((here && length.value) || seconds));
  };
  const marked = from !== undefined && to !== undefined && seconds > 0 && to - from < seconds * 0.98;
  return (
    <svg class={d === undefined ? "wave waiting" : "wave"} viewBox="0 0 200 32" preserveAspectRatio="none" aria-hidden="true" onClick={click}>
      {marked && <rect class="wave-hit" x={(from / seconds) * 200} width={Math.max(2, ((Math.min(to, seconds) - from) / seconds) * 200)} y="0" height="32" />}
      <path d={d || "M0 16H200"} />
      {here && d && <Played d={d} />}
    </svg>
  );
}

function Played({ d }: { d: string }) {
  const at = length.value ? (now.value / length.value) * 200 : 0;
  return (
    <>
      <path class="wave-played" d={d.slice(0, cut(d, at))} />
      <path class="wave-head" d={`M${at.toFixed(1)} 0V32`} />
    </>
  );
}

/** Where in a drawing of 100 strokes the strokes right of `at` begin. */
function cut(d: string, at: number): number {
  const stroke = Math.floor(at / 2);
  const index = d.indexOf(`M${stroke * 2 + 1} `);
  return index < 0 ? (at > 100 ? d.length : 0) : index;
}
