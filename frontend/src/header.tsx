// The head of the page: places, tasks by their names, the model, language and light. On phones the places are at the bottom.
import type { Page } from "./api";
import { clean } from "./list/names";
import { focusPlace } from "./parts/focus";
import { Icon } from "./parts/icons";
import { LiveDot } from "./live/dot";
import { Menu } from "./parts/menu";
import { Notice } from "./parts/notice";
import { loadModel, page } from "./server";
import { address, FRESH, go, PLACES, state, type Place, type State } from "./state";
import { language, t } from "./words";
import { turnLight } from "./theme";
import { focusQuery } from "./query/query";
import { helping } from "./help";

/** A link that changes the state; with a key that opens a new tab it is a link as any other. */
function Link({ to, on, children, ...rest }: { to: Partial<State>; on: boolean; children: preact.ComponentChildren; class?: string; then?: () => void }) {
  const { then, ...attributes } = rest;
  const click = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to);
    then?.();
  };
  return <a href={address({ ...state.value, ...to })} aria-current={on ? "page" : undefined} onClick={click} {...attributes}>{children}</a>;
}

export function Places({ bottom }: { bottom?: boolean }) {
  const { place } = state.value;
  return (
    <nav class={bottom ? "places bottom" : "places"} aria-label={t("head.places")}>
      {PLACES.map((name: Place) => (
        <Link key={name} to={{ place: name }} on={place === name}><Icon name={name} />{t(`place.${name}`)}{name === "live" && <LiveDot />}</Link>
      ))}
    </nav>
  );
}

function Tasks() {
  const { place, tool } = state.value;
  return (
    <nav class="tasks" aria-label={t("head.tasks")}>
      <Link to={{ place: "recording", tool: "match" }} on={place === "recording" && tool === "match"}>{t("task.match")}</Link>
      <Link to={{ place: "recording", tool: "classify" }} on={place === "recording" && tool === "classify"}>{t("task.classify")}</Link>
      <Link to={{ ...FRESH, place: "find" }} on={false} then={() => requestAnimationFrame(focusQuery)}>{t("task.retrieve")}</Link>
    </nav>
  );
}

function mayLoad({ manage, models }: Page): boolean {
  return manage ?? models.length > 0;
}

function ModelChoice({ page: { model, models, any_model: any } }: { page: Page }) {
  return (
    <>
      <label>{t(any ? "model.any" : "model.which")}
        {any
          ? <input name="model" type="text" list="models" defaultValue={model.name} autocomplete="off" spellcheck={false} />
          : <select name="model">{models.map((name) => <option key={name} value={name} selected={name === model.name}>{clean(name)}</option>)}</select>}
      </label>
      {any && <datalist id="models">{models.map((name) => <option key={name} value={name} />)}</datalist>}
      <button type="submit" class="primary">{t("model.load")}</button>
    </>
  );
}

function Model() {
  const now = page.value;
  const loaded = now?.model.state === "ready";
  const label = !now || now.model.state === "none" ? t("model.load") : loaded ? t("model.ready") : t("model.loading", { name: now.model.name });
  if (now?.model.state === "none" && mayLoad(now)) {
    return <button type="button" class="pill" onClick={() => void loadModel(now.model.name || now.models[0] || "mini")}>{label}</button>;
  }
  return (
    <Menu label={label} class={loaded ? "pill ready" : "pill"} shown={<><i class="dot" />{label}</>}>
      {(close) => (
        <form class="form" onSubmit={(event) => {
          event.preventDefault();
          void loadModel(String(new FormData(event.currentTarget).get("model")));
          close();
        }}>
          <p class="soft">{loaded ? t("model.now", { name: clean(now.model.name) }) : t("model.none")}</p>
          {now && mayLoad(now) ? <ModelChoice page={now} /> : <p class="soft">{t("model.owner")}</p>}
        </form>
      )}
    </Menu>
  );
}

export function Header() {
  return (
    <header class="top">
      <button type="button" class="skip primary" onClick={focusPlace}>{t("head.skip")}</button>
      <h1 class="brand" title={t("head.line")}>openclap</h1>
      <Places />
      <Tasks />
      <div class="top-tools">
        <Model />
        <button type="button" class="plain language" aria-label={t("head.language_label")} lang={language.value === "zh" ? "en" : "zh-CN"} onClick={() => (language.value = language.value === "zh" ? "en" : "zh")}>{t("head.language")}</button>
        <button type="button" class="bare" aria-label={t("head.theme")} title={t("head.theme")} onClick={turnLight}><Icon name="theme" /></button>
        <button type="button" class="bare" aria-label={t("keys.open")} title={t("keys.open")} onClick={() => (helping.value = true)}><Icon name="help" /></button>
      </div>
      <Notice of="model" />
    </header>
  );
}
