// The place Teach: a sound that has no name is taught by examples, one answer at a time.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { clean } from "../list/names";
import { focusPart } from "../parts/focus";
import { Icon } from "../parts/icons";
import { page } from "../server";
import { state } from "../state";
import { t } from "../words";
import { Confirm } from "./confirm";
import { readDetectors } from "./detectors";
import { Examples } from "./examples";
import { anew, begin, examples, rename } from "./lesson";
import { Quality } from "./quality";
import { Taught } from "./taught";
import { Use } from "./use";

export function TeachPlace() {
  const here = state.value.place === "teach";
  const model = page.value?.model.name;
  useEffect(() => {
    if (here) void readDetectors(); // another place, or another program, may have changed them
  }, [here, model]);
  return (
    <main class="teach" hidden={!here}>
      <h2 class="hidden">{t("place.teach")}</h2>
      {here && (
        <>
          <Asking />
          <div class="teach-columns">
            <div><Confirm /><Examples /></div>
            <div><Quality /><Use /><Taught /></div>
          </div>
        </>
      )}
    </main>
  );
}

function Asking() {
  const [name, words] = [useSignal(state.peek().named), useSignal(state.peek().words)];
  useSignalEffect(() => {
    [name.value, words.value] = [state.value.named, state.value.words]; // Back, a link, a new lesson
  });
  const submit = (event: Event) => {
    event.preventDefault();
    begin(name.value.trim(), words.value.trim());
    focusPart(document.querySelector<HTMLElement>(".ask-one")); // keys answer from here on
  };
  const changed = () => examples.peek().length > 0 && rename(name.peek().trim(), words.peek().trim());
  return (
    <form class="ask teach-asking" onSubmit={submit}>
      {examples.value.length === 0 && !state.value.named && <p class="soft intro">{t("teach.intro")}</p>}
      <label class="wide">{t("teach.name")}
        <input id="teach-name" type="text" value={name.value} placeholder={t("teach.name_placeholder")} maxLength={100} autocomplete="off" onInput={(event) => (name.value = event.currentTarget.value)} onChange={changed} />
      </label>
      <label class="wide">{t("teach.words")}
        <input id="teach-words" type="text" value={words.value} placeholder={clean(name.value) || t("teach.words_hint")} maxLength={1000} autocomplete="off" onInput={(event) => (words.value = event.currentTarget.value)} onChange={changed} />
      </label>
      <button type="submit" class="primary">{t("teach.go")}</button>
      {(examples.value.length > 0 || state.value.named || state.value.words) && <button type="button" class="chip" onClick={anew}><Icon name="close" />{t("teach.anew")}</button>}
    </form>
  );
}
