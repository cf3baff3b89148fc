"""Translates a phrase without spaces, Chinese or Japanese, into an English caption: by a lexicon and rules of word order.

一只狗在森林里叫      the fewest words that cover it:   一只 狗 在 森林 里 叫
                      the place moves to the end:        在 森林 里        → in the forest
                      words that belong together:        狗 … 叫 = 狗叫    → dog barking
                                                         → dog barking in the forest

森の中で犬が吠えている  森 の中で 犬 が 吠え ている:      the same, but the place comes before what marks it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from openclap.language.lexicon import Lexicon

__all__ = ["LITTLE", "PHRASES", "SIGNS", "Word", "split_words", "translate_phrase"]

SIGNS = {"，": ", ", "、": ", ", "；": ", ", "：": ", ", "。": ". ", "！": ". ", "？": ". "}
CLAUSES = re.compile(f"([{''.join(SIGNS)}])|[…—～·“”‘’「」『』《》〈〉（）【】\u3000]")
PHRASES = ("in ", "on ", "at ", "outside", "under ", "near ", "outdoors")  # how an English phrase of place begins
NEAR = 40  # words before a verb among which its subject is looked for, so that a text of thousands takes no time
LITTLE = {"and", "or", "with", "while", "then"}  # these join two things, and say nothing alone


@dataclass(frozen=True)
class Rules:
    """What the word order of a language is told by.

    Attributes
    ----------
    at : frozenset of str
        Words before a place.
    places : dict of str to str
        Words behind a place, and the English that stands before it.
    verbs : dict of str to str
        Verbs that fit many subjects, and what stands for them in a word with its subject: 狗 … 叫唤 → 狗叫.
    inflected : re.Pattern
        Unknown characters behind a known word that are its inflection; none for Chinese.
    """

    at: frozenset[str]
    places: Mapping[str, str]
    verbs: Mapping[str, str]
    inflected: re.Pattern[str] | None = None


def _english(table: str) -> dict[str, str]:
    """`in:里 里面` a line → each word and its English."""
    return {
        word: en
        for line in table.split("|")
        for en, _, words in (line.strip().partition(":"),)
        for word in words.split()
    }


RULES = {
    "zh": Rules(
        frozenset("在从到于"),
        _english("in:里 里面 中 之中 内|on:上 上面|under:下 下面|outside:外 外面|near:旁 旁边 边"),
        _english(
            "叫:叫 叫声 鸣叫 鸣叫声 叫唤 啼叫 鸣 啼 叫着 鸣唱 大叫 吼 吼叫 叫个不停"
            "|响:响 响起 响着 鸣响 响了 大响 响个不停 作响 响声 响起来 响铃"
        ),
    ),
    "ja": Rules(
        frozenset(),
        _english(
            "in:の中で の中に の中の の中を の中 で|on:の上で の上に の上を の上の の上|under:の下で の下に の下の の下"
            "|outside:の外で の外の の外に の外|near:のそばで のそばの のそば の近くで の近くの の近く"
        ),
        _english(
            "鳴く:鳴く 鳴き声 鳴いている 鳴いてる 鳴いた 鳴いて 鳴き 鳴 吠える 吠えている 吠えて 吠えてる 吠え声 吠え ほえる"
            " ほえている さえずる さえずっている さえずり 鳴き交わす"
        ),
        re.compile("[\u3041-\u3096ー]{1,6}"),
    ),
}


@dataclass(frozen=True)
class Word:
    """A word of a text with its English, which is empty where it says nothing, and None where it is unknown."""

    zh: str
    en: str | None


def split_words(text: str, lexicon: Lexicon) -> list[Word]:
    """Split a text into the fewest words that leave the fewest characters unknown.

    Of equal ways, the one with the longer first word is taken. Unknown characters in a row are one word.
    """
    best: list[tuple[int, int, int]] = [(0, 0, 0)] * (len(text) + 1)  # unknown, words, length of the first
    for i in range(len(text) - 1, -1, -1):
        unknown, words, _ = best[i + 1]
        best[i] = (unknown + 1, words + 1, 0)
        for size in range(min(lexicon.longest_word, len(text) - i), 0, -1):
            unknown, words, _ = best[i + size]
            if (unknown, words + 1) < best[i][:2] and text[i : i + size] in lexicon:
                best[i] = (unknown, words + 1, size)
    found: list[Word] = []
    i = 0
    while i < len(text):
        size = best[i][2]
        if size:
            word = text[i : i + size]
            found.append(Word(word, lexicon.lookup(word)))
        elif found and found[-1].en is None:
            found[-1] = Word(found[-1].zh + text[i], None)
        else:
            found.append(Word(text[i], None))
        i += size or 1
    return found


def translate_phrase(text: str, lexicon: Lexicon, code: str = "zh") -> tuple[str, list[str]]:
    """Translate simplified Chinese, or Japanese; the English, and the words that the lexicon does not know."""
    rules = RULES[code]
    english, unknown = "", []
    for piece in CLAUSES.split(text):
        if piece in SIGNS:
            english = english.rstrip(",. ") + SIGNS[piece] if english else ""
        elif piece:
            words = _drop_inflection(split_words(piece, lexicon), rules)
            unknown += [word.zh for word in words if word.en is None]
            english = " ".join(filter(None, (english.strip(), _translate_clause(words, lexicon, rules))))
    return english.strip(" ,."), unknown


def _drop_inflection(words: list[Word], rules: Rules) -> list[Word]:
    """Words, of which an unknown one that inflects the word before says nothing."""
    if rules.inflected is None:
        return words
    return [
        Word(word.zh, "") if i and word.en is None and words[i - 1].en and rules.inflected.fullmatch(word.zh) else word
        for i, word in enumerate(words)
    ]


def _translate_clause(words: list[Word], lexicon: Lexicon, rules: Rules) -> str:
    words, where = _extract_places(words, rules)
    words = _join_split_words([word for word in words if word.en], lexicon, rules)
    where += [word.en for word in words if word.en and word.en.startswith(PHRASES)]
    parts = [word.en for word in words if word.en and not word.en.startswith(PHRASES)]
    parts = [part for i, part in enumerate(parts) if not _is_repeated(part, parts, i)]
    while parts and parts[0] in LITTLE:
        del parts[0]
    while parts and parts[-1] in LITTLE:
        del parts[-1]
    return " ".join(parts + where)


def _is_repeated(part: str, parts: list[str], i: int) -> bool:
    """Whether a neighbour says the same: `dog` beside `dog barking`."""
    words = set(part.split())
    before, after = (set(parts[j].split()) if 0 <= j < len(parts) else set() for j in (i - 1, i + 1))
    return words <= before or words < after


def _extract_places(words: list[Word], rules: Rules) -> tuple[list[Word], list[str]]:
    """The words without phrases of place, and those in English: 在 森林 里, or 森林 里 → in the forest."""
    rest: list[Word] = []
    where: list[str] = []
    for word in words:
        if word.zh in rules.places and rest and rest[-1].en and not rest[-1].en.endswith("ing"):
            start = next((i for i in range(len(rest) - 1, -1, -1) if rest[i].zh in rules.at), len(rest) - 1)
            if any(w.en is None or w.en in LITTLE for w in rest[start:]):
                start = len(rest) - 1
            place = " ".join(w.en for w in rest[start:] if w.en)
            del rest[start:]
            where.append(place if place.startswith(PHRASES) else f"{rules.places[word.zh]} the {place}")
        else:
            rest.append(word)
    return rest, where


def _join_split_words(words: list[Word], lexicon: Lexicon, rules: Rules) -> list[Word]:
    """Join words that are one word of the lexicon together, as words without meaning stood between: 打了个 喷嚏 → 打喷嚏."""
    words = list(words)
    i = 0
    while i < len(words):
        i += not (_join_at(words, i, lexicon) or _join_with_subject(words, i, lexicon, rules))
    return words


def _join_at(words: list[Word], i: int, lexicon: Lexicon) -> bool:
    """Join the words from place i on in `words` itself, if the lexicon has them as one; whether it has."""
    for count in (3, 2):
        zh = [word.zh for word in words[i : i + count]]
        if len(zh) == count:
            ways = ["".join(zh)] if count == 3 else ["".join(zh), "".join(reversed(zh))]  # 把 纸 撕 了 → 撕纸
            whole = next((way for way in ways if lexicon.lookup(way)), None)
            if whole is not None:
                words[i : i + count] = [Word(whole, lexicon.lookup(whole))]
                return True
    if i + 2 < len(words) and lexicon.lookup(apart := words[i].zh + words[i + 2].zh):  # 打 响亮 喷嚏 → 响亮 打喷嚏
        words[i : i + 3] = [words[i + 1], Word(apart, lexicon.lookup(apart))]
        return True
    return False


def _join_with_subject(words: list[Word], i: int, lexicon: Lexicon, rules: Rules) -> bool:
    """Join a verb with the nearest subject before it, if that is a word: 鸟 … 叫 → 鸟叫, 火车 … 鸣笛 → 火车鸣笛."""
    verb = words[i].zh
    stem = rules.verbs.get(verb, "")
    for j in range(i - 1, max(-1, i - NEAR), -1) if stem or len(verb) > 1 else ():
        for whole in (words[j].zh + verb, words[j].zh + stem):
            if whole != words[j].zh and lexicon.lookup(whole):
                words[j] = Word(whole, lexicon.lookup(whole))
                del words[i]
                return True
    return False
