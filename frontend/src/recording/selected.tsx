// What can be done with the span that is chosen.
import { Icon } from "../parts/icons";
import { t } from "../words";
import { partOf, playFrom } from "./listening";
import { fine, looping, selection, setLooping, unchoose } from "./selection";

export function Selected() {
  const span = selection.value;
  if (!span) return null;
  const { start, end } = span;
  return (
    <section class="selected" aria-label={t("selection.label")}>
      <b>{t("spans.from_to", { start: fine(start), end: fine(end) })}</b>
      <span class="soft wide-only">{t("common.seconds", { seconds: (end - start).toFixed(2) })}</span>
      <button type="button" class="chip" onClick={() => playFrom(start, end)}><Icon name="play" full />{t("player.play")}</button>
      <button type="button" class={looping.value ? "chip active" : "chip"} aria-pressed={looping.value} onClick={() => setLooping(!looping.value)}><Icon name="loop" />{t("player.loop")}</button>
      <a class="chip" href={partOf(span)} download>{t("selection.save")}</a>
      <button type="button" class="bare" aria-label={t("selection.clear")} title={t("selection.clear")} onClick={unchoose}><Icon name="close" /></button>
    </section>
  );
}
