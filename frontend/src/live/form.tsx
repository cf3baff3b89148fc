// What to listen to, what for, and how.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { kept } from "../kept";
import { clean } from "../list/names";
import { state } from "../state";
import { duration, share, t } from "../words";
import { beeps, notifies, setBeeps, setNotifies } from "./alarm";
import { apply, choose, isChanged, start } from "./live";
import { inputs } from "./microphone";
import { chosen, chooseFile, coming, give } from "./recorded";
import { isOn } from "./seen";
import { alertsText, change, detectors, device, exampleOf, LEAST_ON, MOST_ON, naming, ON, on, SETS, SURE, warmup, WARMUPS, writeAlerts } from "./wish";

const NARROW = matchMedia("(max-width: 720px)");
const open = signal(true);

/** Begin, or listen for what is written now. */
function go(event?: Event): void {
  event?.preventDefault();
  if (!isOn()) void start();
  else if (isChanged.peek()) apply();
}

export function Form() {
  const on = isOn();
  useEffect(() => {
    if (on && NARROW.matches) open.value = false; // what is heard takes its place
  }, [on]);
  return (
    <details class="live-form" open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary><h3>{t("live.form")}</h3></summary>
      <form onSubmit={go}>
        <Source />
        <Alerts />
        {detectors.value.length > 0 && <Detectors />}
        <Check label="live.unusual" value={state.value.unusual} does={(unusual) => change({ unusual })} />
        <Threshold />
        <More />
      </form>
    </details>
  );
}

function Source() {
  const now = state.value.source;
  return (
    <fieldset>
      <legend class="hidden">{t("live.source")}</legend>
      {!isOn() && (
        <div class="switch words" role="group" aria-label={t("live.source")}>
          {(["microphone", "recording"] as const).map((name) => (
            <button type="button" key={name} aria-pressed={now === name} onClick={() => change({ source: name })}>{t(`live.source_${name}`)}</button>
          ))}
        </div>
      )}
      {now === "microphone" ? <Input /> : <File />}
    </fieldset>
  );
}

function Input() {
  if (!inputs.value.length) return null;
  const known = inputs.value.some(({ id }) => id === device.value);
  return (
    <label>{t("live.input")}
      <select value={known ? device.value : ""} onChange={(event) => void choose(event.currentTarget.value)}>
        <option value="">{t("live.input_default")}</option>
        {inputs.value.map(({ id, label }) => <option key={id} value={id}>{clean(label)}</option>)}
      </select>
    </label>
  );
}

function File() {
  const sound = chosen();
  const given = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file) void give(file);
    input.value = "";
  };
  return (
    <div class="live-file">
      <input id="live-file" type="file" accept="audio/*,video/*" hidden onChange={given} />
      {sound && !coming.value && <p><bdi>{clean(sound.name)}</bdi> <small class="soft">{duration(sound.seconds)}</small></p>}
      {coming.value ? <p class="soft">{t("live.file_coming")}</p> : !isOn() && (
        <button type="button" class="chip" onClick={chooseFile}>{t(sound ? "live.file_other" : "live.file")}</button>
      )}
      <small class="soft">{t("live.file_hint")}</small>
    </div>
  );
}

function Alerts() {
  const enter = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    go();
  };
  return (
    <div>
      <label>{t("live.alerts")}
        <textarea id="live-alerts" rows={3} value={alertsText.value} maxLength={8000} spellcheck={false} onInput={(event) => writeAlerts(event.currentTarget.value)} onKeyDown={enter} />
      </label>
      <div class="sets" role="group" aria-label={t("live.sets")}>
        {SETS.map((name) => <button type="button" class="chip" key={name} onClick={() => writeAlerts(t(exampleOf(name)))}>{t(`live.set_${name}`)}</button>)}
      </div>
    </div>
  );
}

function Detectors() {
  const now = state.value.detector;
  return (
    <fieldset>
      <legend>{t("live.detectors")}</legend>
      {detectors.value.map((name) => (
        <label class="check" key={name}>
          <input type="checkbox" checked={now.includes(name)} onChange={(event) => change({ detector: event.currentTarget.checked ? [...now, name] : now.filter((one) => one !== name) })} />
          <bdi>{clean(name)}</bdi>
        </label>
      ))}
    </fieldset>
  );
}

function Threshold() {
  const value = on.value;
  const said = t(value >= SURE ? "live.on_sure" : "live.on_maybe", { share: share(value) });
  const set = (text: string) => change({ on: Number(text) === ON ? "" : text });
  return (
    <label>{t("live.on")}
      <span class="threshold">
        <input type="range" min={LEAST_ON} max={MOST_ON} step={0.05} value={value} aria-valuetext={said} onInput={(event) => set(event.currentTarget.value)} />
        <output>{said}</output>
      </span>
      <small class="soft">{t("live.on_hint")}</small>
    </label>
  );
}

function More() {
  return (
    <details class="live-more">
      <summary>{t("live.more")}</summary>
      <label>{t("live.warmup")}
        <select value={warmup.value} onChange={(event) => change({ warmup: event.currentTarget.value })}>
          {[...new Set([...WARMUPS, warmup.value])].sort((a, b) => a - b).map((seconds) => <option key={seconds} value={seconds}>{t("common.seconds", { seconds })}</option>)}
        </select>
      </label>
      <Check label="live.naming" value={naming.value} does={(wished) => {
        naming.value = wished;
        kept.set("live.naming", wished);
      }} />
      <Check label="live.beep" value={beeps.value} does={setBeeps} />
      <Check label="live.notify" value={notifies.value} does={(wished) => void setNotifies(wished)} />
    </details>
  );
}

type Option = "live.unusual" | "live.naming" | "live.beep" | "live.notify";

function Check({ label, value, does }: { label: Option; value: boolean; does: (on: boolean) => void }) {
  return <label class="check"><input type="checkbox" checked={value} onChange={(event) => does(event.currentTarget.checked)} />{t(label)}</label>;
}
