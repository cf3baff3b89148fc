// What was marked: those that are it and those that are not, each to be heard, turned, cut and removed.
import { useRef } from "preact/hooks";
import { clean } from "../list/names";
import { Name } from "../list/name";
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { Notice } from "../parts/notice";
import { sound, version } from "../sounds";
import { ticked } from "../tray/ticks";
import { clock, t } from "../words";
import { choose, coming, giveTicked, stopGiving } from "./giving";
import { heard, keyOf, playing, toggle } from "./hearing";
import { counts, cut, examples, remove, turn } from "./lesson";
import type { Example } from "./types";

export function Examples() {
  const count = ticked.value.size;
  return (
    <section class="examples" aria-labelledby="examples">
      <h3 id="examples">{t("example.title")}</h3>
      {count > 0 && (
        <p class="ticked-too">{t("example.ticked", { count })}
          <button type="button" class="chip" onClick={() => giveTicked(true)}>{t("example.ticked_yes")}</button>
          <button type="button" class="chip" onClick={() => giveTicked(false)}>{t("example.ticked_no")}</button>
        </p>
      )}
      {coming.value && (
        <div class="progress bar-line">
          <progress max={coming.value.total} value={coming.value.done} aria-label={t("recording.coming")} />
          <span>{t("example.coming", coming.value)}</span>
          <button type="button" class="chip" onClick={stopGiving}>{t("ask.stop")}</button>
        </div>
      )}
      <Notice of="give" />
      <div class="two-lists"><Marked yes /><Marked yes={false} /></div>
    </section>
  );
}

function Marked({ yes }: { yes: boolean }) {
  const file = useRef<HTMLInputElement>(null);
  version.value;
  const some = examples.value.filter((one) => one.yes === yes);
  const count = counts()[yes ? "yes" : "no"];
  return (
    <div class={yes ? "marked yes" : "marked no"} data-drop={yes ? "yes" : "no"}>
      <div class="marked-head">
        <h4>{t(yes ? "example.yes" : "example.no", { count })}</h4>
        <button type="button" class="chip" aria-label={t(yes ? "example.add_yes" : "example.add_no")} onClick={() => file.current?.click()}><Icon name="plus" />{t("example.add")}</button>
        <input
          ref={file} type="file" accept="audio/*,video/*" multiple hidden onChange={(event) => {
            choose(event.currentTarget.files, yes);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {some.length === 0 ? <p class="soft">{t(yes ? "example.none_yes" : "example.none_no")}</p> : <ul>{some.map((one) => <Item key={keyOf(one)} one={one} />)}</ul>}
    </div>
  );
}

function Item({ one }: { one: Example }) {
  const here = heard.value === keyOf(one) && playing.value;
  const name = clean(one.name);
  return (
    <li class={one.error ? "example bad" : "example"}>
      <button type="button" class="bare" disabled={one.broken} aria-label={t(here ? "row.pause" : "row.play", { name })} onClick={() => toggle(one)}><Icon name={here ? "pause" : "play"} full /></button>
      <div class="example-what">
        <Name name={one.name} />
        {one.error ? <small>{t("example.unusable", { why: clean(one.error) })}</small> : one.end !== undefined && isPart(one) && <small class="soft">{t("spans.from_to", { start: clock(one.start ?? 0), end: clock(one.end) })}</small>}
      </div>
      {!one.broken && <Cut one={one} />}
      <button type="button" class="bare" hidden={one.broken} aria-label={t(one.yes ? "example.turn_no" : "example.turn_yes", { name })} title={t(one.yes ? "example.turn_no" : "example.turn_yes", { name })} onClick={() => turn(one)}><Icon name="turn" /></button>
      <button type="button" class="bare" aria-label={t("example.remove", { name })} onClick={() => remove(one)}><Icon name="close" /></button>
    </li>
  );
}

function isPart({ path, start = 0, end = 0 }: Example): boolean {
  const all = path === undefined ? 0 : (sound(path)?.seconds ?? 0);
  return !all || end - start < all * 0.98;
}

/** From which second to which: an example should be cut to where the sound is. */
function Cut({ one }: { one: Example }) {
  const seconds = (event: SubmitEvent, name: string): number | undefined => {
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get(name)).trim();
    return text === "" ? undefined : Number(text);
  };
  return (
    <Menu label={t("example.cut", { name: clean(one.name) })} icon="cut" bare class="bare">
      {(close) => (
        <form class="form" onSubmit={(event) => {
          event.preventDefault();
          const [start, end] = [seconds(event, "start"), seconds(event, "end")];
          close();
          if (end === undefined || end > (start ?? 0)) cut(one, start, end);
        }}>
          <div class="two">
            <label>{t("example.start")}<input name="start" type="number" min={0} step="any" defaultValue={one.start === undefined ? "" : String(one.start)} /></label>
            <label>{t("example.end")}<input name="end" type="number" min={0} step="any" defaultValue={one.end === undefined ? "" : String(one.end)} /></label>
          </div>
          <button type="submit" class="primary">{t("example.cut_go")}</button>
          <button type="button" class="plain" onClick={() => (close(), cut(one))}>{t("example.whole")}</button>
        </form>
      )}
    </Menu>
  );
}
