// Filters as chips with counts; what is chosen is written on the chip, and a click on its cross takes it back.
import { facets } from "../finding";
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { clean } from "../list/names";
import { SortChoice } from "../list/head";
import { filtered, go, mode, state, UNFILTERED } from "../state";
import { FAVOURITE } from "../tray/ticks";
import { t } from "../words";
import { Choice } from "./choice";
import { Folders } from "./folders";
import { Length, lengthText } from "./length";

export function Filters() {
  const { folder, format, tag, collection, sure, text, least, most } = state.value;
  const counts = facets.value;
  const last = clean(folder.slice(folder.lastIndexOf("/") + 1));
  const many = (label: string, chosen: string[]) => (chosen.length > 1 ? `${label} · ${chosen.length}` : chosen[0] === FAVOURITE ? t("filter.favourite") : clean(chosen[0] ?? label));
  return (
    <div class="filters">
      <Menu tool label={t("filter.folder")} icon="folder" active={folder !== ""} shown={folder ? <bdi>{last}</bdi> : undefined}>
        {(close) => <Folders close={close} />}
      </Menu>
      <Menu tool label={t("filter.length")} active={Boolean(least || most)} shown={lengthText()}>
        {(close) => <Length close={close} />}
      </Menu>
      <Menu tool label={t("filter.format")} active={format.length > 0} shown={many(t("filter.format"), format)}>
        {() => <Choice counts={counts?.formats} chosen={format} onChange={(to) => go({ format: to })} />}
      </Menu>
      <Menu tool label={t("filter.tags")} icon="tag" active={tag.length > 0} shown={many(t("filter.tags"), tag)}>
        {() => <Choice counts={counts?.tags} chosen={tag} onChange={(to) => go({ tag: to })} />}
      </Menu>
      <Menu tool label={t("filter.collection")} active={collection !== ""} shown={collection ? clean(collection) : undefined}>
        {() => <Choice counts={counts?.collections} chosen={collection ? [collection] : []} onChange={(to) => go({ collection: to.at(-1) ?? "" })} />}
      </Menu>
      {mode.value === "search" && (
        <button type="button" data-tool class={sure ? "chip active" : "chip"} aria-pressed={sure} onClick={() => go({ sure: !sure }, false)}>{t("filter.sure")}</button>
      )}
      <label class="name-filter">
        <span class="hidden">{t("filter.text")}</span>
        <input data-tool id="filter" type="search" value={text} placeholder={t("filter.text")} autocomplete="off" spellcheck={false} onInput={(event) => go({ text: event.currentTarget.value }, false)} />
      </label>
      {mode.value === "library" && <SortChoice />}
      {filtered.value && <button type="button" data-tool class="chip" onClick={() => go(UNFILTERED)}><Icon name="close" />{t("filter.clear")}</button>}
    </div>
  );
}
