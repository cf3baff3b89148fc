// How is looked for: by sound or names, how many results, what is not wanted.
import { Menu } from "../parts/menu";
import { FRESH, go, state, type By } from "../state";
import { TaughtOption } from "../teach/choice";
import { t } from "../words";

const WAYS: By[] = ["both", "sound", "names"];

export function Options() {
  const { by, k, without } = state.value;
  const changed = by !== FRESH.by || k !== FRESH.k || without !== "";
  return (
    <Menu label={t("query.options")} icon="options" bare tool active={changed}>
      {(close) => (
        <div class="form">
          <label>{t("query.by")}
            <select value={by} onChange={(event) => go({ by: event.currentTarget.value as By }, false)}>
              {WAYS.map((way) => <option key={way} value={way}>{t(`query.by_${way}`)}</option>)}
            </select>
          </label>
          <label>{t("query.k")}
            <select value={k} onChange={(event) => go({ k: Number(event.currentTarget.value) }, false)}>
              {[20, 50, 100, 200, 500].map((count) => <option key={count} value={count}>{count}</option>)}
            </select>
          </label>
          <TaughtOption />
          <label>{t("query.without")}
            <input
              type="text" value={without} placeholder={t("query.without_placeholder")} onChange={(event) => go({ without: event.currentTarget.value }, false)}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                go({ without: event.currentTarget.value }, false);
                close();
              }}
            />
          </label>
          <p class="soft">{t("query.syntax")}</p>
        </div>
      )}
    </Menu>
  );
}
