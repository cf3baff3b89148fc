// What is done with ticked sounds.
import { go, state } from "../state";
import { giveTicked } from "../teach/giving";
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { Notice } from "../parts/notice";
import { library } from "../server";
import { t } from "../words";
import { facets } from "../finding";
import { clean } from "../list/names";
import { collectTicked, done, exportTicked, tagTicked, ticked, uncollectTicked, untickAll, working } from "./ticks";

const FORMATS = ["zip", "m3u8", "csv"] as const;

export function Tray() {
  const count = ticked.value.size;
  if (!count) return null;
  const [from, to] = [...ticked.value];
  return (
    <section class="tray" aria-label={t("tray.label")}>
      <b>{t("tray.count", { count })}</b>
      {FORMATS.map((format) => <button type="button" class="chip" key={format} aria-disabled={working.value} onClick={() => void exportTicked(format)}>{t(`tray.${format}`)}</button>)}
      {library.value?.writable && <><TagMenu /><CollectionMenu /></>}
      {count === 2 && <button type="button" class="chip" onClick={() => go({ from: from!, to: to!, q: "", like: "", sound: "" })}>{t("tray.walk")}</button>}
      <button type="button" class="chip" onClick={() => (giveTicked(true), go({ place: "teach" }))}>{t("example.tray")}</button>
      <button type="button" class="chip" onClick={untickAll}><Icon name="close" />{t("tray.clear")}</button>
      <span class="soft">{working.value ? t("tray.working") : done.value}</span>
      <Notice of="tray" />
    </section>
  );
}

/** Collections: one that is there, or a new one. */
function CollectionMenu() {
  const shown = state.value.collection;
  return (
    <>
      <Menu label={t("tray.collect")} icon="folder">
        {(close) => {
          const put = (name: string) => {
            if (!name) return;
            collectTicked(name);
            close();
          };
          return (
            <form class="form" onSubmit={(event) => {
              event.preventDefault();
              put(String(new FormData(event.currentTarget).get("collection")).trim());
            }}>
              <label>{t("tray.collection_name")}<input name="collection" type="text" maxLength={100} placeholder={t("tray.collection_placeholder")} autocomplete="off" /></label>
              <button type="submit" class="primary">{t("tray.collect")}</button>
              {(facets.value?.collections ?? []).slice(0, 50).map(({ value }) => <button type="button" class="item" key={value} onClick={() => put(value)}><bdi>{clean(value)}</bdi></button>)}
            </form>
          );
        }}
      </Menu>
      {shown && <button type="button" class="chip" onClick={() => void uncollectTicked(shown)}><Icon name="minus" />{t("tray.uncollect", { name: clean(shown) })}</button>}
    </>
  );
}

function TagMenu() {
  return (
    <Menu label={t("tray.tag")} icon="tag">
      {(close) => (
        <form class="form" onSubmit={(event) => {
          event.preventDefault();
          const tag = String(new FormData(event.currentTarget).get("tag")).trim();
          if (!tag) return;
          tagTicked(tag);
          close();
        }}>
          <label>{t("tray.tag_name")}<input name="tag" type="text" maxLength={100} placeholder={t("tray.tag_placeholder")} autocomplete="off" /></label>
          <button type="submit" class="primary">{t("tray.tag")}</button>
        </form>
      )}
    </Menu>
  );
}
