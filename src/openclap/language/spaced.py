"""Translates a phrase whose words are separated by spaces into an English caption: by a lexicon and rules of word order.

el ladrido de un perro grande en el bosque
    words and phrases of the lexicon:   ladrido  de  perro  grande  en el  bosque
    what is "of" another comes after:   perro grande ladrido         un perro's ladrido
    adjectives before their noun:       grande perro ladrido         → big dog barking in the forest

Inflected forms are cut (bellte → bellen) and compounds split (Hundegebell → Hund, Gebell); `languages` has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from openclap.language.grammar import LITTLE, PHRASES
from openclap.language.languages import (
    ALSO_ENGLISH,
    ENGLISH_ENDINGS,
    FALSE_FRIENDS,
    Language,
    common_words,
    rare_english,
)
from openclap.language.lexicon import Lexicon
from openclap.words import fold

__all__ = ["WORDS", "Reading", "is_english_form", "is_worth_reading", "read_as", "replace_words"]

OF = "~of"  # the English of a word that says whose what stands before is
WORDS = re.compile(r"[^\W\d_]+|\d+")
CLAUSES = re.compile(r"[,;:.!?…()\[\]{}/|\"“”„«»]+")
SHORTEST_STEM, SHORTEST_BASE = 3, 3  # letters that are left of an inflected word, and of that in the lexicon
SHORTEST_PART = 3  # letters of a part of a compound
SHORTEST_MIXED = 4  # letters of a word that is translated within an English text
LONGEST_COMPOUND = 40  # letters
LONGEST_INFLECTED = 4  # words of a phrase whose forms are looked for, too
KEPT = 1 << 14  # inflected words that are remembered
# adjectives as the lexicons have them: in English they stand before the noun
ADJECTIVES = frozenset(
    ("loud", "quiet", "soft", "distant", "nearby", "heavy", "strong", "light", "steady", "continuous", "small", "big", "old", "young", "fast", "slow", "deep", "low-pitched", "high-pitched", "sudden", "angry", "happy", "sad", "metallic", "wooden", "electric", "wet", "dry", "empty", "broken", "wild", "many", "several", "two", "three")
)  # fmt: skip
PREPOSITIONS = frozenset(
    (
        "in",
        "in the",
        "on",
        "on the",
        "under",
        "near",
        "behind",
        "from",
        "without",
        "through",
        "over",
        "against",
        "between",
        "into",
    )
)
CALLS = frozenset(("calling", "yell", "shout", "screaming"))  # what an animal does by a verb of its own
VOICES = {
    "dog": "dog barking", "puppy": "puppy barking", "cat": "cat meowing", "kitten": "kitten meowing", "cow": "cow mooing",
    "horse": "horse neighing", "pig": "pig oinking", "sheep": "sheep bleating", "lamb": "lamb bleating",
    "goat": "goat bleating", "donkey": "donkey braying", "duck": "duck quacking", "goose": "goose honking",
    "chicken": "hen clucking", "hen": "hen clucking", "rooster": "rooster crowing", "turkey": "turkey gobbling",
    "bird": "bird calling", "crow": "crow cawing", "owl": "owl hooting", "pigeon": "pigeon cooing", "frog": "frog croaking",
    "toad": "frog croaking", "wolf": "wolf howling", "lion": "lion roaring", "tiger": "tiger roaring",
    "bear": "bear growling", "elephant": "elephant trumpeting", "monkey": "monkey screeching",
    "cicada": "cicadas chirping", "cricket": "cricket chirping", "insect": "insects chirping", "mouse": "mouse squeaking",
    "eagle": "eagle screeching", "baby": "baby crying",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """Some words of a text in a row and their English: empty where they say nothing, None where they are unknown."""

    words: tuple[str, ...]
    en: str | None


@dataclass(frozen=True)
class Reading:
    """A text read as one language: the English, the words that were left out, and how well it fits.

    Attributes
    ----------
    text : str
        The English.
    unknown : tuple of str
        Words that were left out.
    known : int
        Words that the lexicon has.
    exact : int
        Entries that the lexicon has as they are, neither inflected nor made of others.
    literal : int
        Words that are written as in the lexicon, with their accents: rien is not ríen.
    foreign : int
        Words of them that are no English.
    rare : int
        Those of them that English texts do not even quote.
    english : int
        Words that are English alone.
    says : bool
        Whether any of them is about a sound.
    """

    text: str
    unknown: tuple[str, ...]
    known: int
    exact: int
    literal: int
    foreign: int
    rare: int
    english: int
    says: bool

    @property
    def fits(self) -> bool:
        """Whether the text is most likely in this language, and says something."""
        return self.may_be and self.says and bool(self.text)

    @property
    def may_be(self) -> bool:
        """Whether the text is most likely in this language, whether or not it says something about a sound.

        Words that English texts quote (der, les) count where every other word is of this language as well.
        """
        return self.foreign > self.english if self.rare else bool(self.foreign) and not (self.english or self.unknown)


NOT_AT_ALL = Reading("", (), 0, 0, 0, 0, 0, 0, False)


def is_worth_reading(text: str, knows: Callable[[str], bool]) -> bool:
    """Whether a text has a word that a model for English does not know, or one that English texts only quote."""
    return any(word in common_words() or not _is_english(word, knows) for word in map(str.lower, WORDS.findall(text)))


def read_as(text: str, language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> Reading:
    """Read a text as one language; `knows` says whether a word is one that the text tower knows as English."""
    if not _may_fit(text, language, lexicon, knows):
        return NOT_AT_ALL
    english: list[str] = []
    unknown: list[str] = []
    known = foreign = rare = also = exact = literal = 0
    says = False
    friends = FALSE_FRIENDS if len(WORDS.findall(text)) > 1 else frozenset()
    for clause in CLAUSES.split(text):
        items = _match(WORDS.findall(clause), language, lexicon, knows)
        for item in items:
            plain = [fold(word) for word in item.words]
            strange = [
                word
                for word, written in zip(plain, item.words, strict=True)
                if word in language.common or not (word in friends or _is_english(written.lower(), knows))
            ]
            if item.en is None:
                if strange:
                    unknown += item.words
                elif not item.words[0].isdigit():
                    also += len(plain)
                continue
            known += len(plain)
            exact += " ".join(plain) in lexicon
            literal += sum(word.lower() in lexicon.written for word in item.words)
            says = says or (bool(item.en) and item.en != OF and item.en not in LITTLE)
            if strange and fold(item.en) != " ".join(plain):
                foreign += len(strange)
                rare += sum(word not in language.common for word in strange)
        english.append(_order(items, knows))
    parts = [part for i, part in enumerate(english) if part and part not in english[:i]]
    return Reading(", ".join(parts), tuple(dict.fromkeys(unknown)), known, exact, literal, foreign, rare, also, says)


def _may_fit(text: str, language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> bool:
    """Whether there are enough words that are no English; that is known before any is looked for by its stem."""
    words = [(word, fold(word)) for word in WORDS.findall(text)]
    strange = sum(word in language.common or not _is_english(written.lower(), knows) for written, word in words)
    english = sum(
        word not in lexicon.parts and not word.isdigit() and _is_english(written.lower(), knows)
        for written, word in words
    )
    return strange > english


def replace_words(text: str, language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> tuple[str, int]:
    """An English text with its words of another language in English, and how many they are.

    Only words are taken that the tower does not know, and that the lexicon has as they are, or made of its words.
    """
    count = 0
    alone = len(WORDS.findall(text)) == 1

    def put(found: re.Match[str]) -> str:
        nonlocal count
        word = fold(found[0])
        if len(word) < SHORTEST_MIXED or _is_english(word, knows) or (word in FALSE_FRIENDS and not alone):
            return found[0]
        english = lexicon.lookup(word) or _split_compound(word, language, lexicon, knows)
        if not english or english.startswith(OF) or fold(english) == word:
            return found[0]
        if word not in lexicon and is_english_form(found[0], english, knows):
            return found[0]
        count += 1
        return english

    return WORDS.sub(put, text), count


def _has_letters_of(word: str, language: Language) -> bool:
    """Whether a language is written with all letters of a word in small letters."""
    return all(letter.isascii() or letter in language.letters for letter in word)


def is_english_form(word: str, english: str, knows: Callable[[str], bool]) -> bool:
    """Whether a word is a form of an English one that the tower knows (tellers, sander), and `english` another thing.

    It is for words alone and among English ones; in a text of another language words are forms of that one.
    """
    plain = word.lower()
    if not plain.isascii():
        return False
    for ending, put in ENGLISH_ENDINGS:
        stem = plain.removesuffix(ending) + put
        if plain.endswith(ending) and len(stem) >= SHORTEST_STEM:
            for one in (stem, stem[:-1]) if not put and stem[-1] == stem[-2] else (stem,):
                if one not in common_words() and _is_english(one, knows):
                    return ending[-1] != "s" or one not in english.split()  # saxophones are a saxophone anywhere
    return False


def _is_english(word: str, knows: Callable[[str], bool]) -> bool:
    """Whether a word, as it is written, is English: it has no accents, and the tower knows it."""
    return word.isascii() and (word.isdigit() or word in ALSO_ENGLISH or word in rare_english() or knows(word))


def _match(words: list[str], language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> list[Item]:
    """Cover words by as few entries as leave the fewest words unknown; of equal ways, the longer first entry is taken."""
    plain = [fold(word) for word in words]
    best: list[tuple[int, int, Item | None]] = [(0, 0, None)] * (len(words) + 1)
    for i in range(len(words) - 1, -1, -1):
        alone = _find(plain[i], words[i].lower(), language, lexicon, knows)
        item = Item((words[i],), alone)
        best[i] = (best[i + 1][0] + (alone is None), best[i + 1][1] + 1, item)
        for size in range(min(lexicon.longest_phrase, len(words) - i), 1, -1):
            phrase = " ".join(plain[i : i + size])
            english = lexicon.words.get(phrase)
            if english is None and size <= LONGEST_INFLECTED:
                english = _find_phrase(plain[i : i + size], language, lexicon)
            unknown, count, _ = best[i + size]
            if english is not None and (unknown, count + 1) < best[i][:2]:
                best[i] = (unknown, count + 1, Item(tuple(words[i : i + size]), english))
    items: list[Item] = []
    i = 0
    while i < len(words) and (found := best[i][2]) is not None:
        items.append(found)
        i += len(found.words)
    return items


def _find(word: str, written: str, language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> str | None:
    """The English of one word, None where it is unknown; one that is English, too, must be written as in the lexicon."""
    if not (written.isascii() or written in lexicon.written or _has_letters_of(written, language)):
        return None
    english = lexicon.words.get(word)
    if english is not None or _is_english(written, knows):
        return english
    for spelled in _spellings(word, language):
        english = lexicon.words.get(spelled)
        if english is None:
            base = _uninflect(spelled, language, lexicon)
            english = lexicon.words[base] if base else _split_compound(spelled, language, lexicon, knows)
        if english is not None:
            return english
    return None


def _find_phrase(words: list[str], language: Language, lexicon: Lexicon) -> str | None:
    """The English of a phrase whose words are inflected: chiens qui aboient is chien qui aboie."""
    bases = [word if word in lexicon else _uninflect(word, language, lexicon) or word for word in words]
    if bases != words and (english := lexicon.words.get(" ".join(bases))) is not None:
        return english
    first = _uninflect(words[0], language, lexicon)  # of a verb, which may be a word of the lexicon by itself
    return None if first is None else lexicon.words.get(" ".join([first, *bases[1:]]))


def _spellings(word: str, language: Language) -> Iterable[str]:
    yield word
    typed = word
    for digraph, letter in language.digraphs:
        typed = typed.replace(digraph, letter)
    if typed != word:
        yield typed


def _uninflect(word: str, language: Language, lexicon: Lexicon) -> str | None:
    """The word of the lexicon that an inflected form is of, None where there is none; what was found is remembered."""
    base = lexicon.bases.get(word, word)
    if base == word:  # not looked for yet: a form is never its own base
        base = _find_base(word, language, lexicon)
        if len(lexicon.bases) >= KEPT:
            lexicon.bases.clear()
        lexicon.bases[word] = base
    return base


def _find_base(word: str, language: Language, lexicon: Lexicon) -> str | None:
    for start in dict.fromkeys((word, word.removeprefix(language.prefix))):
        for vowels in (("", ""), *language.vowels):
            for ending, put in language.endings:
                stem = start[: len(start) - len(ending)]
                if (
                    not start.endswith(ending)
                    or len(stem + put) < SHORTEST_BASE
                    or len(stem) < SHORTEST_STEM - bool(put)
                ):
                    continue
                if vowels[0]:
                    before, found, after = stem.rpartition(vowels[0])
                    vowel, _, only = vowels[1].partition("+")
                    if not found or (only and put != only):
                        continue
                    stem = before + vowel + after
                if lexicon.lookup(stem + put):
                    return stem + put
    return None


def _split_compound(word: str, language: Language, lexicon: Lexicon, knows: Callable[[str], bool]) -> str | None:
    """The English of a word that is made of two or more of the lexicon's, not all English; None where it is not."""
    if not language.joints or not 2 * SHORTEST_PART <= len(word) <= LONGEST_COMPOUND:
        return None
    parts = _parts(word, language, lexicon)
    if parts is None or all(_is_english(part, knows) for part in parts):
        return None
    return _join([lexicon.lookup(part) for part in parts])


