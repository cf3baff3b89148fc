// The last minutes as a picture: how loud it was, and how likely each sound, a row each.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { theme } from "../theme";
import { language, share, t } from "../words";
import { draw, heightOf, rowsOf } from "./draw";
import { called, events } from "./events";
import { drawn, heard, latest, length, names, phase } from "./seen";
import { on } from "./wish";

const CALM = matchMedia("(prefers-reduced-motion: reduce)");

/** Draw once a frame whenever something that is seen has changed; calmly, once a second, where that is wished. */
function redraw(canvas: HTMLCanvasElement): () => void {
  let frame = 0;
  let second = -1;
  const later = () => {
    const now = Math.floor(heard.peek());
    if (CALM.matches && now === second && phase.peek() !== "idle") return;
    second = now;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (canvas.clientWidth) draw(canvas);
    });
  };
  const again = () => {
    second = -1;
    later();
  };
  const end = effect(() => {
    [drawn, names, events, theme, on, phase, language].forEach((one) => one.value);
    later();
  });
  const resized = new ResizeObserver(again);
  resized.observe(canvas);
  const light = matchMedia("(prefers-color-scheme: dark)");
  light.addEventListener("change", again);
  return () => {
    end();
    resized.disconnect();
    light.removeEventListener("change", again);
    cancelAnimationFrame(frame);
  };
}

export function Strip() {
  if (!names.value.length && phase.value === "idle") return null;
  return <Picture />;
}

function Picture() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => redraw(canvas.current!), []);
  const rows = Math.min(rowsOf(names.value.length), 13);
  return (
    <section class={`strip rows-${rows}`}>
      <h3 class="hidden">{t(length.value ? "live.strip_all" : "live.strip")}</h3>
      <canvas ref={canvas} aria-hidden="true" style={{ height: `${heightOf(rows)}px` }} />
      <Told />
    </section>
  );
}

/** The same for those who do not see the picture. */
function Told() {
  drawn.value;
  const now = latest();
  return <ul class="hidden">{names.value.map((name, index) => <li key={name}>{t("live.at", { name: called(name), share: share(now[index] ?? 0) })}</li>)}</ul>;
}
