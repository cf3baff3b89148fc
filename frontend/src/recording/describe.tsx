// What is heard, in words; and from when to when.
import { kept } from "../kept";
import { clean } from "../list/names";
import { share, t } from "../words";
import { Answer, asks, Bar, Go, State } from "./asking";
import { ExportMenu } from "./export";
import { colours } from "./lanes";
import { askDescribe, describe, ownLabels, timeline, withTimeline } from "./questions";
import { SpanList } from "./spans";

export function DescribeTool() {
  const found = describe.result.value;
  return (
    <>
      <form class="ask" onSubmit={asks(askDescribe)}>
        <label class="wide">{t("describe.labels")}
          <input type="text" value={ownLabels.value} maxLength={8000} placeholder={t("describe.labels_none")} autocomplete="off" onInput={(event) => (ownLabels.value = event.currentTarget.value)} />
        </label>
        <label class="check"><input
          type="checkbox" checked={withTimeline.value} onChange={(event) => {
            withTimeline.value = event.currentTarget.checked;
            kept.set("recording.timeline", withTimeline.value);
          }}
        />{t("describe.timeline")}</label>
        <Go label="describe.go" />
      </form>
      <State of={describe} tool="describe" />
      {found && (
        <Answer of={found}>
          <p class="sentence">{clean(found.sentence)}</p>
          {found.tags.length > 0 && (
            <ul class="bars" aria-label={t("describe.tags")}>
              {found.tags.map(({ label, confidence }) => <li key={label}><bdi>{clean(label)}</bdi><Bar value={confidence} text={share(confidence)} /></li>)}
            </ul>
          )}
          <Timeline />
        </Answer>
      )}
    </>
  );
}

function Timeline() {
  const spans = timeline.value;
  if (!spans.length) return null;
  const colour = colours(spans.map(({ label }) => label));
  return (
    <>
      <div class="answer-head">
        <h3>{t("describe.spans", { count: spans.length })}</h3>
        <span class="grow" />
        <ExportMenu spans={spans.map(({ start, end, label, score }) => ({ start, end, label, score }))} />
      </div>
      <SpanList
        label={t("describe.spans", { count: spans.length })}
        spans={spans.map(({ start, end, label, score, tags }) => ({
          start, end, label: label ?? t("describe.nothing"), colour: label ? colour.get(label) : undefined, value: label ? score : undefined,
          more: tags.slice(1, 4).map((tag) => tag.label).join(", "),
        }))}
      />
    </>
  );
}
