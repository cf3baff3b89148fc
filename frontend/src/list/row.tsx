// One row of the list: a sound, with why it is there where something was looked for.
import { judge, rows } from "../finding";
import { audioUrl } from "../api";
import { Icon } from "../parts/icons";
import { current, playing, toggle } from "../player/audio";
import { openSound } from "../recording/recording";
import { tell } from "../problems";
import type { Row as RowData } from "../rows";
import { folderOf, nameOf, sound, version } from "../sounds";
import { go, mode, state } from "../state";
import { favourite, FAVOURITE, isFavourite, parcel, tick, tickAll, ticked } from "../tray/ticks";
import { duration, share, t } from "../words";
import { clean, fileName } from "./names";
import { Name } from "./name";
import { Wave } from "./wave";

interface Props {
  row: RowData | undefined;
  index: number;
  active: boolean;
  top: number;
  onChoose: (index: number) => void;
}

const FINGER = matchMedia("(hover: none)"); // a tap on a row plays it

/** What a button in a row does is not also a tap on the row. */
function stopped(does: () => void): (event: Event) => void {
  return (event) => {
    event.stopPropagation();
    does();
  };
}

export function moreLike(path: string): void {
  go({ like: path, q: "", sound: "", taught: "", from: "", to: "", view: "list" });
}

export function Row({ row, index, active, top, onChoose }: Props) {
  version.value; // what is known of the sound may have changed
  const place = { transform: `translateY(${top}px)` };
  const common = { style: place, role: "row", "aria-rowindex": index + 2, tabIndex: active ? 0 : -1, "data-index": index } as const;
  if (!row) {
    return <div {...common} class="row empty" aria-label={t("row.waiting")}><span role="gridcell" /><span role="gridcell" class="skeleton" /><span role="gridcell" class="skeleton" /><span role="gridcell" class="skeleton" /></div>;
  }
  if (row.line) return <div {...common} class="row line"><span role="gridcell"><b>{t("list.unlikely")}</b></span></div>;
  const { path, hit } = row;
  const facts = sound(path);
  const on = ticked.value.has(path);
  const here = current.value === path;
  const name = clean(nameOf(path));
  const from = hit?.start ?? 0;
  return (
    <div
      {...common} class={`row${on ? " ticked" : ""}${here ? " here" : ""}`} aria-selected={on} aria-label={told(row, index)} draggable
      onDragStart={(event) => drag(event, path)} onClick={() => (onChoose(index), FINGER.matches && toggle(path, from))} onFocus={() => onChoose(index)} onDblClick={() => toggle(path, from)}
    >
      <span role="gridcell" class="c-tick">
        <label class="tick" onClick={(event) => event.stopPropagation()}>
          <input type="checkbox" tabIndex={-1} checked={on} aria-label={t("row.tick", { name })} onChange={() => tick(path)} onClick={(event) => tickTo(event, index)} />
        </label>
      </span>
      <span role="gridcell" class="c-play">
        <button type="button" class="bare round" tabIndex={-1} aria-label={t(here && playing.value ? "row.pause" : "row.play", { name })} onClick={stopped(() => toggle(path, from))}>
          <Icon name={here && playing.value ? "pause" : "play"} full />
        </button>
      </span>
      <span role="gridcell" class="c-name">
        <Name name={nameOf(path)} />
        <small>{hit ? <Why row={row} index={index} /> : null}<span class="under">{[folderOf(path), facts && duration(facts.seconds)].filter(Boolean).map((one) => clean(one!)).join(" · ")}</span></small>
      </span>
      {mode.value !== "library" && <span role="gridcell" class="c-relevance">{hit && <Relevance row={row} index={index} />}</span>}
      <span role="gridcell" class="c-folder" title={clean(folderOf(path))}><Name name={folderOf(path)} folder /></span>
      <span role="gridcell" class="c-wave"><Wave path={path} from={hit?.start} to={hit?.end} /></span>
      <span role="gridcell" class="c-length">{facts ? duration(facts.seconds) : ""}</span>
      <span role="gridcell" class="c-tags">{facts?.tags.filter((tag) => tag !== FAVOURITE).slice(0, 4).map((tag) => (
        <button type="button" class="tag" tabIndex={-1} key={tag} onClick={stopped(() => toggleTag(tag))}>{clean(tag)}</button>
      ))}</span>
      <span role="gridcell" class="c-actions">
        <button type="button" class="bare wide-only" tabIndex={-1} aria-label={t("row.open", { name })} title={t("row.open", { name })} onClick={stopped(() => openSound(path, hit?.start))}><Icon name="recording" /></button>
        <button type="button" class="bare" tabIndex={-1} aria-label={t("row.like", { name })} title={t("row.like", { name })} onClick={stopped(() => moreLike(path))}><Icon name="like" /></button>
        <button type="button" class={isFavourite(path) ? "bare star on" : "bare star"} tabIndex={-1} aria-pressed={isFavourite(path)} aria-label={t("row.favourite", { name })} onClick={stopped(() => void favourite(path))}><Icon name="star" full={isFavourite(path)} /></button>
      </span>
    </div>
  );
}