def _parts(word: str, language: Language, lexicon: Lexicon, most: int = 3) -> list[str] | None:
    """The fewest words of the lexicon that make up a word with joints between them, the longest first one first."""
    for i in range(len(word) - SHORTEST_PART, SHORTEST_PART - 1, -1):
        first = next(
            (
                stem
                for joint in language.joints
                if word[:i].endswith(joint)
                and (stem := word[: i - len(joint)]) in lexicon
                and len(stem) >= SHORTEST_PART
            ),
            None,
        )
        if first is None or not _is_part(first, lexicon):
            continue
        rest = word[i:]
        last = rest if rest in lexicon else _uninflect(rest, language, lexicon)
        if last is not None and _is_part(last, lexicon):
            return [first, last]
        if most > 2 and (more := _parts(rest, language, lexicon, most - 1)):
            return [first, *more]
    return None


def _is_part(word: str, lexicon: Lexicon) -> bool:
    """Whether a word may be part of a compound: no little word, as in der|rape."""
    english = lexicon.lookup(word)
    if not english:
        return len(word) > SHORTEST_MIXED
    return english != OF and english not in LITTLE and english not in PREPOSITIONS


def _order(items: list[Item], knows: Callable[[str], bool]) -> str:
    """The English of a clause: whose before what, adjectives before nouns, each thing once."""
    parts: list[str] = []
    for item in items:
        if item.en is not None:  # also where it says nothing: the sound ~of rain
            parts.append(item.en)
        elif all(_is_english(word.lower(), knows) for word in item.words):
            parts += item.words
    return _join(_put_adjectives_first(_put_owners_first(parts)))


