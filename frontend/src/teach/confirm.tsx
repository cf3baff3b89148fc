// One sound at a time, played and asked about: is this it?
import { clean } from "../list/names";
import { Name } from "../list/name";
import { drawn, wantPeaks, waveform } from "../list/peaks";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { useEffect } from "preact/hooks";
import { library } from "../server";
import { folderOf, nameOf, sound, version } from "../sounds";
import { state } from "../state";
import { clock, t } from "../words";
import { hear, heard, keyOf, now, playing, toggle } from "./hearing";
import { answer, auto, candidate, canTakeBack, counts, looking, setAuto, skip, takeBack } from "./lesson";
import type { Candidate } from "./types";

export function Confirm() {
  const one = candidate.value;
  const { named, words } = state.value;
  const name = named.trim() || words.trim();
  return (
    <section class="ask-one" aria-labelledby="ask-one">
      <h3 id="ask-one">{name ? t("ask_one.of", { name: clean(name) }) : t("ask_one.title")}</h3>
      {one ? <Asked one={one} /> : <p class="soft nothing">{t(without(name))}</p>}
      <Notice of="teach" />
      <Notice of="example" />
      <div class="answers">
        <button type="button" class="answer-yes" disabled={!one} aria-keyshortcuts="Y" onClick={() => answer(true)}><Icon name="check" />{t("ask_one.yes")}<kbd aria-hidden="true">Y</kbd></button>
        <button type="button" class="answer-no" disabled={!one} aria-keyshortcuts="N" onClick={() => answer(false)}><Icon name="close" />{t("ask_one.no")}<kbd aria-hidden="true">N</kbd></button>
        <button type="button" class="chip" disabled={!one} aria-keyshortcuts="S" onClick={skip}>{t("ask_one.skip")}<kbd aria-hidden="true">S</kbd></button>
        <button type="button" class="chip" disabled={!canTakeBack.value} aria-keyshortcuts="Z" onClick={takeBack}>{t("ask_one.back")}<kbd aria-hidden="true">Z</kbd></button>
        <span class="grow" />
        <label class="check"><input type="checkbox" checked={auto.value} onChange={(event) => setAuto(event.currentTarget.checked)} />{t("ask_one.auto")}</label>
      </div>
    </section>
  );
}

function without(name: string) {
  if (looking.value) return "ask_one.looking";
  if (library.value?.files === 0) return "ask_one.empty";
  return name || counts().yes > 0 ? "ask_one.none" : "ask_one.begin";
}

function Asked({ one }: { one: Candidate }) {
  version.value;
  const here = heard.value === keyOf(one) && playing.value;
  const name = clean(nameOf(one.path));
  return (
    <div class="asked">
      <button type="button" class="round play" aria-label={t(here ? "row.pause" : "row.play", { name })} onClick={() => toggle(one)}><Icon name={here ? "pause" : "play"} full /></button>
      <div class="asked-what">
        <Name name={nameOf(one.path)} />
        <small class="soft">{[clean(folderOf(one.path)), part(one)].filter(Boolean).join(" · ")}</small>
      </div>
      <Picture one={one} />
      <p class="soft why">{t(`ask_one.why_${one.why}`)}</p>
    </div>
  );
}

/** From when to when, where it is a part of a longer file. */
function part({ path, start = 0, end }: Candidate): string {
  const all = sound(path)?.seconds ?? 0;
  return all && end !== undefined && end - start < all * 0.98 ? t("spans.from_to", { start: clock(start), end: clock(end) }) : "";
}

/** The waveform, and which part of it is meant; a click plays that. */
function Picture({ one }: { one: Candidate }) {
  useEffect(() => wantPeaks([one.path]), [one.path]);
  drawn.value;
  const all = sound(one.path)?.seconds ?? 0;
  const { start = 0, end = all } = one;
  const here = heard.value === keyOf(one);
  const d = waveform(one.path);
  return (
    <svg class={d === undefined ? "wave waiting" : "wave"} viewBox="0 0 200 32" preserveAspectRatio="none" aria-hidden="true" onClick={() => hear(one)}>
      {all > 0 && end - start < all * 0.98 && <rect class="wave-hit" x={(start / all) * 200} width={Math.max(2, ((end - start) / all) * 200)} y="0" height="32" />}
      <path d={d || "M0 16H200"} />
      {here && all > 0 && <path class="wave-head" d={`M${((now.value / all) * 200).toFixed(1)} 0V32`} />}
    </svg>
  );
}
