// A field of several lines, each a text of its own. Ctrl or ⌘ with Enter asks.
import type { Key } from "../strings";
import { t } from "../words";

export function Lines({ label, text, needed = true }: { label: Key; text: { value: string }; needed?: boolean }) {
  const rows = Math.max(2, Math.min(4, text.value.split("\n").length));
  return (
    <label class="wide">{t(label)}
      <textarea
        rows={rows} value={text.value} required={needed} maxLength={20_000} spellcheck={false} onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
          event.preventDefault();
          event.currentTarget.form?.requestSubmit();
        }}
      />
    </label>
  );
}
