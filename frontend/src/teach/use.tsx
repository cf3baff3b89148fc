// What is done with what was taught: kept, downloaded, searched with, tried; and what it finds in the library.
import { clean } from "../list/names";
import { Name } from "../list/name";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { UnknownWords } from "../parts/unknown";
import { Bar } from "../recording/asking";
import { nameOf, version } from "../sounds";
import { FRESH, go, state } from "../state";
import { share, t } from "../words";
import { asKept, detectors, done, download, isOwn, keep } from "./detectors";
import { heard, keyOf, playing, toggle } from "./hearing";
import { begin, lesson, title } from "./lesson";
import { mark, markOf } from "./marks";
import { Trial } from "./trial";

/** Look in the library for what was taught. */
export function findTaught(taught: string): void {
  go({ ...FRESH, place: "find", taught });
}

export function Use() {
  const found = lesson.value;
  if (!found) return null;
  const { named, words } = state.value;
  const name = named.trim() || words.trim() || title();
  return (
    <>
      <section class="use" aria-labelledby="use">
        <h3 id="use">{t("keep.title")}</h3>
        <div class="answers">
          {detectors.value?.writable && <button type="button" class="primary" onClick={() => void keep()}>{isOwn(name) ? t("keep.over", { name: clean(name) }) : t("keep.go")}</button>}
          <button type="button" class="chip" onClick={() => findTaught(asKept(found.id))}><Icon name="search" />{t("keep.find")}</button>
          <button type="button" class="chip" onClick={() => void download(found.id, name)}>{t("keep.file")}</button>
        </div>
        <p class="soft" hidden={!done.value.keep}>{done.value.keep}</p>
        {detectors.value?.writable === false && <p class="soft">{t("keep.owner")}</p>}
        <Notice of="keep" />
        <Trial />
      </section>
      <Found />
    </>
  );
}

function Found() {
  version.value;
  const { hits, left_out, unknown } = lesson.value!;
  return (
    <section class="taught-hits" aria-labelledby="taught-hits" hidden={hits.length === 0 && unknown.length === 0}>
      <h3 id="taught-hits">{t("keep.results")}</h3>
      <UnknownWords words={unknown} take={(word, other) => begin(state.peek().named, (state.peek().words || state.peek().named).replace(word, other))} />
      {left_out > 0 && <p class="first">{t("keep.left_out", { count: left_out })}</p>}
      <ol>
        {hits.map((hit) => {
          const one = { path: hit.path, name: nameOf(hit.path), start: hit.start, end: hit.end };
          const here = heard.value === keyOf(one) && playing.value;
          const name = clean(one.name);
          const marked = markOf(hit.path);
          return (
            <li key={hit.path} class="example">
              <button type="button" class="bare" aria-label={t(here ? "row.pause" : "row.play", { name })} onClick={() => toggle(one)}><Icon name={here ? "pause" : "play"} full /></button>
              <Name name={one.name} />
              <Bar value={hit.confidence ?? 0} text={share(hit.confidence ?? 0)} low={hit.unlikely ?? false} />
              <button type="button" class={marked === true ? "bare on" : "bare"} aria-pressed={marked === true} aria-label={t("example.turn_yes", { name })} onClick={() => mark(hit.path, true, hit)}><Icon name="check" /></button>
              <button type="button" class={marked === false ? "bare on" : "bare"} aria-pressed={marked === false} aria-label={t("example.turn_no", { name })} onClick={() => mark(hit.path, false, hit)}><Icon name="close" /></button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
