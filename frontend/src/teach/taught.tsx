// What the server has been taught: searched with, renamed, downloaded, taught anew for another model, forgotten.
import { useRef } from "preact/hooks";
import { clean } from "../list/names";
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { Notice } from "../parts/notice";
import { t } from "../words";
import { detectors, done, download, forget, refit, rename, send, working } from "./detectors";
import { shown } from "./lesson";
import type { Detector } from "./types";
import { findTaught } from "./use";

export function Taught() {
  const file = useRef<HTMLInputElement>(null);
  const all = detectors.value;
  return (
    <section class="taught" aria-labelledby="taught">
      <div class="marked-head">
        <h3 id="taught">{t("taught.title")}</h3>
        {all?.writable && <button type="button" class="chip" onClick={() => file.current?.click()}><Icon name="plus" />{t("taught.upload")}</button>}
        <input
          ref={file} type="file" accept=".safetensors" hidden onChange={(event) => {
            const given = event.currentTarget.files?.[0];
            if (given) void send(given);
            event.currentTarget.value = "";
          }}
        />
      </div>
      <Notice of="taught" />
      <p class="soft" hidden={!(working.value || done.value.taught)}>{working.value || done.value.taught}</p>
      {all && all.detectors.length === 0 && all.failed.length === 0 && <p class="soft">{t("taught.none")}</p>}
      <ul>
        {all?.detectors.map((one) => <Item key={one.name} one={one} />)}
        {all?.failed.map(({ name, error }) => (
          <li key={name} class="taught-one">
            <p class="first">{t("taught.broken", { name: clean(name), why: clean(error) })}</p>
            <Forget name={name} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Item({ one }: { one: Detector }) {
  const name = clean(one.name);
  const { judged, precision, recall } = one.report;
  const facts = [
    t("taught.examples", { yes: one.examples.yes ?? 0, no: one.examples.no ?? 0 }),
    judged ? t("taught.good", { precision: shown(precision), recall: shown(recall) }) : "",
    one.fits ? "" : t("taught.other", { model: clean(one.model) }), one.own ? "" : t("taught.given"),
  ];
  return (
    <li class="taught-one">
      <div class="example-what"><bdi>{name}</bdi><small class="soft">{facts.filter(Boolean).join(" · ")}</small></div>
      {one.fits && <button type="button" class="bare" aria-label={t("taught.find", { name })} title={t("taught.find", { name })} onClick={() => findTaught(one.name)}><Icon name="search" /></button>}
      {!one.fits && one.own && one.kept > 0 && <button type="button" class="chip" disabled={working.value !== ""} onClick={() => void refit(one.name)}><span>{t("taught.refit", { name })}</span></button>}
      {one.own && <Rename name={one.name} />}
      {one.own && <button type="button" class="bare" aria-label={t("taught.file", { name })} title={t("taught.file", { name })} onClick={() => void download(one.name)}><Icon name="save" /></button>}
      {one.own && <Forget name={one.name} />}
    </li>
  );
}

function Rename({ name }: { name: string }) {
  return (
    <Menu label={t("taught.rename", { name: clean(name) })} icon="pen" bare class="bare">
      {(close) => (
        <form class="form" onSubmit={(event) => {
          event.preventDefault();
          const to = String(new FormData(event.currentTarget).get("name")).trim();
          close();
          if (to && to !== name) void rename(name, to);
        }}>
          <label>{t("taught.new_name")}<input name="name" type="text" required maxLength={100} defaultValue={name} autocomplete="off" /></label>
          <button type="submit" class="primary">{t("taught.rename_go")}</button>
        </form>
      )}
    </Menu>
  );
}

function Forget({ name }: { name: string }) {
  return (
    <Menu label={t("taught.forget", { name: clean(name) })} icon="close" bare class="bare">
      {(close) => (
        <div class="form">
          <p class="soft">{t("taught.forget_sure")}</p>
          <button type="button" class="primary" onClick={() => (close(), void forget(name))}>{t("taught.forget_go")}</button>
        </div>
      )}
    </Menu>
  );
}
