// The list: an ARIA grid of which only the rows that are seen exist. One row can be tabbed to; keys move it.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { results, rows } from "../finding";
import { troubles } from "../problems";
import type { Rows } from "../rows";
import { version } from "../sounds";
import { mode, whereabouts } from "../state";
import { Head } from "./head";
import { wantPeaks } from "./peaks";
import { Row } from "./row";
import { Scroller } from "./scroll";

const PHONE = matchMedia("(max-width: 720px)");
const phone = signal(PHONE.matches);
PHONE.addEventListener("change", () => (phone.value = PHONE.matches));

const WAITING: Rows = { total: 20, at: () => undefined, want: () => undefined }; // nothing has come yet

export const scroller = new Scroller();
export const active = signal(0); // the row that has, or would get, the focus
let box: HTMLElement | null = null;

/** Move to a row and give it the focus. */
export function focusRow(index: number): void {
  const total = rows.peek()?.total ?? 0;
  if (!total) return;
  active.value = Math.max(0, Math.min(index, total - 1));
  scroller.reveal(active.value);
  requestAnimationFrame(() => rowElement()?.focus({ preventScroll: true }));
}

function rowElement(): HTMLElement | null {
  return box?.querySelector<HTMLElement>(`[data-index="${active.peek()}"]`) ?? null;
}

export function inList(target: EventTarget | null): boolean {
  return Boolean(box && target instanceof Node && box.contains(target));
}

export function List({ label }: { label: string }) {
  const body = useRef<HTMLDivElement>(null);
  const busy = results.value?.busy ?? false;
  const waits = mode.value === "library" ? !rows.value && !troubles.value.library : busy && rows.value?.total === 0;
  const shown = waits ? WAITING : rows.value;
  const before = useSignal<Rows | null>(null);
  version.value;
  const height = mode.value === "library" ? (phone.value ? 60 : 42) : phone.value ? 76 : 52;
  const total = shown?.total ?? 0;
  const tall = scroller.measure(total, height);
  useEffect(() => scroller.attach(body.current!), []);
  useLayoutEffect(() => {
    box = body.current;
    if (before.peek() === shown || total === 0) return;
    before.value = shown; // other rows: from their beginning, or where they were left
    active.value = Math.min(whereabouts.back, total - 1);
    if (!busy) whereabouts.back = 0; // the rows that it belongs to are there
    scroller.toTop();
    scroller.reveal(active.value);
    if (box?.contains(document.activeElement)) focusRow(active.value);
  });
  const { first, last, shift } = scroller.seen.value;
  useEffect(() => {
    if (!shown || last < first) return;
    shown.want(first, last);
    const paths: string[] = [];
    for (let i = first; i <= last; i++) paths.push(shown.at(i)?.path ?? "");
    wantPeaks(paths);
  });
  const indices: number[] = [];
  for (let i = first; i <= Math.min(last, total - 1); i++) indices.push(i);
  const at = active.value;
  const kept = at < total && !indices.includes(at) && box?.contains(document.activeElement); // the focus must not get lost
  if (kept) indices.push(at);
  const tabbed = indices.includes(at) ? at : indices[0];
  return (
    <div
      class={`grid ${mode.value}`} id="results" role="grid" aria-label={label} aria-rowcount={total + 1} aria-multiselectable="true" aria-busy={busy || waits}
      aria-keyshortcuts="Space Enter F X"
    >
      <Head />
      <div class="body" role="rowgroup" ref={body}>
        <div class="spacer" role="none" style={{ height: `${tall}px` }}>
          {shown && indices.map((i) => (
            <Row key={i} row={shown.at(i)} index={i} active={i === tabbed} top={i * height + shift} onChoose={choose} />
          ))}
        </div>
      </div>
    </div>
  );
}

whereabouts.row = () => active.peek();

function choose(index: number): void {
  active.value = index;
}
