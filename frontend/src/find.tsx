// The place Find: the query, the filters, what is said about the results, and the results as a list or a map.
import { results, rows, shownHits } from "./finding";
import { AddWindow, adding, Empty } from "./add/add";
import { Filters } from "./filters/filters";
import { clean } from "./list/names";
import { TickAllChoice } from "./list/head";
import { List } from "./list/list";
import { SoundMap } from "./map/map";
import { Icon } from "./parts/icons";
import { Notice } from "./parts/notice";
import { Toolbar } from "./parts/toolbar";
import { put, UnderstoodTexts, UnknownWords } from "./parts/unknown";
import { Query } from "./query/query";
import { library } from "./server";
import { nameOf, version } from "./sounds";
import { filtered, go, mode, state } from "./state";
import { t } from "./words";

export function Find() {
  const place = state.value.place;
  const empty = library.value?.files === 0 && mode.value === "library";
  return (
    <main class="find" hidden={place !== "find"}>
      <h2 class="hidden">{t("place.find")}</h2>
      {!empty && <Query />}
      <Notice of="search" />
      {!empty && <Toolbar label={t("filter.bar")}><Filters /><Above /></Toolbar>}
      <Notice of="facets" />
      {empty ? <Empty /> : <><Said /><Shown /></>}
      <Notice of="tags" />
      <AddWindow />
    </main>
  );
}

/** The line above the results: how many, in what order, what must be said first; list or map. */
function Above() {
  const { view } = state.value;
  version.value;
  return (
    <div class="above">
      {mode.value !== "library" && view === "list" && shownHits.value.length > 0 && <TickAllChoice />}
      <h3><Count /></h3>
      {mode.value !== "library" && <button type="button" data-tool class="chip" aria-label={t("list.back")} onClick={() => go({ q: "", like: "", sound: "", taught: "", from: "", to: "" })}><Icon name="close" /><span class="wide-only">{t("list.back")}</span></button>}
      <span class="grow" />
      {library.value?.writable && <button type="button" data-tool class="chip" aria-label={t("add.open")} onClick={() => (adding.value = true)}><Icon name="plus" /><span class="wide-only">{t("add.open")}</span></button>}
      <div class="switch" role="group" aria-label={t("list.view")}>
        {(["list", "map"] as const).map((name) => (
          <button type="button" data-tool key={name} aria-pressed={view === name} aria-label={t(`list.${name}`)} title={t(`list.${name}`)} onClick={() => go({ view: name })}><Icon name={name} /></button>
        ))}
      </div>
    </div>
  );
}

function Count() {
  if (mode.value === "library") return <>{rows.value ? t("list.files", { count: rows.value.total }) : t("list.loading")}</>;
  if (!results.value) return null;
  if (results.value.busy) return <>{t("list.searching")}</>;
  if (mode.value === "walk") return <bdi>{t("map.walk", { a: clean(nameOf(state.value.from)), b: clean(nameOf(state.value.to)) })}</bdi>;
  return <>{t("list.found", { count: shownHits.value.length })} <small>{t("list.high_to_low")}</small></>;
}

function Said() {
  const found = results.value;
  if (!found || found.busy || mode.value !== "search") return null;
  const nothing = found.nothing_likely ?? (found.hits.length > 0 && found.hits.every((hit) => hit.unlikely));
  return (
    <div class="said">
      {nothing && found.hits.length > 0 && <p class="first">{t("list.nothing_likely")}</p>}
      <UnderstoodTexts texts={found.understood} />
      <UnknownWords words={found.unknown} take={(word, other) => go({ q: put(state.value.q, word, other) })} />
      {Boolean(found.left_out) && <p class="first">{t("list.left_out", { count: found.left_out! })}</p>}
    </div>
  );
}

function Shown() {
  const { view } = state.value;
  const all = rows.value;
  const none = all && all.total === 0 && !results.value?.busy;
  return (
    <div class={results.value?.busy ? "shown busy" : "shown"}>
      <Notice of="library" />
      {view === "map" ? <SoundMap /> : <List label={t(mode.value === "library" ? "list.title" : "list.results")} />}
      {none && view === "list" && <p class="none">{t(filtered.value ? "list.none" : "list.no_hits")}</p>}
    </div>
  );
}

