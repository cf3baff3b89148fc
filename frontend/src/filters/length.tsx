// How long a sound is: some usual ranges, or one's own.
import { go, state } from "../state";
import type { Key } from "../strings";
import { t } from "../words";

const RANGES: [Key, string, string][] = [
  ["filter.any", "", ""], ["filter.short", "", "1"], ["filter.middle", "1", "10"], ["filter.long", "10", "60"], ["filter.longest", "60", ""],
];

/** The chosen range, as the chip says it. */
export function lengthText(): string | undefined {
  const { least, most } = state.value;
  if (least && most) return t("filter.from_to", { least, most });
  return least ? t("filter.from", { least }) : most ? t("filter.to", { most }) : undefined;
}

export function Length({ close }: { close: () => void }) {
  const { least, most } = state.value;
  const apply = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    go({ least: String(form.get("least")), most: String(form.get("most")) });
    close();
  };
  return (
    <form class="form" onSubmit={apply}>
      {RANGES.map(([key, from, to]) => (
        <button type="button" class="item" key={key} aria-pressed={from === least && to === most} onClick={() => { go({ least: from, most: to }); close(); }}>{t(key)}</button>
      ))}
      <div class="two">
        <label>{t("filter.least")}<input name="least" type="number" min="0" step="any" value={least} /></label>
        <label>{t("filter.most")}<input name="most" type="number" min="0" step="any" value={most} /></label>
      </div>
      <button type="submit" class="primary">{t("filter.apply")}</button>
    </form>
  );
}
