// What all questions share: their button, how far they are, Stop, and what could not be answered.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Notice } from "../parts/notice";
import type { Tool } from "../state";
import type { Key } from "../strings";
import { duration, share, t } from "../words";
import { chooseRecording } from "./choice";
import type { Question } from "./questions";
import { recording } from "./recording";

const AT_ONCE = 200; // ms: what is answered sooner shows no progress

/** The button of a question; without a recording it asks for one first. */
export function Go({ label }: { label: Key }) {
  return <button type="submit" class="primary">{t(label)}</button>;
}

/** What a form does: ask, and where there is no recording choose one. */
export function asks(does: () => boolean | void): (event: Event) => void {
  return (event) => {
    event.preventDefault();
    const here = recording.peek() !== null;
    does();
    if (!here) chooseRecording();
  };
}

type Asked = Pick<Question<never>, "doing" | "stopped" | "stop">;

export function State({ of, tool }: { of: Asked; tool: Tool }) {
  return (
    <>
      {of.doing.value && <Doing of={of} />}
      {of.stopped.value && !of.doing.value && <p class="soft">{t("ask.stopped")}</p>}
      <Notice of={tool} />
    </>
  );
}

function Doing({ of }: { of: Asked }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), AT_ONCE);
    return () => clearTimeout(timer);
  }, []);
  const now = of.doing.value;
  if (!late || !now) return null;
  const { share: done, left } = now;
  return (
    <div class="progress bar-line">
      <progress max={1} value={done > 0 ? done : undefined} aria-label={t("ask.progress")} />
      <span>{done > 0 ? share(done) : t("ask.begun")}{left !== null && left >= 1 ? ` · ${t("ask.left", { time: duration(Math.ceil(left)) })}` : ""}</span>
      <button type="button" class="chip" onClick={() => of.stop()}>{t("ask.stop")}</button>
    </div>
  );
}

/** An answer; where a new one begins below what is seen, the panel scrolls to it. */
export function Answer({ of, children }: { of: unknown; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const panel = box.current!.closest<HTMLElement>(".question")!;
    const below = box.current!.getBoundingClientRect().top - panel.getBoundingClientRect().top;
    if (below > panel.clientHeight * 0.6) panel.scrollTop += below - 8;
  }, [of]);
  return <div ref={box} class="answer">{children}</div>;
}

/** A share or a cosine as a bar, with its number; `low`: it is not likely. */
export function Bar({ value, text, low }: { value: number; text: string; low?: boolean }) {
  return (
    <span class={low ? "relevance unlikely" : "relevance"}>
      <span class="bar" style={{ "--share": String(Math.max(0, Math.min(1, value))) }} aria-hidden="true" />
      <span class="share">{text}</span>
    </span>
  );
}
