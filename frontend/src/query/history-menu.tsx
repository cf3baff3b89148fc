// Recent and saved searches, and some to try.
import { Icon } from "../parts/icons";
import { Menu } from "../parts/menu";
import { address, FRESH, go, mode, state, type State } from "../state";
import { t } from "../words";
import { forgetRecent, recent, saved, toggleSaved } from "./history";

const EXAMPLES = ["query.example_1", "query.example_2", "query.example_3"] as const;

/** What of the state makes a search: its words, its sound of the library, its filters. */
function present(): State {
  return { ...FRESH, ...state.value, view: "list", sound: "" };
}

function kept(): string {
  const url = new URLSearchParams(address(present()));
  url.delete("lang");
  return `?${url}`;
}

function named(url: string): string {
  const search = new URLSearchParams(url);
  const parts = ["q", "like", "text", "folder", "format", "tag", "collection"].flatMap((name) => search.getAll(name));
  return parts.join(" · ") || url;
}

function openSaved(url: string): void {
  history.pushState(null, "", url);
  dispatchEvent(new PopStateEvent("popstate"));
}

export function History() {
  return (
    <Menu label={t("query.history")} icon="history" bare tool>
      {(close) => {
        const ask = (q: string) => {
          go({ q, like: "", sound: "", from: "", to: "" });
          close();
        };
        const here = kept();
        const something = mode.value === "search" || here !== "?";
        return (
          <>
            {something && (
              <button type="button" class="item strong" onClick={() => toggleSaved(here)}>
                <Icon name="star" full={saved.value.includes(here)} />{t(saved.value.includes(here) ? "query.unsave" : "query.save")}
              </button>
            )}
            {saved.value.length > 0 && <h3>{t("query.saved")}</h3>}
            {saved.value.map((url) => (
              <div class="pair" key={url}>
                <button type="button" class="item" onClick={() => { openSaved(url); close(); }}><bdi>{named(url)}</bdi></button>
                <button type="button" class="bare" aria-label={`${t("query.unsave")}: ${named(url)}`} onClick={() => toggleSaved(url)}><Icon name="close" /></button>
              </div>
            ))}
            <h3>{t("query.recent")}</h3>
            {recent.value.length === 0 && <p class="soft">{t("query.none")}</p>}
            {recent.value.map((q) => <button type="button" class="item" key={q} onClick={() => ask(q)}><bdi>{q}</bdi></button>)}
            {recent.value.length > 0 && <button type="button" class="plain" onClick={forgetRecent}>{t("query.forget")}</button>}
            <h3>{t("query.examples")}</h3>
            {EXAMPLES.map((key) => <button type="button" class="item" key={key} onClick={() => ask(t(key))}>{t(key)}</button>)}
          </>
        );
      }}
    </Menu>
  );
}
