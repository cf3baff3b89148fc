// Values with counts to choose from; a long list can be narrowed.
import { useSignal } from "@preact/signals";
import type { Count } from "../api";
import { clean } from "../list/names";
import { mode } from "../state";
import { FAVOURITE } from "../tray/ticks";
import { number, t } from "../words";

interface Props { counts: Count[] | undefined; chosen: string[]; onChange: (chosen: string[]) => void }

/** How many sounds of the library there are; during a search nothing, as it would be the number of neither hits nor sounds. */
export function CountOf({ count }: { count: number }) {
  return mode.value === "library" ? <span class="count">{number(count)}</span> : null;
}

export function Choice({ counts, chosen, onChange }: Props) {
  const typed = useSignal("");
  const there = counts ?? [];
  const lost = chosen.filter((value) => !there.some((one) => one.value === value)).map((value) => ({ value, count: 0 }));
  const all = [...lost, ...there];
  const needle = typed.value.toLowerCase();
  const shown = all.filter(({ value }) => value.toLowerCase().includes(needle)).slice(0, 200);
  const toggle = (value: string) => onChange(chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value]);
  if (all.length === 0) return <p class="soft">{t("filter.none")}</p>;
  return (
    <>
      {all.length > 12 && <input type="search" class="narrow" aria-label={t("filter.more")} placeholder={t("filter.more")} value={typed.value} onInput={(event) => (typed.value = event.currentTarget.value)} />}
      <div class="choices">
        {shown.map(({ value, count }) => (
          <label key={value} class="item">
            <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
            <bdi>{value === FAVOURITE ? t("filter.favourite") : clean(value)}</bdi><CountOf count={count} />
          </label>
        ))}
      </div>
    </>
  );
}
