// Chinese → English, by the lexicon and the rules of openclap's language/grammar.py, function by function.
// tests/test_web.py holds them to give the same.

export interface Lexicon {
  words: Record<string, string>; // simplified Chinese → English, empty where a word says nothing
  traditional: string;
  simplified: string; // at the same places
}

export interface English {
  text: string;
  unknown: string[]; // words that were left out
}

interface Word {
  zh: string;
  en: string | null; // null: unknown
}

const HAN = "\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3134f}々〇\\u3041-\\u30ff\\u31f0-\\u31ff\\uac00-\\ud7af";
const FOREIGN = new RegExp(`[${HAN}]`, "u");
const RUN = new RegExp(`[${HAN}，、。；：！？…—～·“”‘’「」『』《》〈〉（）【】\\u3000]+`, "gu");
const UNSEEN = /[\u200b\u200c\u200d\u2060\ufe0e\ufe0f\ufeff]/g;
const WIDE = /[０-９Ａ-Ｚａ-ｚ]/g;
const SIGNS: Record<string, string> = { "，": ", ", "、": ", ", "；": ", ", "：": ", ", "。": ". ", "！": ". ", "？": ". " };
const CLAUSES = /([，、；：。！？])|[…—～·“”‘’「」『』《》〈〉（）【】\u3000]/;
const AT = ["在", "从", "到", "于"];
const PLACES: Record<string, string> = {
  里: "in", 里面: "in", 中: "in", 之中: "in", 内: "in", 上: "on", 上面: "on", 下: "under", 下面: "under",
  外: "outside", 外面: "outside", 旁: "near", 旁边: "near", 边: "near",
};
const PHRASES = ["in ", "on ", "at ", "outside", "under ", "near ", "outdoors"];
const CALLS = "叫 叫声 鸣叫 鸣叫声 叫唤 啼叫 鸣 啼 叫着 鸣唱 大叫 吼 吼叫 叫个不停".split(" ");
const RINGS = "响 响起 响着 鸣响 响了 大响 响个不停 作响 响声 响起来 响铃".split(" ");
const LITTLE = ["and", "or", "with", "while", "then"];
const NEAR = 40;
const READ = 1000; // characters

export class Translator {
  private readonly words: Map<string, string>;
  private readonly longest: number;
  private readonly simple: Map<string, string>;

  constructor(lexicon: Lexicon) {
    const simplified = [...lexicon.simplified];
    this.simple = new Map([...lexicon.traditional].map((one, i) => [one, simplified[i]!]));
    this.words = new Map(Object.entries(lexicon.words).map(([zh, en]) => [this.simplify(zh), en]));
    this.longest = Math.max(...[...this.words.keys()].map((zh) => [...zh].length));
  }

