// The place Live: a microphone is watched, and what was named is told when it is heard.
import { useComputed } from "@preact/signals";
import { clean } from "../list/names";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { put, UnknownWords } from "../parts/unknown";
import { state } from "../state";
import { clock, share, t } from "../words";
import { EventList } from "./list";
import { Form } from "./form";
import { tags } from "./heard";
import { apply, isChanged, toggle } from "./live";
import { events, older } from "./events";
import { heard, isOn, learning, length, level, lost, muted, note, over, phase, unknown } from "./seen";
import { Strip } from "./strip";
import { alertsText, naming, writeAlerts } from "./wish";

export function LivePlace() {
  return (
    <main class="live" hidden={state.value.place !== "live"}>
      <h2 class="hidden">{t("place.live")}</h2>
      <Head />
      <Notice of="live" />
      <Notice of="alarm" />
      <div class="live-columns">
        <Form />
        <div class="live-shown">
          <Said />
          <Invitation />
          <Now />
          <Strip />
          <EventList />
        </div>
      </div>
    </main>
  );
}

function Head() {
  const on = isOn();
  return (
    <div class="live-head">
      <button type="button" class={on ? "live-go on" : "live-go"} id="live-go" onClick={toggle}>
        {on ? <i class="square" aria-hidden="true" /> : <Icon name="live" />}{t(on ? "live.stop" : "live.listen")}
      </button>
      <p class="live-status"><Status /></p>
      <span class="grow" />
      {isChanged.value && <button type="button" class="chip active" onClick={apply}>{t("live.apply")}</button>}
      {on && length.value === 0 && <Level />}
    </div>
  );
}

function Status() {
  const now = phase.value;
  const count = events.value.length + older.value;
  const said = now === "idle" ? t(over.value ?? "live.invite")
    : now === "learning" ? t("live.is_learning", { seconds: Math.ceil(learning.value) })
    : now === "listening" && length.value ? t("live.is_hearing") : t(`live.is_${now}`);
  const far = length.value && now !== "idle" ? `${clock(heard.value, length.value)} / ${clock(length.value, length.value)}` : clock(heard.value);
  return (
    <>
      <b class={now === "lost" || now === "full" || now === "paused" ? "warn" : undefined}>{said}</b>
      {heard.value > 0 && <small class="soft">{far} · {t("live.count", { count })}</small>}
    </>
  );
}

const FLOOR = -60; // dB

/** How loud it is. What a screen reader is told of it changes once a second at most. */
function Level() {
  const told = useComputed(() => Math.round(Math.max(FLOOR, level.value) / 6) * 6).value;
  const part = Math.max(0, Math.min(1, 1 - level.value / FLOOR));
  return (
    <div
      class="level" role="meter" aria-label={t("live.level")} aria-valuemin={FLOOR} aria-valuemax={0} aria-valuenow={told}
      aria-valuetext={told > FLOOR ? t("live.db", { level: told }) : t("live.silent")}
    >
      <i class={part > 0.95 ? "loud" : undefined} style={{ "--share": String(part) }} />
    </div>
  );
}

/** What is amiss, said first. */
function Said() {
  return (
    <>
      {isOn() && muted.value && <p class="first">{t("live.muted")}</p>}
      {lost.value > 0 && <p class="first">{t("live.not_sent", { seconds: lost.value.toFixed(1) })}</p>}
      <UnknownWords words={unknown.value} take={(word, other) => {
        writeAlerts(put(alertsText.value, word, other));
        apply();
      }} />
      {note.value && <p class="first">{clean(note.value)}</p>}
    </>
  );
}

/** What will be here, and where the sound goes. */
function Invitation() {
  if (isOn() || over.value) return null;
  return (
    <div class="invitation">
      <Icon name="live" />
      <p>{t("live.about")}</p>
      <p>{t("live.private")}</p>
    </div>
  );
}

function Now() {
  if (!isOn() || length.value || !naming.value) return null;
  const all = tags.value;
  return (
    <section class="now">
      <h3>{t("live.now")}</h3>
      {all?.length ? (
        <ul>{all.map(({ label, confidence }) => <li key={label} class="tag"><bdi>{clean(label)}</bdi> <b>{share(confidence)}</b></li>)}</ul>
      ) : <span class="soft">{t(all ? "live.now_nothing" : "live.now_waiting")}</span>}
      <Notice of="heard" />
    </section>
  );
}
