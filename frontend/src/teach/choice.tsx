// What was taught, to choose from in other places: in the options of a search, and for the recording that is open.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { body, post } from "../api";
import { clean } from "../list/names";
import { Notice } from "../parts/notice";
import { clear, show } from "../problems";
import { Bar } from "../recording/asking";
import { momentsTaught } from "../recording/questions";
import { recording, track } from "../recording/recording";
import { say } from "../said";
import { go, state } from "../state";
import { share, t } from "../words";
import { DRAFT, usable, wantDetectors } from "./detectors";

/** For the options of a search. */
export function TaughtOption() {
  useEffect(wantDetectors, []);
  const names = usable().map(({ name }) => name);
  const { taught } = state.value;
  if (!names.length && !taught) return null;
  return (
    <label>{t("taught.choose")}
      <select value={taught} onChange={(event) => go({ taught: event.currentTarget.value, from: "", to: "" })}>
        <option value="">{t("filter.any")}</option>
        {taught.startsWith(DRAFT) && <option value={taught}>{t("taught.draft")}</option>}
        {names.map((name) => <option key={name} value={name}>{clean(name)}</option>)}
      </select>
    </label>
  );
}

/** For moments: taught sounds that are looked for beside the words. */
export function TaughtMoments() {
  useEffect(wantDetectors, []);
  const names = usable().map(({ name }) => name);
  if (!names.length) return null;
  const toggle = (name: string, on: boolean) => (momentsTaught.value = on ? [...momentsTaught.value, name] : momentsTaught.value.filter((one) => one !== name));
  return (
    <fieldset class="answers">
      <legend class="soft">{t("taught.title")}</legend>
      {names.map((name) => <label key={name} class="check"><input type="checkbox" checked={momentsTaught.value.includes(name)} onChange={(event) => toggle(name, event.currentTarget.checked)} /><bdi>{clean(name)}</bdi></label>)}
    </fieldset>
  );
}

interface Detected { detector: string; probability: number; heard: boolean }
const found = signal<{ of: string; detectors: Detected[] } | null>(null);
const MOST = 128; // detectors that are asked at once

async function listen(): Promise<void> {
  const here = recording.peek();
  if (!here) return;
  clear("detect");
  try {
    const names = usable().slice(0, MOST).map(({ name }) => name);
    const heard = track.peek() ? { track: track.peek() } : {};
    const { detectors } = await body<{ detectors: Detected[] }>(await post("v1/detect", { recording: here.id, ...heard, detectors: names }));
    found.value = { of: here.id, detectors: detectors.sort((a, b) => b.probability - a.probability) };
    say(detectors.map((one) => `${clean(one.detector)} ${share(one.probability)}`).join(", "));
  } catch (error) {
    show("detect", error, () => void listen());
  }
}

/** For the recording that is open: which taught sounds are heard in it. */
export function TaughtHeard() {
  useEffect(wantDetectors, []);
  const here = recording.value;
  if (!here || !usable().length) return null;
  return (
    <div class="answer">
      <div class="answer-head"><button type="button" class="chip" onClick={() => void listen()}><span>{t("taught.ask")}</span></button></div>
      <Notice of="detect" />
      {found.value?.of === here.id && (
        <ol class="bars" aria-label={t("taught.title")}>
          {found.value.detectors.map(({ detector, probability, heard }) => <li key={detector}><bdi>{clean(detector)}</bdi><Bar value={probability} text={share(probability)} low={!heard} /></li>)}
        </ol>
      )}
    </div>
  );
}
