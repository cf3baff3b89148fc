// The language of the page and what it says: `t("list.files", { count: 3 })`.
import { effect, signal } from "@preact/signals";
import { kept } from "./kept";
import { LANGUAGES, TABLE, type Key, type Language } from "./strings";

const asked = new URLSearchParams(location.search).get("lang") ?? kept.get("language", "");
const own = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const language = signal<Language>(LANGUAGES.find((name) => name === asked) ?? own);

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  kept.set("language", language.value);
});

type Values = Record<string, string | number>;

/** What a key says in the language of the page, with its places filled. */
export function t(key: Key, values: Values = {}): string {
  const text = TABLE[key][language.value === "zh" ? 1 : 0];
  return text.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_whole, name: string, one?: string, many?: string) => {
    const value = values[name] ?? "";
    const shown = typeof value === "number" ? number(value) : value;
    return one === undefined ? shown : `${shown} ${value === 1 ? one : many}`;
  });
}

export function number(value: number): string {
  return value.toLocaleString(language.value === "zh" ? "zh-CN" : "en-GB");
}

/** 0.724 → "72 %". */
export function share(value: number): string {
  return `${Math.round(value * 100)} %`;
}

/** Seconds as people read them: 0.42 s, 7.3 s, 3:05, 1:02:09. */
export function duration(seconds: number): string {
  if (seconds < 10) return t("common.seconds", { seconds: seconds < 1 ? seconds.toFixed(2) : seconds.toFixed(1) });
  if (seconds < 60) return t("common.seconds", { seconds: String(Math.round(seconds)) });
  return clock(seconds);
}

/** Seconds as a clock shows them: 0:07, 3:05, 1:02:09; of a short sound also tenths. */
export function clock(seconds: number, all = seconds + 60): string {
  if (all < 60) return seconds.toFixed(1);
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}
