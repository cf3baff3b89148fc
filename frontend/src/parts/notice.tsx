// What went wrong, beside what it belongs to.
import { troubles, type Where } from "../problems";
import { t } from "../words";

export function Notice({ of }: { of: Where }) {
  const trouble = troubles.value[of];
  if (!trouble) return null;
  return (
    <p class="notice" role="alert">
      <span>{trouble.text()}</span>
      {trouble.again && <button type="button" class="plain" onClick={trouble.again}>{t("common.again")}</button>}
    </p>
  );
}
