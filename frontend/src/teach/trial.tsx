// What was just taught, tried on a recording: is it heard, and where?
import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ask, body, post, url } from "../api";
import { clean } from "../list/names";
import { Icon } from "../parts/icons";
import { Notice } from "../parts/notice";
import { clear, show } from "../problems";
import { recording, type Recording } from "../recording/recording";
import { say } from "../said";
import { clock, share, t } from "../words";
import { heard as played, keyOf, playing, toggle } from "./hearing";
import { forgotten } from "./detectors";
import { lesson } from "./lesson";

interface Span { start: number; end: number; confidence?: number | null; unlikely?: boolean | null }
interface Tried { id: string; name: string; probability: number; heard: boolean; spans: Span[] }

const tried = signal<Tried | null>(null);
const trying = signal(false);
const WHERE = 5; // moments

async function tryFile(file: File): Promise<void> {
  await attempt(() => void tryFile(file), async () => {
    const form = new FormData();
    form.set("file", file, file.name);
    await listen(await body<Recording>(await ask(url("v1/recordings"), { method: "POST", body: form })));
  });
}

async function listen({ id, name }: Recording): Promise<void> {
  const taught = [lesson.peek()!.id];
  const { detectors: [one] } = await body<{ detectors: { probability: number; heard: boolean }[] }>(await post("v1/detect", { recording: id, detectors: taught }));
  const { moments } = await body<{ moments: Span[] }>(await post("v1/moments", { recording: id, detectors: taught, k: WHERE }));
  tried.value = { id, name, probability: one!.probability, heard: one!.heard, spans: moments.filter(({ unlikely }) => !unlikely).sort((a, b) => a.start - b.start) };
  say(sentence(tried.value));
}

async function attempt(again: () => void, work: () => Promise<void>): Promise<void> {
  clear("try");
  [tried.value, trying.value] = [null, true];
  try {
    await work();
  } catch (error) {
    forgotten(error);
    show("try", error, again);
  } finally {
    trying.value = false;
  }
}

function sentence({ heard, name, probability }: Tried): string {
  return t(heard ? "try.heard" : "try.not_heard", { name: clean(name), share: share(probability) });
}

export function Trial() {
  const file = useRef<HTMLInputElement>(null);
  const here = recording.value;
  const result = tried.value;
  return (
    <div class="trial">
      <h4>{t("try.title")}</h4>
      <div class="answers">
        <button type="button" class="chip" onClick={() => file.current?.click()}><Icon name="folder" />{t("try.choose")}</button>
        {here && <button type="button" class="chip" onClick={() => void attempt(() => void listen(here), () => listen(here))}><span>{t("try.here", { name: clean(here.name) })}</span></button>}
        <input
          ref={file} type="file" accept="audio/*,video/*" hidden onChange={(event) => {
            const given = event.currentTarget.files?.[0];
            if (given) void tryFile(given);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {trying.value && <p class="soft">{t("try.doing")}</p>}
      <Notice of="try" />
      {result && (
        <>
          <p><b>{sentence(result)}</b></p>
          <ol class="answers">
            {result.spans.map(({ start, end }) => {
              const one = { id: result.id, name: result.name, start, end };
              const now = played.value === keyOf(one) && playing.value;
              const when = { start: clock(start), end: clock(end) };
              return <li key={start}><button type="button" class="chip" aria-label={t("try.play", when)} onClick={() => toggle(one)}><Icon name={now ? "pause" : "play"} />{t("spans.from_to", when)}</button></li>;
            })}
          </ol>
        </>
      )}
    </div>
  );
}