/** A row is dragged out as its file; one of several that are ticked, as an archive of these. */
function drag(event: DragEvent, path: string): void {
  const many = ticked.peek().has(path) && ticked.peek().size > 1;
  const address = many ? parcel() : audioUrl(path, false, true);
  if (!address) {
    event.preventDefault();
    return tell("tray", () => t("tray.too_many"));
  }
  event.dataTransfer?.setData("DownloadURL", `application/octet-stream:${many ? "openclap.zip" : fileName(nameOf(path))}:${address}`);
  event.dataTransfer?.setData("text/uri-list", address);
}

/** What a screen reader says of a row: its name, how well it fits, its length, its tags. */
function told({ path, hit }: RowData, index: number): string {
  const facts = sound(path);
  const fits = !hit ? "" : mode.value === "walk" ? t("hit.step", { number: index + 1 }) : `${share(judge(hit).value)} ${t(`hit.${judge(hit).verdict}`)}`;
  return [nameOf(path), fits, facts && duration(facts.seconds), ...(facts?.tags ?? []), ...(facts?.collections ?? [])].filter(Boolean).map((one) => clean(one!)).join(", ");
}

let lastTicked = 0;

/** With Shift the rows from the last one to this one are ticked. */
function tickTo(event: MouseEvent, index: number): void {
  event.stopPropagation();
  const all = rows.peek();
  const [from, to] = [Math.min(lastTicked, index), Math.max(lastTicked, index)];
  if (event.shiftKey && all) {
    const paths: string[] = [];
    for (let i = from; i <= to; i++) if (i !== index && all.at(i)?.path) paths.push(all.at(i)!.path);
    tickAll(paths);
  }
  lastTicked = index;
}

function toggleTag(tag: string): void {
  const { tag: now } = state.value;
  go({ tag: now.includes(tag) ? now.filter((one) => one !== tag) : [...now, tag] });
}

/** Relevance as a bar, a share and a word; on a walk the number of the step. */
function Relevance({ row, index }: { row: RowData; index: number }) {
  if (mode.value === "walk") return <span class="soft">{t("hit.step", { number: index + 1 })}</span>;
  const { value, verdict } = judge(row.hit!);
  return (
    <span class={`relevance ${verdict}`}>
      <span class="bar" style={{ "--share": String(value) }} aria-hidden="true" />
      <span class="share">{share(value)}</span> <span class="verdict">{t(`hit.${verdict}`)}</span>
    </span>
  );
}

/** Why a hit is there: heard 72 % · named “kick”. */
function Why({ row, index }: { row: RowData; index: number }) {
  const hit = row.hit!;
  const heard = hit.silent ? t("hit.silent") : hit.confidence != null ? t("hit.heard", { share: share(hit.confidence) }) : "";
  const words = hit.named?.length ? t("hit.named", { words: hit.named.map((word) => t("hit.quoted", { word: clean(word) })).join(" ") }) : "";
  return (
    <span class="why">
      <span class="why-relevance"><Relevance row={row} index={index} /></span>
      <span class="why-words">{[heard, words].filter(Boolean).join(" · ")}</span>
    </span>
  );
}
