// The keys, shown by "?".
import { signal } from "@preact/signals";
import { Window } from "./parts/window";
import { state, type Place } from "./state";
import type { Key } from "./strings";
import { t } from "./words";

export const helping = signal(false);

const IN_RECORDING: [string[], Key][] = [
  [["Space"], "keys.space"], [["←", "→"], "keys.jump"], [["+", "−", "0"], "keys.zoom"], [["Page Up", "Page Down"], "keys.pan"], [["I", "O"], "keys.span"], [["L"], "keys.loop"], [["Esc"], "keys.unchoose"], [["←", "→"], "keys.tools"], [["Ctrl", "Enter"], "keys.ask"],
  [["?"], "keys.help"],
];
const IN_LIVE: [string[], Key][] = [[["L"], "keys.listen"], [["/"], "keys.alerts"], [["Enter"], "keys.listen_now"], [["?"], "keys.help"]];
const IN_TEACH: [string[], Key][] = [
  [["Y"], "keys.yes"], [["N"], "keys.no"], [["S"], "keys.skip"], [["Z"], "keys.back"], [["Space"], "keys.space"], [["?"], "keys.help"],
];
const KEYS: [string[], Key][] = [
  [["/"], "keys.query"], [["↑", "↓"], "keys.down"], [["Space"], "keys.space"], [["←", "→"], "keys.seek"], [["Enter"], "keys.enter"],
  [["F"], "keys.favourite"], [["X"], "keys.tick"], [["O"], "keys.recording"], [["L"], "keys.loop"], [["Home", "End"], "keys.ends"], [["Esc"], "keys.escape"], [["?"], "keys.help"],
];

export function Help() {
  return (
    <Window open={helping} title={t("keys.title")}>
      <dl class="keys">
        {(({ recording: IN_RECORDING, live: IN_LIVE, teach: IN_TEACH } as Partial<Record<Place, typeof KEYS>>)[state.value.place] ?? KEYS).map(([keys, does]) => (
          <div key={does}><dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt><dd>{t(does)}</dd></div>
        ))}
      </dl>
    </Window>
  );
}
