// Spans as a file: a table, subtitles, labels of Audacity.
import { useSignal } from "@preact/signals";
import { blob, post } from "../api";
import { fileName } from "../list/names";
import { Menu } from "../parts/menu";
import { Notice } from "../parts/notice";
import { save } from "../parts/save";
import { clear, show } from "../problems";
import { t } from "../words";
import { recording } from "./recording";

/** Write spans as a file of the server's, for the user. */
export async function exportSpans(spans: readonly Exported[], format: Format, name: string): Promise<void> {
  const answer = await post("v1/export", { spans, format, name: name.slice(0, 200) });
  const stem = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : name;
  save(await blob(answer), `${fileName(stem) || "openclap"}.${format === "audacity" ? "txt" : format}`);
}

const FORMATS = ["csv", "srt", "vtt", "audacity", "json"] as const;
type Format = (typeof FORMATS)[number];
export interface Exported { start: number; end: number; label: string | null; score: number }

export function ExportMenu({ spans }: { spans: readonly Exported[] }) {
  const busy = useSignal(false);
  const write = async (format: Format) => {
    clear("export");
    busy.value = true;
    try {
      await exportSpans(spans, format, recording.peek()!.name);
    } catch (error) {
      show("export", error, () => void write(format));
    } finally {
      busy.value = false;
    }
  };
  return (
    <>
      <Menu label={t("export.label")}>
        {(close) => FORMATS.map((format) => (
          <button type="button" class="item" key={format} disabled={busy.value} onClick={() => {
            void write(format);
            close();
          }}>{t(`export.${format}`)}</button>
        ))}
      </Menu>
      <Notice of="export" />
    </>
  );
}
