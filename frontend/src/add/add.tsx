// Adding sounds: a folder of the server's machine, or files and folders of one's own.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "../api";
import { clean } from "../list/names";
import { Notice } from "../parts/notice";
import { Window } from "../parts/window";
import { show } from "../problems";
import { library } from "../server";
import { t } from "../words";
import { chosen } from "./dropped";
import { addFiles, addFolder, report, reportText, step, stop, waiting } from "./indexing";

export const adding = signal(false); // is the dialog open?

export function AddWindow() {
  return <Window open={adding} title={t("add.title")}><AddPanel /></Window>;
}

/** What Find shows while the library holds nothing. */
export function Empty() {
  return (
    <div class="empty-library">
      <h2>{t("add.empty")}</h2>
      {library.value?.writable && <p>{t("add.invite")}</p>}
      <AddPanel />
    </div>
  );
}

function AddPanel() {
  if (library.value && !library.value.writable) return <p class="soft">{t("add.readonly")}</p>;
  return (
    <div class="add">
      {step.value ? <Progress /> : <><FolderChoice /><FileChoice /></>}
      <Notice of="add" />
      <Report />
    </div>
  );
}

function Progress() {
  const { done, total } = step.value!;
  return (
    <div class="progress">
      <progress max={total || undefined} value={total ? done : undefined} aria-label={t("add.title")} />
      <span>{total ? t("add.doing", { done, total }) : t("add.begun")}</span>
      <button type="button" class="chip" onClick={stop}>{t("add.stop")}</button>
    </div>
  );
}

function FolderChoice() {
  const inside = useSignal("");
  const folders = useSignal<string[] | null>(null);
  const picked = useSignal("");
  const look = async (folder: string) => {
    try {
      const got = await get<{ folders: string[] }>("v1/library/folders", { inside: folder });
      inside.value = folder;
      folders.value = got.folders;
      picked.value = folder || got.folders[0] || "";
    } catch (error) {
      show("add", error, () => void look(folder));
    }
  };
  useEffect(() => void look(""), []);
  if (!folders.value || (!inside.value && folders.value.length === 0)) return null;
  const up = inside.value.slice(0, Math.max(0, inside.value.lastIndexOf("/")));
  return (
    <fieldset class="folders">
      <legend>{t("add.folder")}{inside.value ? `: ${clean(inside.value)}` : ""}</legend>
      <div class="choices">
        {inside.value && <button type="button" class="item" onClick={() => void look(up)}>↑ {t("add.up")}</button>}
        {folders.value.map((folder) => (
          <div class="pair" key={folder}>
            <label class="item"><input type="radio" name="folder" checked={picked.value === folder} onChange={() => (picked.value = folder)} /><bdi>{clean(folder.slice(folder.lastIndexOf("/") + 1))}</bdi></label>
            <button type="button" class="bare" aria-label={t("filter.open", { name: clean(folder) })} onClick={() => void look(folder)}>›</button>
          </div>
        ))}
      </div>
      <button type="button" class="primary" disabled={!picked.value} onClick={() => void addFolder(picked.value)}>{t("add.folder_go")}</button>
    </fieldset>
  );
}

function FileChoice() {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    waiting.value = chosen(input.files);
    input.value = "";
  };
  useEffect(() => folder.current?.setAttribute("webkitdirectory", ""), []);
  if (waiting.value.length) {
    return (
      <div class="progress">
        <span>{t("add.waiting", { count: waiting.value.length })}</span>
        <button type="button" class="primary" onClick={() => void addFiles(waiting.value)}>{t("add.go")}</button>
        <button type="button" class="chip" onClick={() => (waiting.value = [])}>{t("common.close")}</button>
      </div>
    );
  }
  return (
    <div class="drop">
      <button type="button" class="chip" onClick={() => files.current?.click()}>{t("add.files")}</button>
      <button type="button" class="chip" onClick={() => folder.current?.click()}>{t("add.whole")}</button>
      <span class="soft">{t("add.drop")}</span>
      <input ref={files} type="file" multiple hidden accept="audio/*,video/*" onChange={take} />
      <input ref={folder} type="file" multiple hidden onChange={take} />
    </div>
  );
}

function Report() {
  const all = report.value;
  if (!all) return null;
  return (
    <div class="report" role="status">
      <p>{all.stopped ? t("add.stopped") : reportText(all)}</p>
      {all.failed.length > 0 && (
        <details>
          <summary>{t("add.failed")}</summary>
          <ul>{all.failed.slice(0, 50).map(({ path, error }) => <li key={path}><bdi>{clean(path)}</bdi>: {error}</li>)}</ul>
        </details>
      )}
    </div>
  );
}
