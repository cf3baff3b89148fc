// Names of files as they may be shown. They come from strangers: line breaks, signs that turn the direction of writing and
// other controls are replaced by a sign that can be seen; everything else is escaped by being text.
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const TURNED = /[\u0590-\u08ff\ufb1d-\ufefc]/; // letters of scripts that run to the left
const TAIL = 10;

export function clean(name: string): string {
  return name.replace(CONTROLS, "\u00b7");
}

/** A long name in two parts: the first may be cut where there is no room, the end (a number, what kind of file) stays. */
export function inTwo(name: string, tail = TAIL): [string, string] {
  const shown = clean(name);
  if (shown.length <= tail + 6 || TURNED.test(shown)) return [shown, ""];
  let at = shown.length - tail;
  while (at < shown.length && /[\udc00-\udfff\u0300-\u036f\u200d\ufe0f]/.test(shown[at]!)) at++;
  return [shown.slice(0, at), shown.slice(at)];
}

/** A name for a saved or dragged file: nothing that a file system or the format of a drag could misread. */
export function fileName(name: string): string {
  return clean(name).replace(/[/\\:*?"<>|·]/g, "_").slice(0, 200);
}
