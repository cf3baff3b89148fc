// The map of the library: near points sound alike. One Tab stop; arrow keys go from point to point.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { MapPoint } from "../api";
import { shownHits } from "../finding";
import { clean } from "../list/names";
import { moreLike } from "../list/row";
import { Icon, type IconName } from "../parts/icons";
import { Notice } from "../parts/notice";
import { current, play, toggle } from "../player/audio";
import { say } from "../said";
import { nameOf } from "../sounds";
import { mode } from "../state";
import { favourite, tick, ticked } from "../tray/ticks";
import { language, t } from "../words";
import type { Key } from "../strings";
import { ALL, draw, toScreen } from "./draw";
import { hearing, lasso, look, loop, over, point, zoom } from "./pointer";
import { beside, clusterOf, drawing, followMap, nearest } from "./points";

export function SoundMap() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const box = canvas.current!;
    const ends = [followMap(), point(box), redraw(box)];
    return () => ends.forEach((end) => end());
  }, []);
  const key = (event: KeyboardEvent) => pressed(event, canvas.current!);
  const all = drawing.value;
  return (
    <div class={lasso.value ? "map looping" : "map"}>
      <canvas ref={canvas} tabIndex={0} role="application" aria-label={t("map.label")} aria-describedby="map-hint" onKeyDown={key} />
      <div class="map-tools">
        <Tool icon="lasso" label="map.lasso" pressed={lasso.value} does={() => (lasso.value = !lasso.value)} />
        <Tool icon="ear" label="map.hover" pressed={hearing.value} does={() => (hearing.value = !hearing.value)} />
        <Tool icon="plus" label="map.in" does={() => zoom(canvas.current!, 1.6)} />
        <Tool icon="minus" label="map.out" does={() => zoom(canvas.current!, 1 / 1.6)} />
        <Tool icon="whole" label="map.all" does={() => (look.value = ALL)} />
      </div>
      <Under canvas={canvas.current} />
      <p id="map-hint" class="map-hint">{t("map.hint")}</p>
      <Notice of="map" />
      {all && all.points.length === 0 && <p class="none">{t("map.none")}</p>}
      {!all && <p class="none">{t("list.loading")}</p>}
    </div>
  );
}

function Tool({ icon, label, pressed, does }: { icon: IconName; label: Key; pressed?: boolean; does: () => void }) {
  return <button type="button" class={pressed ? "bare on" : "bare"} aria-pressed={pressed} aria-label={t(label)} title={t(label)} onClick={does}><Icon name={icon} /></button>;
}

/** The name of the point that is looked at, beside it. */
function Under({ canvas }: { canvas: HTMLCanvasElement | null }) {
  const at = over.value;
  if (!at || !canvas) return null;
  const [x, y] = toScreen(canvas, look.value, at.x, at.y);
  const left = Math.max(8, Math.min(x + 14, canvas.clientWidth - 220));
  return <p class="map-name" style={{ transform: `translate(${left}px, ${Math.max(4, y - 34)}px)` }}><bdi>{clean(nameOf(at.path))}</bdi></p>;
}

/** Draw once a frame whenever something that is seen has changed. */
function redraw(canvas: HTMLCanvasElement): () => void {
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      const map = drawing.peek();
      if (!map) return;
      const found = shownHits.peek().map(({ path }) => path);
      draw(canvas, map, {
        look: look.peek(), at: over.peek(), playing: current.peek(), ticked: ticked.peek(), found, walk: mode.peek() === "walk", loop: loop.peek(),
      });
    });
  };
  const end = effect(() => {
    [look, over, current, ticked, shownHits, mode, loop, drawing, language].forEach((one) => one.value);
    later();
  });
  const resized = new ResizeObserver(later);
  resized.observe(canvas);
  const light = matchMedia("(prefers-color-scheme: dark)");
  light.addEventListener("change", later);
  const themed = new MutationObserver(later);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    end();
    resized.disconnect();
    themed.disconnect();
    light.removeEventListener("change", later);
    cancelAnimationFrame(frame);
  };
}

const WAYS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function reach(to: MapPoint | null, canvas: HTMLCanvasElement): void {
  const map = drawing.peek();
  if (!to || !map) return;
  over.value = to;
  const [x, y] = toScreen(canvas, look.peek(), to.x, to.y);
  if (x < 20 || y < 20 || x > canvas.clientWidth - 20 || y > canvas.clientHeight - 20) look.value = { ...look.peek(), x: to.x, y: to.y };
  say(t("map.point", { name: clean(nameOf(to.path)), cluster: clean(clusterOf(map, to)) }));
  if (hearing.peek()) play(to.path);
}

function pressed(event: KeyboardEvent, canvas: HTMLCanvasElement): void {
  const map = drawing.peek();
  if (!map || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = over.peek();
  const way = WAYS[event.key];
  const does: Record<string, () => void> = {
    "+": () => zoom(canvas, 1.4), "=": () => zoom(canvas, 1.4), "-": () => zoom(canvas, 1 / 1.4), 0: () => (look.value = ALL),
    Enter: () => at && toggle(at.path), " ": () => at && toggle(at.path),
    x: () => at && tick(at.path), f: () => at && void favourite(at.path), m: () => at && moreLike(at.path),
  };
  if (way) reach(at ? beside(map, at, ...way) : nearest(map, look.peek().x, look.peek().y, 1), canvas);
  else if (does[event.key]) does[event.key]!();
  else return;
  event.preventDefault();
}
