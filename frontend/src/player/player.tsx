// The player at the bottom of the page: what plays, where it is, and what can be done with it.
import { useEffect } from "preact/hooks";
import { clean } from "../list/names";
import { Name } from "../list/name";
import { moreLike } from "../list/row";
import { wantPlayed } from "../list/peaks";
import { Wave } from "../list/wave";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { openSound } from "../recording/recording";
import { nameOf, version } from "../sounds";
import { favourite, isFavourite, tick, ticked } from "../tray/ticks";
import { clock, t } from "../words";
import { audition, close, current, length, loop, now, playing, seek, setAudition, setLoop, toggle } from "./audio";

export function Player() {
  version.value;
  const path = current.value;
  if (!path) return null;
  const name = clean(nameOf(path));
  const liked = isFavourite(path);
  return (
    <section class="player" aria-label={t("player.label")}>
      <button type="button" class="round play" aria-label={t(playing.value ? "player.pause" : "player.play")} onClick={() => toggle()}><Icon name={playing.value ? "pause" : "play"} full /></button>
      <div class="player-what"><Name name={nameOf(path)} /><Time /></div>
      <Seek path={path} />
      <div class="player-tools">
        <button type="button" class={loop.value ? "bare on" : "bare"} aria-pressed={loop.value} aria-label={t("player.loop")} title={t("player.loop")} onClick={() => setLoop(!loop.value)}><Icon name="loop" /></button>
        <button type="button" class={audition.value ? "bare on wide-only" : "bare wide-only"} aria-pressed={audition.value} aria-label={t("player.audition")} title={t("player.audition")} onClick={() => setAudition(!audition.value)}><Icon name="ear" /></button>
        <button type="button" class="bare" aria-label={t("row.open", { name })} title={t("row.open", { name })} onClick={() => openSound(path, now.peek())}><Icon name="recording" /></button>
        <button type="button" class="bare" aria-label={t("row.like", { name })} title={t("keys.enter")} onClick={() => moreLike(path)}><Icon name="like" /></button>
        <button type="button" class={liked ? "bare star on" : "bare star"} aria-pressed={liked} aria-label={t("row.favourite", { name })} onClick={() => void favourite(path)}><Icon name="star" full={liked} /></button>
        <button type="button" class={ticked.value.has(path) ? "bare on" : "bare"} aria-pressed={ticked.value.has(path)} aria-label={t("row.tick", { name })} onClick={() => tick(path)}><Icon name="check" /></button>
        <button type="button" class="bare" aria-label={t("player.close")} onClick={close}><Icon name="close" /></button>
      </div>
      <Notice of="player" />
    </section>
  );
}

function Time() {
  return <small class="time">{clock(now.value, length.value)} / {clock(length.value, length.value)}</small>;
}

function Seek({ path }: { path: string }) {
  useEffect(() => wantPlayed(path), [path]);
  const all = length.value;
  return (
    <div class="seek">
      <Wave path={path} />
      <input
        type="range" min={0} max={all || 1} step="any" value={now.value} aria-label={t("player.seek")}
        aria-valuetext={t("player.at", { now: clock(now.value, all), all: clock(all, all) })} onInput={(event) => seek(Number(event.currentTarget.value))}
      />
    </div>
  );
}
