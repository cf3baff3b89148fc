// The recording as one picture with a playhead. One Tab stop; keys play, jump and zoom.
import { effect, useComputed } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Icon, type IconName } from "../parts/icons";
import { Notice } from "../parts/notice";
import { theme } from "../theme";
import type { Key } from "../strings";
import { clock, share as percent, t } from "../words";
import { draw } from "./draw";
import { hot, lanes } from "./lanes";
import { jump, JUMP, now, playing, toggle } from "./listening";
import { drawing, drawn, spectrogram, waveform } from "./pictures";
import { point, under } from "./pointer";
import { recording } from "./recording";
import { Selected } from "./selected";
import { chooseEnd, choosing, looping, selection, setLooping, unchoose } from "./selection";
import { look, pan, view, whole, zoom } from "./view";

export function Stage() {
  return (
    <section class="stage" aria-label={t("stage.label")}>
      <Picture />
      <Overview />
      <Transport />
      <Selected />
      <Notice of="pictures" />
      <Notice of="player" />
    </section>
  );
}

/** Draw once a frame whenever something that is seen has changed. */
function redraw(canvas: HTMLCanvasElement): () => void {
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      const seconds = recording.peek()?.seconds;
      if (!seconds || !canvas.clientWidth) return;
      const columns = Math.round(canvas.clientWidth * Math.min(2, devicePixelRatio || 1));
      waveform.want(view.peek(), columns);
      spectrogram.want(view.peek(), Math.round(canvas.clientWidth));
      draw(canvas, { view: view.peek(), seconds, lanes: lanes.peek(), hot: hot.peek(), chosen: selection.peek() });
    });
  };
  const end = effect(() => {
    [view, lanes, hot, drawn, recording, theme, selection].forEach((one) => one.value);
    later();
  });
  const resized = new ResizeObserver(later);
  resized.observe(canvas);
  const light = matchMedia("(prefers-color-scheme: dark)");
  light.addEventListener("change", later);
  return () => {
    end();
    resized.disconnect();
    light.removeEventListener("change", later);
    cancelAnimationFrame(frame);
  };
}

function Picture() {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const ends = [redraw(canvas.current!), point(box.current!)];
    if (document.activeElement?.matches("main")) box.current!.focus({ preventScroll: true }); // opened from a place that is left
    return () => ends.forEach((end) => end());
  }, []);
  const seconds = recording.value?.seconds ?? 0;
  const told = useComputed(() => (playing.value ? Math.floor(now.value / 10) * 10 : Math.round(now.value * 10) / 10)).value; // it must not talk all the time
  const rows = Math.min(lanes.value.length, 6);
  return (
    <div
      ref={box} class={`picture lanes-${rows}`} tabIndex={0} role="slider" aria-label={t("player.seek")} aria-describedby="stage-hint"
      aria-valuemin={0} aria-valuemax={seconds} aria-valuenow={told} aria-keyshortcuts="Space + - 0 I O L"
      aria-valuetext={t("player.at", { now: clock(told, seconds), all: clock(seconds, seconds) })}
    >
      <canvas ref={canvas} aria-hidden="true" />
      <Playhead />
      <Coming />
      <Under />
    </div>
  );
}

function share(seconds: number): number {
  const { start, end } = view.value;
  return (seconds - start) / (end - start);
}

function Playhead() {
  const at = share(now.value);
  if (at < 0 || at > 1) return null;
  return <i class="playhead" aria-hidden="true" style={{ left: `${at * 100}%` }} />;
}

/** How far the spectrogram of a long recording is. */
function Coming() {
  const done = drawing.value;
  if (done === null) return null;
  return <span class="drawing"><progress max={1} value={done || undefined} aria-label={t("stage.drawing")} />{t("stage.drawing")} {done > 0 && percent(done)}</span>;
}

/** The second under the mouse. */
function Under() {
  const at = under.value;
  if (at === null || !recording.value) return null;
  const close = view.value.end - view.value.start < 60;
  return <span class="under-mouse" aria-hidden="true" style={{ left: `${share(at) * 100}%` }}>{close ? `${clock(at)}${(at % 1).toFixed(2).slice(1)}` : clock(at)}</span>;
}

/** Which part of the whole is seen; a drag there goes elsewhere. */
function Overview() {
  const { start, end } = view.value;
  const all = whole().end;
  const long = (end - start) / all;
  if (long > 0.999) return <div class="overview" aria-hidden="true" />;
  const go = (event: PointerEvent) => {
    const box = event.currentTarget as HTMLElement;
    if (event.type === "pointerdown") box.setPointerCapture(event.pointerId);
    else if (!event.buttons) return;
    const { left, width } = box.getBoundingClientRect();
    const at = ((event.clientX - left) / width) * all;
    look(at - (end - start) / 2, at + (end - start) / 2);
  };
  return (
    <div class="overview on" aria-hidden="true" onPointerDown={go} onPointerMove={go}>
      <i style={{ left: `${(start / all) * 100}%`, width: `max(14px, ${long * 100}%)` }} />
    </div>
  );
}

function Transport() {
  const seconds = recording.value?.seconds ?? 0;
  return (
    <div class="transport">
      <button type="button" class="round play" aria-label={t(playing.value ? "player.pause" : "player.play")} onClick={toggle}><Icon name={playing.value ? "pause" : "play"} full /></button>
      <span class="time"><b>{clock(now.value, seconds)}</b> / {clock(seconds, seconds)}</span>
      <span class="soft part">{t("stage.part", { start: clock(view.value.start, seconds), end: clock(view.value.end, seconds) })}</span>
      <span class="grow" />
      <Tool icon="select" label="selection.choose" pressed={choosing.value} does={() => (choosing.value = !choosing.value)} />
      <Tool icon="minus" label="stage.out" does={() => zoom(1 / 2)} />
      <Tool icon="plus" label="stage.in" does={() => zoom(2)} />
      <Tool icon="whole" label="stage.all" does={() => look(0, whole().end)} />
      <p id="stage-hint" class="hidden">{t("stage.hint")}</p>
    </div>
  );
}

function Tool({ icon, label, pressed, does }: { icon: IconName; label: Key; pressed?: boolean; does: () => void }) {
  return <button type="button" class={pressed ? "bare on" : "bare"} aria-pressed={pressed} aria-label={t(label)} title={t(label)} onClick={does}><Icon name={icon} /></button>;
}

/** Where a zoom by keys is aimed at: the playhead where it is seen, the middle otherwise. */
function aim(): number {
  const { start, end } = view.peek();
  const at = now.peek();
  return at >= start && at <= end ? at : (start + end) / 2;
}

const wide = () => view.peek().end - view.peek().start;
export const STAGE_KEYS: Record<string, () => void> = {
  " ": toggle,
  ArrowLeft: () => jump(-Math.min(JUMP, wide() / 10)),
  ArrowRight: () => jump(Math.min(JUMP, wide() / 10)),
  PageUp: () => pan(-wide() * 0.8),
  PageDown: () => pan(wide() * 0.8),
  "+": () => zoom(1.6, aim()),
  "=": () => zoom(1.6, aim()),
  "-": () => zoom(1 / 1.6, aim()),
  "0": () => look(0, whole().end),
  Home: () => jump(-Infinity),
  End: () => jump(Infinity),
  i: () => chooseEnd("start", now.peek()),
  o: () => chooseEnd("end", now.peek()),
  "[": () => chooseEnd("start", now.peek()),
  "]": () => chooseEnd("end", now.peek()),
  l: () => setLooping(!looping.peek()),
  Escape: unchoose,
};