  /** A text in English; one without Chinese stays as it is. */
  translate(given: string): English {
    if (!FOREIGN.test(given)) return { text: given, unknown: [] };
    const wide = (sign: string) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0);
    const text = [...given.replace(WIDE, wide).replace(UNSEEN, "")].slice(0, READ).join("");
    const unknown: string[] = [];
    let [out, end] = ["", 0];
    for (const run of text.matchAll(RUN)) {
      const made = FOREIGN.test(run[0]) ? this.phrase(this.simplify(run[0])) : { text: run[0], unknown: [] };
      unknown.push(...made.unknown);
      out = joined(joined(out, text.slice(end, run.index)), made.text);
      end = run.index + run[0].length;
    }
    return { text: joined(out, text.slice(end)), unknown: [...new Set(unknown)] };
  }

  private simplify(text: string): string {
    return [...text].map((one) => this.simple.get(one) ?? one).join("");
  }

  private phrase(text: string): English {
    let english = "";
    const unknown: string[] = [];
    for (const piece of text.split(CLAUSES)) {
      if (!piece) continue;
      if (SIGNS[piece]) {
        english = english ? english.replace(/[,. ]+$/, "") + SIGNS[piece] : "";
        continue;
      }
      const words = this.split(piece);
      unknown.push(...words.filter(({ en }) => en === null).map(({ zh }) => zh));
      english = [english.trim(), this.clause(words)].filter(Boolean).join(" ");
    }
    return { text: english.replace(/^[ ,.]+|[ ,.]+$/g, ""), unknown };
  }

  /** The fewest words that leave the fewest characters unknown; unknown characters in a row are one word. */
  private split(text: string): Word[] {
    const letters = [...text];
    const best: [number, number, number][] = letters.map(() => [0, 0, 0]);
    best.push([0, 0, 0]);
    for (let i = letters.length - 1; i >= 0; i--) {
      const next = best[i + 1]!;
      best[i] = [next[0] + 1, next[1] + 1, 0];
      for (let size = Math.min(this.longest, letters.length - i); size > 0; size--) {
        const [unknown, words] = best[i + size]!;
        const [least, fewest] = best[i]!;
        const better = unknown < least || (unknown === least && words + 1 < fewest);
        if (better && this.words.has(letters.slice(i, i + size).join(""))) best[i] = [unknown, words + 1, size];
      }
    }
    const found: Word[] = [];
    for (let i = 0; i < letters.length; ) {
      const size = best[i]![2];
      const last = found.at(-1);
      const zh = letters.slice(i, i + (size || 1)).join("");
      if (size) found.push({ zh, en: this.words.get(zh)! });
      else if (last?.en === null) last.zh += zh;
      else found.push({ zh, en: null });
      i += size || 1;
    }
    return found;
  }

  private clause(words: Word[]): string {
    const [rest, where] = places(words);
    const joint = this.join(rest.filter(({ en }) => en));
    const english = joint.map(({ en }) => en!);
    where.push(...english.filter(isPhrase));
    let parts = english.filter((part) => !isPhrase(part));
    parts = parts.filter((part, i) => !isRepeated(part, parts, i));
    while (LITTLE.includes(parts[0]!)) parts.shift();
    while (LITTLE.includes(parts.at(-1)!)) parts.pop();
    return [...parts, ...where].join(" ");
  }

  private join(words: Word[]): Word[] {
    for (let i = 0; i < words.length; ) if (!this.joinAt(words, i) && !this.joinWithSubject(words, i)) i++;
    return words;
  }

  /** 把 纸 撕 了 → 撕纸; 打 响亮 喷嚏 → 响亮 打喷嚏 */
  private joinAt(words: Word[], i: number): boolean {
    for (const count of [3, 2]) {
      const zh = words.slice(i, i + count).map((word) => word.zh);
      if (zh.length < count) continue;
      const ways = count === 3 ? [zh.join("")] : [zh.join(""), [...zh].reverse().join("")];
      const whole = ways.find((way) => this.words.get(way));
      if (whole === undefined) continue;
      words.splice(i, count, this.word(whole));
      return true;
    }
    if (i + 2 >= words.length) return false;
    const apart = words[i]!.zh + words[i + 2]!.zh;
    if (!this.words.get(apart)) return false;
    words.splice(i, 3, words[i + 1]!, this.word(apart));
    return true;
  }

  /** 鸟 … 叫 → 鸟叫, 火车 … 鸣笛 → 火车鸣笛 */
  private joinWithSubject(words: Word[], i: number): boolean {
    const verb = words[i]!.zh;
    const stem = CALLS.includes(verb) ? "叫" : RINGS.includes(verb) ? "响" : "";
    if (!stem && [...verb].length < 2) return false;
    for (let j = i - 1; j > Math.max(-1, i - NEAR); j--) {
      for (const whole of [words[j]!.zh + verb, words[j]!.zh + stem]) {
        if (whole === words[j]!.zh || !this.words.get(whole)) continue;
        words[j] = this.word(whole);
        words.splice(i, 1);
        return true;
      }
    }
    return false;
  }

  private word(zh: string): Word {
    return { zh, en: this.words.get(zh)! };
  }
}

/** The words without phrases of place, and those in English: 在 森林 里, or 森林 里 → in the forest. */
function places(words: Word[]): [Word[], string[]] {
  const rest: Word[] = [];
  const where: string[] = [];
  for (const word of words) {
    const before = rest.at(-1)?.en;
    if (!Object.hasOwn(PLACES, word.zh) || !before || before.endsWith("ing")) {
      rest.push(word);
      continue;
    }
    let start = rest.findLastIndex(({ zh }) => AT.includes(zh));
    if (start < 0 || rest.slice(start).some(({ en }) => en === null || LITTLE.includes(en))) start = rest.length - 1;
    const place = rest.splice(start).map(({ en }) => en).filter(Boolean).join(" ");
    where.push(isPhrase(place) ? place : `${PLACES[word.zh]} the ${place}`);
  }
  return [rest, where];
}

/** Whether a neighbour says the same: `dog` beside `dog barking`. */
function isRepeated(part: string, parts: string[], i: number): boolean {
  const [words, before, after] = [part, parts[i - 1] ?? "", parts[i + 1] ?? ""].map((one) => new Set(one.split(" ").filter(Boolean)));
  const within = (other: Set<string>) => [...words!].every((word) => other.has(word));
  return within(before!) || (within(after!) && after!.size > words!.size);
}

function isPhrase(english: string): boolean {
  return PHRASES.some((start) => english.startsWith(start));
}

/** Two pieces, with a space between where words would touch. */
function joined(before: string, after: string): string {
  return before + (/[\p{L}\p{N}]$/u.test(before) && /^[\p{L}\p{N}]/u.test(after) ? " " : "") + after;
}
