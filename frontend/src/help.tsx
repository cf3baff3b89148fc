// The keys, shown by "?".
import { signal } from "@preact/signals";
import { Window } from "./parts/window";
import type { Key } from "./strings";
import { t } from "./words";

export const helping = signal(false);

const KEYS: [string[], Key][] = [
  [["/"], "keys.query"], [["↑", "↓"], "keys.down"], [["Space"], "keys.space"], [["←", "→"], "keys.seek"], [["Enter"], "keys.enter"],
  [["F"], "keys.favourite"], [["X"], "keys.tick"], [["L"], "keys.loop"], [["Home", "End"], "keys.ends"], [["Esc"], "keys.escape"], [["?"], "keys.help"],
];

export function Help() {
  return (
    <Window open={helping} title={t("keys.title")}>
      <dl class="keys">
        {KEYS.map(([keys, does]) => (
          <div key={does}><dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{t(does)}</dd></div>
        ))}
      </dl>
    </Window>
  );
}
