// The events, newest first: when, how long, how sure; each can be heard and saved, and all of them written to a file.
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { Notice } from "../parts/notice";
import { save } from "../parts/save";
import { clear, show } from "../problems";
import { Bar } from "../recording/asking";
import { exportSpans } from "../recording/export";
import { COLOURS } from "../recording/lanes";
import { clock, duration, language, share, t } from "../words";
import { download, hear, playing, stamp } from "./clips";
import { called, events, older, type Heard } from "./events";
import { asked, isOn, length, names, over } from "./seen";
import { chosen } from "./recorded";
import { SURE } from "./wish";

export function EventList() {
  const all = events.value;
  if (!all.length && !isOn() && !over.value) return null;
  return (
    <section class="live-events">
      <div class="answer-head">
        <h3>{t("live.events")}</h3>
        <span class="grow" />
        {all.length > 0 && <ExportEvents />}
      </div>
      <Notice of="export" />
      <Notice of="clip" />
      {all.length ? (
        <ol class="spans">{all.map((one) => <Item key={one.key} event={one} />)}</ol>
      ) : <p class="soft">{isOn() ? t("live.none_yet") : t("live.none", { share: share(asked.value) })}</p>}
      {older.value > 0 && <p class="soft">{t("live.older", { count: older.value })}</p>}
    </section>
  );
}

/** When an event was: by the clock, or in the recording. */
export function when({ at, start }: Heard): string {
  return at === null ? clock(start, length.value) : timeOfDay(at);
}

export function timeOfDay(ms: number): string {
  const day = new Date(ms).toDateString() === new Date().toDateString() ? {} : ({ month: "short", day: "numeric" } as const);
  return new Date(ms).toLocaleString(language.value === "zh" ? "zh-CN" : "en-GB", { ...day, hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

function Item({ event }: { event: Heard }) {
  const { key, alert, start, end, confidence, still, clip } = event;
  const name = called(alert);
  const words = { name, when: when(event) };
  const isPlaying = playing.value === key;
  const number = names.value.indexOf(alert);
  const inside = (
    <>
      {clip ? <><Icon name={isPlaying ? "pause" : "play"} full /><span class="hidden">{t("player.play")}</span></> : <i class="no-clip" aria-hidden="true" />}
      <span class="when">{when(event)}</span>
      <span class="what">
        <i class={number < 0 ? "swatch" : `swatch s${number % COLOURS}`} aria-hidden="true" /><bdi>{name}</bdi>{" "}
        <small class={still ? "still" : "soft"}>{still ? t("live.still") : duration(Math.max(0, end - start))}</small>{" "}
        <small class="soft">{t(confidence >= SURE ? "hit.sure" : "hit.maybe")}</small>
      </span>
      <Bar value={confidence} text={share(confidence)} low={confidence < SURE} />
    </>
  );
  return (
    <li class="live-event">
      {clip ? <button type="button" class={isPlaying ? "span here" : "span"} aria-pressed={isPlaying} onClick={() => void hear(event)}>{inside}</button> : <div class="span">{inside}</div>}
      {clip && <button type="button" class="bare" aria-label={t("live.download", words)} title={t("live.download", words)} onClick={() => void download(event)}><Icon name="save" /></button>}
    </li>
  );
}

const COLUMNS = ["alert", "start", "end", "peak", "confidence", "score", "state", "time", "id", "source"] as const;
const MADE_HERE = { csv, jsonl } as const;
const MADE_THERE = ["srt", "vtt", "audacity"] as const;

/** As `openclap watch` writes them, oldest first, with the times of here. */
function facts(): Record<(typeof COLUMNS)[number], unknown>[] {
  return [...events.peek()].reverse().map(({ told, start, end, at, key }) => ({
    alert: told.alert, start: tidy(start), end: tidy(end), peak: tidy(start + told.peak - told.start), confidence: told.confidence, score: told.score, state: told.state,
    time: at === null ? null : new Date(at).toISOString(), id: key.replace(" ", "-"), source: told.source,
  }));
}

const tidy = (seconds: number) => Math.round(seconds * 1000) / 1000;

function csv(): string {
  const cell = (value: unknown) => {
    const text = String(value ?? "");
    const safe = /^[=+@\t]/.test(text) ? `'${text}` : text; // words, not a formula of a spreadsheet
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = facts().map((one) => COLUMNS.map((name) => cell(one[name])).join(","));
  return `\ufeff${[COLUMNS.join(","), ...rows].join("\n")}\n`;
}

function jsonl(): string {
  return facts().map((one) => `${JSON.stringify(one)}\n`).join("");
}

function fileStem(): string {
  const first = events.peek().at(-1);
  return first?.at ? `${t("live.file_name")} ${stamp(first.at)}` : (chosen()?.name ?? t("live.file_name"));
}

function ExportEvents() {
  const write = async (format: keyof typeof MADE_HERE | (typeof MADE_THERE)[number]) => {
    clear("export");
    const stem = fileStem();
    if (format in MADE_HERE) return save(new Blob([MADE_HERE[format as keyof typeof MADE_HERE]()], { type: "text/plain" }), `${stem}.${format}`);
    try {
      const spans = [...events.peek()].reverse().map(({ start, end, alert, confidence }) => ({ start: Math.max(0, start), end: Math.max(0, end), label: called(alert), score: confidence }));
      await exportSpans(spans, format as (typeof MADE_THERE)[number], stem);
    } catch (error) {
      show("export", error, () => void write(format));
    }
  };
  const item = (format: Parameters<typeof write>[0], label: string, close: () => void) => (
    <button type="button" class="item" key={format} onClick={() => {
      void write(format);
      close();
    }}>{label}</button>
  );
  return (
    <Menu label={t("export.label")}>
      {(close) => [item("csv", t("live.csv"), close), item("jsonl", t("live.jsonl"), close), ...MADE_THERE.map((format) => item(format, t(`export.${format}`), close))]}
    </Menu>
  );
}
