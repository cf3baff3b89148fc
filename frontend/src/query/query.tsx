// The query: one field for words, a sound beside it or alone, and the tools of a search in one toolbar.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ownSound } from "../finding";
import { clean } from "../list/names";
import { focusRow } from "../list/list";
import { Icon } from "../parts/icons";
import { Toolbar } from "../parts/toolbar";
import { nameOf } from "../sounds";
import { nameOfTaught } from "../teach/detectors";
import { go, state } from "../state";
import { t } from "../words";
import { History } from "./history-menu";
import { Options } from "./options";

/** Look for what sounds like a file of the user; words stay, so that both are asked together. */
export function searchBySound(file: File): void {
  ownSound.value = file;
  go({ place: "find", sound: file.name, like: "", from: "", to: "", view: "list" });
}

export function focusQuery(): void {
  const field = document.querySelector<HTMLInputElement>("#query");
  field?.focus();
  field?.select();
}

export function Query() {
  const field = useRef<HTMLInputElement>(null);
  const choice = useRef<HTMLInputElement>(null);
  const text = useSignal(state.peek().q);
  useSignalEffect(() => {
    text.value = state.value.q; // Back, a link, a suggestion
  });
  const submit = (event: Event) => {
    event.preventDefault();
    go({ q: text.value.trim(), from: "", to: "" });
    if (matchMedia("(pointer: coarse)").matches) field.current?.blur(); // the keyboard of a phone gives way to the results
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      focusRow(0);
    }
  };
  const input = (event: Event) => {
    text.value = (event.currentTarget as HTMLInputElement).value;
    if (!text.value && state.peek().q) go({ q: "" }); // emptied: the library again
  };
  const given = (event: Event) => {
    const file = (event.currentTarget as HTMLInputElement).files?.[0];
    if (file) searchBySound(file);
    (event.currentTarget as HTMLInputElement).value = "";
  };
  return (
    <form class="query" role="search" onSubmit={submit}>
      <div class="field">
        <Icon name="search" />
        <Given />
        <label class="hidden" for="query">{t("query.label")}</label>
        <input
          id="query" ref={field} type="search" value={text.value} placeholder={t("query.placeholder")} onInput={input} onKeyDown={key}
          autocomplete="off" spellcheck={false} enterkeyhint="search" maxLength={2000}
        />
      </div>
      <Toolbar label={t("query.tools")} class="query-tools">
        <button type="submit" class="primary" data-tool aria-label={t("query.go")}><Icon name="search" /><span class="wide-only">{t("query.go")}</span></button>
        <button type="button" class="chip" data-tool title={t("query.sound")} aria-label={t("query.sound")} onClick={() => choice.current?.click()}><Icon name="sound" /></button>
        <History />
        <Options />
      </Toolbar>
      <input ref={choice} type="file" accept="audio/*,video/*" hidden onChange={given} />
    </form>
  );
}

/** The sound that is asked for, as a token before the words. */
function Given() {
  const { like, sound, taught } = state.value;
  if (!like && !sound && !taught) return null;
  const name = like || sound ? clean(like ? nameOf(like) : sound) : nameOfTaught(taught);
  return (
    <span class="token">
      <Icon name={like || sound ? "ear" : "teach"} />
      <bdi title={t(like || sound ? "query.like" : "taught.query", { name })}>{name}</bdi>
      <button type="button" class="bare" tabIndex={-1} aria-label={t("query.drop_like")} onClick={() => go({ like: "", sound: "", taught: "" })}><Icon name="close" /></button>
    </span>
  );
}