def _put_owners_first(parts: list[str]) -> list[str]:
    """Put whose it is before it: ladrido ~of perro grande → perro grande ladrido; the last "of" first."""
    while OF in parts:
        at = len(parts) - 1 - parts[::-1].index(OF)
        end = at + 1
        while end < len(parts) and not _ends_owner(parts[end]):
            end += 1
        start = at
        while start > 0 and parts[start - 1] in ADJECTIVES:
            start -= 1
        start = max(0, start - 1) if start > 0 and not _ends_owner(parts[start - 1], verbs=False) else start
        parts = [*parts[:start], *parts[at + 1 : end], *parts[start:at], *parts[end:]]
    return [part for part in parts if part]


def _ends_owner(part: str, verbs: bool = True) -> bool:
    return part in LITTLE or part.startswith(PHRASES) or part in PREPOSITIONS or (verbs and part.endswith("ing"))


def _put_adjectives_first(parts: list[str]) -> list[str]:
    """Put adjectives before the noun that is right before them: perro grande → grande perro."""
    ordered: list[str] = []
    for part in parts:
        if (
            part in ADJECTIVES
            and ordered
            and not _ends_owner(ordered[-1], verbs=False)
            and ordered[-1] not in ADJECTIVES
        ):
            ordered.insert(len(ordered) - 1, part)
        else:
            ordered.append(part)
    return ordered


def _is_said(part: str, said: list[str], i: int) -> bool:
    """Whether another part says the same and more, or an earlier one the same: dog beside dog barking."""
    words = _singular_words(part)
    return any(
        words < other or (words == other and j < i)
        for j, other in enumerate(map(_singular_words, said))
        if j != i and part not in LITTLE and part not in PREPOSITIONS
    )


def _singular_words(part: str) -> set[str]:
    return {word.removesuffix("s") for word in part.split()}


def _join(parts: list[str]) -> str:
    """English parts as one phrase: an animal's voice by its verb, nothing twice, nothing left that only joins."""
    said: list[str] = []
    for part in filter(None, parts):
        if (
            part.lower() in CALLS
            and (place := next((i for i, one in enumerate(said) if one in VOICES), None)) is not None
        ):
            said[place] = VOICES[said[place]]
        elif said and said[-1].lower() in CALLS and part in VOICES:
            said[-1] = VOICES[part]
        else:
            said.append(part)
    said = [part for i, part in enumerate(said) if not _is_said(part, said, i)]
    joins = LITTLE | PREPOSITIONS
    while said and said[0] in LITTLE:
        del said[0]
    while said and said[-1] in joins:
        del said[-1]
    return " ".join(said)
