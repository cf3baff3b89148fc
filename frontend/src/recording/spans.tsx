// Spans as a list with their times. Each plays from its start to its end, and is brought into view.
import { useComputed } from "@preact/signals";
import { clean } from "../list/names";
import { clock, share, t } from "../words";
import { Bar } from "./asking";
import { hot } from "./lanes";
import { now, playFrom } from "./listening";
import { recording } from "./recording";
import { choose } from "./selection";
import { reveal } from "./view";

export interface Shown { start: number; end: number; label: string; colour?: number; value?: number; more?: string; low?: boolean }

export function SpanList({ label, spans }: { label: string; spans: readonly Shown[] }) {
  const playing = useComputed(() => spans.findIndex(({ start, end }) => now.value >= start && now.value < end));
  const here = playing.value;
  return (
    <ol class="spans" aria-label={label} onPointerLeave={() => (hot.value = null)}>
      {spans.map((one, index) => <Item key={`${one.start} ${one.label}`} {...one} here={index === here} />)}
    </ol>
  );
}

function Item({ start, end, label, colour, value, more, low, here }: Shown & { here: boolean }) {
  const all = recording.value?.seconds ?? 0;
  const fine = all >= 60 && end - start < 10; // tenths, where whole seconds would say too little
  const time = (seconds: number) => clock(seconds, all) + (fine ? `.${Math.floor((seconds % 1) * 10)}` : "");
  const mark = () => (hot.value = { start, end });
  const hear = () => {
    choose(start, end);
    reveal(start, end);
    playFrom(start, end);
  };
  return (
    <li>
      <button
        type="button" class={here ? "span here" : "span"} aria-current={here || undefined} onClick={hear} onPointerEnter={mark} onFocus={mark}
        onBlur={() => (hot.value = null)}
      >
        <i class={colour === undefined ? "swatch" : `swatch s${colour}`} aria-hidden="true" />
        <span class="when">{t("spans.from_to", { start: time(start), end: time(end) })}</span>
        <span class="what"><bdi>{clean(label)}</bdi>{" "}{more && <small class="soft"><bdi>{clean(more)}</bdi></small>}</span>
        {value !== undefined && <Bar value={value} text={share(value)} low={low} />}
      </button>
    </li>
  );
}
