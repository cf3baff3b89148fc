// The head of the list: what its columns are, and a click that sorts. Reached from the first row by ↑, so that it costs no Tab.
import { shownHits } from "../finding";
import { tick, tickAll, ticked } from "../tray/ticks";
import { go, mode, state, type Sort } from "../state";
import type { Key } from "../strings";
import { t } from "../words";

const SORTS: Sort[] = ["name", "folder", "seconds", "modified"];
export const SORT_NAMES: Record<Sort, Key> = { name: "list.name", folder: "list.folder", seconds: "list.length", modified: "list.modified" };

function sortBy(sort: Sort): void {
  const { sort: now, order } = state.value;
  go({ sort, order: sort === now && order === "asc" ? "desc" : "asc" }, false);
}

function Column({ sort, name, label }: { sort?: Sort; name: string; label: Key }) {
  const library = mode.value === "library";
  const on = library && sort === state.value.sort;
  const order = on ? (state.value.order === "asc" ? "ascending" : "descending") : sort && library ? "none" : undefined;
  return (
    <span role="columnheader" class={name} aria-sort={order}>
      {sort && library
        ? <button type="button" class="plain" tabIndex={-1} onClick={() => sortBy(sort)}>{t(label)}<span aria-hidden="true">{on ? (state.value.order === "asc" ? " ↑" : " ↓") : ""}</span></button>
        : <span class={name === "c-tick" || name === "c-play" || name === "c-actions" ? "hidden" : ""}>{t(label)}</span>}
    </span>
  );
}

/** Ticks all results, or none; `tool` puts it into the toolbar. */
function TickAll({ tool }: { tool?: boolean }) {
  const paths = shownHits.value.map(({ path }) => path);
  const count = paths.filter((path) => ticked.value.has(path)).length;
  const all = count > 0 && count === paths.length;
  return (
    <label class="tick">
      <input type="checkbox" data-tool={tool} tabIndex={tool ? undefined : -1} checked={all} indeterminate={count > 0 && !all} disabled={!paths.length} aria-label={t("list.tick_all")} onChange={() => (all ? paths.forEach((path) => tick(path, false)) : tickAll(paths))} />
    </label>
  );
}

/** Where the head has no room (phones): above the ticks of the rows. */
export function TickAllChoice() {
  return <span class="tick-all"><TickAll tool /></span>;
}

export function Head() {
  return (
    <div class="head" role="rowgroup">
      <div class="row" role="row" aria-rowindex={1}>
        {mode.value === "library" ? <Column name="c-tick" label="list.tick" /> : <span role="columnheader" class="c-tick"><TickAll /></span>}
        <Column name="c-play" label="player.play" />
        <Column name="c-name" label="list.name" sort="name" />
        {mode.value !== "library" && <Column name="c-relevance" label="list.relevance" />}
        <Column name="c-folder" label="list.folder" sort="folder" />
        <Column name="c-wave" label="list.wave" />
        <Column name="c-length" label="list.length" sort="seconds" />
        <Column name="c-tags" label="list.tags" />
        <Column name="c-actions" label="list.actions" />
      </div>
    </div>
  );
}

/** Where the head has no room (phones): the same as a choice. */
export function SortChoice() {
  const { sort, order } = state.value;
  return (
    <label class="sort-choice">
      <span class="hidden">{t("list.sort")}</span>
      <select data-tool value={`${sort} ${order}`} onChange={(event) => {
        const [to, way] = event.currentTarget.value.split(" ") as [Sort, "asc" | "desc"];
        go({ sort: to, order: way }, false);
      }}>
        {SORTS.flatMap((one) => [
          <option value={`${one} asc`}>{t(SORT_NAMES[one])} ↑</option>,
          <option value={`${one} desc`}>{t(SORT_NAMES[one])} ↓</option>,
        ])}
      </select>
    </label>
  );
}
