// Where in the recording something is heard: several questions at once, each in its colour.
import { signal } from "@preact/signals";
import { kept } from "../kept";
import { clean } from "../list/names";
import { put, UnderstoodTexts, UnknownWords } from "../parts/unknown";
import { t } from "../words";
import { Answer, asks, Go, State } from "./asking";
import { ExportMenu } from "./export";
import { COLOURS } from "./lanes";
import { allUnlikely, askMoments, moments, momentsEach, momentsTaught, momentsText, type Moment, type Moments } from "./questions";
import { recording } from "./recording";
import { SpanList } from "./spans";
import { TaughtMoments } from "../teach/choice";
import { Lines } from "./written";

const order = signal<"time" | "best">("time");

export function MomentsTool() {
  return (
    <>
      <form class="ask" onSubmit={asks(askMoments)}>
        <Lines label="moments.queries" text={momentsText} needed={momentsTaught.value.length === 0} />
        <TaughtMoments />
        <label>{t("moments.each")}
          <select value={momentsEach.value} onChange={(event) => {
            momentsEach.value = Number(event.currentTarget.value);
            kept.set("recording.k", momentsEach.value);
          }}>{[1, 3, 5, 10, 20, 50].map((count) => <option key={count} value={count}>{count}</option>)}</select>
        </label>
        <Go label="moments.go" />
      </form>
      <State of={moments} tool="moments" />
      {moments.result.value && <Found {...moments.result.value} />}
    </>
  );
}

function confidence({ confidence: value, score }: Moment): number {
  return value ?? score;
}

function Found(found: Moments) {
  const by = order.value;
  const sorted = [...found.moments].sort((a, b) => (by === "time" ? a.start - b.start : confidence(b) - confidence(a)));
  return (
    <Answer of={found.moments}>
      <Nothing {...found} />
      <UnderstoodTexts texts={found.understood} />
      <UnknownWords words={found.unknown} take={(word, other) => {
        momentsText.value = put(momentsText.value, word, other);
        askMoments();
      }} />
      <div class="answer-head">
        <h3>{t("moments.found", { count: sorted.length })}</h3>
        <span class="grow" />
        <div class="switch words" role="group" aria-label={t("moments.order")}>
          {(["time", "best"] as const).map((name) => <button type="button" key={name} aria-pressed={by === name} onClick={() => (order.value = name)}>{t(`moments.by_${name}`)}</button>)}
        </div>
        {sorted.length > 0 && <ExportMenu spans={sorted.map((one) => ({ start: one.start, end: one.end, label: one.query, score: confidence(one) }))} />}
      </div>
      <SpanList
        label={t("moments.found", { count: sorted.length })}
        spans={sorted.map((one) => ({
          start: one.start, end: one.end, label: one.query, colour: found.queries.indexOf(one.query) % COLOURS, value: confidence(one),
          more: one.unlikely ? t("hit.unlikely") : "", low: one.unlikely,
        }))}
      />
    </Answer>
  );
}

/** Said first: what is probably not in the recording at all. */
function Nothing(found: Moments) {
  if (recording.value?.silent) return <p class="first">{t("ask.silent")}</p>;
  if (!found.moments.length) return <p class="first">{t("moments.none")}</p>;
  if (allUnlikely(found)) return <p class="first">{t("moments.nothing")}</p>;
  const none = found.queries.filter((query) => {
    const some = found.moments.filter((one) => one.query === query);
    return some.every(({ unlikely }) => unlikely);
  });
  return <>{none.map((query) => <p class="first" key={query}>{t("moments.nothing_of", { query: clean(query) })}</p>)}</>;
}
