// Words that the model does not know, and what may be meant instead; texts that were put into English.
import type { Understood, Unknown } from "../api";
import { clean } from "../list/names";
import { t } from "../words";

export function UnknownWords({ words, take }: { words: readonly Unknown[] | undefined; take: (word: string, other: string) => void }) {
  return (
    <>
      {(words ?? []).map(({ word, nearest }) => {
        const others = [nearest ?? []].flat();
        return (
          <p class="first" key={word}>{t("list.unknown", { word: clean(word) })}{" "}
            {others.length > 0 && t("list.nearest")}{" "}
            {others.map((other) => <button type="button" class="plain" key={other} onClick={() => take(word, other)}>{clean(other)}</button>)}
          </p>
        );
      })}
    </>
  );
}

/** What texts in other languages were taken for. */
export function UnderstoodTexts({ texts }: { texts: readonly Understood[] | undefined }) {
  return (
    <>
      {(texts ?? []).map(({ text, english }) => (
        <p class="first" key={text}>{t("list.understood", { text: clean(text), english: clean(english) })}</p>
      ))}
    </>
  );
}

/** A text with another word in the place of one. */
export function put(text: string, word: string, other: string): string {
  const at = text.toLowerCase().indexOf(word.toLowerCase());
  return at < 0 ? other : text.slice(0, at) + other + text.slice(at + word.length);
}
