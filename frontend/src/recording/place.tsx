// The place Recording: one sound, and anything about it.
import { useRef } from "preact/hooks";
import { clean } from "../list/names";
import { Name } from "../list/name";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { go, state, TOOLS, type Tool } from "../state";
import { duration, share, t } from "../words";
import { Choice, chooseRecording } from "./choice";
import { ClassifyTool } from "./classify";
import { DescribeTool } from "./describe";
import { MatchTool } from "./match";
import { MomentsTool } from "./moments";
import { canUploadAgain, coming, gone, recording, stopComing, track, uploadAgain } from "./recording";
import { add } from "../teach/lesson";
import { Stage } from "./stage";
import { isWhole, view } from "./view";

const PANELS = { describe: DescribeTool, classify: ClassifyTool, match: MatchTool, moments: MomentsTool };

export function RecordingPlace() {
  const here = recording.value;
  return (
    <main class="recording" hidden={state.value.place !== "recording"}>
      <h2 class="hidden">{t("place.recording")}</h2>
      <Choice />
      {coming.value ? <Progress /> : here ? <About /> : <Invitation />}
      <Notice of="recording" />
      {here && <Stage key={here.id} />}
      {here?.silent && <p class="said-first">{t("recording.silent")}</p>}
      <Tabs />
    </main>
  );
}

function Invitation() {
  if (gone.value) {
    return (
      <div class="notice lost" role="alert">
        <span>{t("recording.gone")}</span>
        <button type="button" class="plain" onClick={() => uploadAgain() || chooseRecording()}>{t(canUploadAgain() ? "recording.again" : "recording.choose")}</button>
      </div>
    );
  }
  return (
    <div class="invitation">
      <button type="button" class="primary" onClick={chooseRecording}>{t("recording.choose")}</button>
      <p>{t("recording.invite")}</p>
    </div>
  );
}

function Progress() {
  const { name, share: sent } = coming.value!;
  return (
    <div class="progress bar-line">
      {name && <Name name={name} />}
      <progress max={1} value={sent ?? undefined} aria-label={t("recording.coming")} />
      <span>{sent === null ? t("recording.reading") : t("recording.sent", { share: share(sent) })}</span>
      <button type="button" class="chip" onClick={stopComing}>{t("ask.stop")}</button>
    </div>
  );
}

function About() {
  const { name, seconds, tracks } = recording.value!;
  return (
    <div class="about">
      <h3><Name name={name} /></h3>
      <span class="soft">{duration(seconds)}</span>
      {tracks.length > 1 && (
        <label class="track">{t("recording.track")}
          <select value={track.value} onChange={(event) => (track.value = Number(event.currentTarget.value))}>
            <option value={0}>{t("recording.track_any")}</option>
            {tracks.map(({ index, title, language }) => <option key={index} value={index}>{[index, clean(title), clean(language)].filter(Boolean).join(" · ")}</option>)}
          </select>
        </label>
      )}
      <span class="grow" />
      <button type="button" class="chip" aria-label={t("example.part")} title={t("example.part")} onClick={teachPart}><Icon name="teach" /><span class="wide-only">{t("place.teach")}</span></button>
      <button type="button" class="chip" aria-label={t("recording.other")} onClick={chooseRecording}><Icon name="folder" /><span class="wide-only">{t("recording.other")}</span></button>
    </div>
  );
}

/** The part that is seen is an example of what is taught. */
function teachPart(): void {
  const { id, name } = recording.peek()!;
  const { start, end } = view.peek();
  add([{ id, name, yes: true, ...(isWhole() ? {} : { start, end }) }]);
  go({ place: "teach" });
}

/** The four questions; arrow keys go from one to the next. */
function Tabs() {
  const list = useRef<HTMLDivElement>(null);
  const now = state.value.tool;
  const step = (event: KeyboardEvent) => {
    const at = TOOLS.indexOf(now);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: TOOLS.length - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const next = TOOLS[(to + TOOLS.length) % TOOLS.length]!;
    go({ tool: next }, false);
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <>
      <div ref={list} class="tabs" role="tablist" aria-label={t("ask.tools")} onKeyDown={step}>
        {TOOLS.map((name: Tool) => (
          <button
            type="button" role="tab" key={name} id={`tab-${name}`} aria-selected={name === now} aria-controls={`panel-${name}`}
            tabIndex={name === now ? 0 : -1} onClick={() => go({ tool: name })}
          >{t(`tool.${name}`)}<small>{t(`tool.${name}_also`)}</small></button>
        ))}
      </div>
      {TOOLS.map((name) => {
        const Panel = PANELS[name];
        return (
          <section key={name} role="tabpanel" id={`panel-${name}`} aria-labelledby={`tab-${name}`} class="question" hidden={name !== now}>
            {name === now && <Panel />}
          </section>
        );
      })}
    </>
  );
}
