"""What a user looks for → one unit vector (E,).

"rain + wind -thunder"   words: the first two should be heard, the last should not
"rain" roof folder:City  words in quotes must be in a file's texts, artist:, folder:, ucs:, bpm:, key: in what it says
rain in:trailer          the file must be in this collection
a sound                  or its embedding (E,): what sounds like it
a detector               what it was taught: its direction is the query
[words, sound, …]        all of them together
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.load import Sound, is_sound, sound_name
from openclap.clap import CLAP, is_embedding
from openclap.detector import Detector
from openclap.errors import EmptySound, UsageError
from openclap.file_facts import ASKED
from openclap.normalization import normalize_rows
from openclap.options import SearchFilter
from openclap.words import QueryWords, words_of_query

__all__ = [
    "Query",
    "Question",
    "embed_query",
    "has_words",
    "is_sound_alone",
    "is_unknown",
    "parse_query",
    "read_question",
    "refuse_silent",
    "texts_of",
]

Vector: TypeAlias = npt.NDArray[np.float32]
Query: TypeAlias = str | Sound | Vector | Detector | Sequence[str | Sound | Vector | Detector]

# weight of unwanted words: of the first eight hits for "A + B -B", 92 % hold A alone; 43 % with a weight of 0 (LOG.md)
PUSH = 0.5
IN = "in"  # asks for a collection, as others do for facts
FACT = re.compile(rf"""(?:^|(?<=\s))({"|".join((*ASKED, IN))}):(?:["“]([^"”]+)["”]|(\S+))""", re.IGNORECASE)
QUOTED = re.compile("""(?:^|(?<=\\s))["“]([^"“”]+)["”]""")
NOT = re.compile(r"""(?:^|\s)[-－](?:["“]([^"”]+)["”]|(\S+))""")
AND = re.compile("\\s\\+\\s|＋|(?<=[\u4e00-\u9fff])\\+|\\+(?=[\u4e00-\u9fff])")  # Chinese needs no spaces around +


@dataclass(frozen=True)
class Question:
    """A query in parts: what is heard, which words name it, and what a file must be called or say of itself.

    `query` is the query without what only filters. `wanted` and `unwanted` are the words by which files are named.
    """

    query: Query
    filter: SearchFilter
    wanted: QueryWords
    unwanted: QueryWords


def read_question(query: Query, without: Sequence[str] = (), where: SearchFilter | None = None) -> Question:
    """Split a query: `creaky "door" folder:Wood -metal` sounds like "creaky door" and must be called door, in Wood.

    Raises
    ------
    UsageError
        Words only say which files are wanted: then there is nothing to hear.
    """
    parts: Any = query if _is_several(query) else [query]
    phrases, said, left = [], [], []
    for part in parts:
        if isinstance(part, str):
            said += [(name.lower(), quoted or plain) for name, quoted, plain in FACT.findall(part)]
            heard = FACT.sub(" ", part)
            phrases += QUOTED.findall(heard)
            heard = QUOTED.sub(r" \1 ", heard)
            if not heard.strip() and part.strip():
                raise UsageError(f"{part.strip()!r} only says which files are wanted; add words for what is heard")
            left.append(heard if said or phrases else part)
        else:
            left.append(part)
    given = where or SearchFilter()
    asked = [parse_query(part) for part in left if isinstance(part, str)]
    return Question(
        left if _is_several(query) else left[0],
        replace(
            given,
            words=(*given.words, *phrases),
            facts=(*given.facts, *(fact for fact in said if fact[0] != IN)),
            collections=(*given.collections, *(value for name, value in said if name == IN)),
        ),
        words_of_query(" ".join(text for wanted, _ in asked for text in wanted)),
        words_of_query(" ".join([*(text for _, unwanted in asked for text in unwanted), *without])),
    )


def parse_query(words: str) -> tuple[list[str], list[str]]:
    """Split words into what should be heard and what should not: `rain + wind -thunder`, `rain -"heavy traffic"`.

    A minus counts at the start of a word, a plus between spaces or beside Chinese; "lo-fi" and "8-bit" are one word.
    """
    without = [(quoted or plain).strip() for quoted, plain in NOT.findall(words)]
    wanted = [" ".join(part.split()) for part in AND.split(NOT.sub(" ", words))]
    return [part for part in wanted if part], [part for part in without if part]


def embed_query(clap: CLAP, query: Query, without: Sequence[str] = ()) -> Vector:
    """The unit vector (E,) of a query; `without` holds further words for what should not be heard.

    Raises
    ------
    UsageError
        The query is empty, or only says what should not be heard.
    DetectorMismatch
        A detector was taught on another model.
    EmptySound
        Nothing is heard in a sound.
    """
    wanted: list[Vector] = []
    unwanted = list(without)
    parts: Any = query if _is_several(query) else [query]
    for part in parts:
        if isinstance(part, str):
            words, more = parse_query(part)
            unwanted += more
            wanted += list(clap.encode_text(words))
        elif isinstance(part, Detector):
            part.check(clap)
            wanted.append(part.direction)
        elif is_embedding(part, clap.config.embedding):
            wanted.append(part)
        else:
            seconds = clap.config.front_end.clip_seconds
            windows = clap.encode_windows(part, window=seconds, hop=seconds / 2)
            refuse_silent(sound_name(part), windows.heard)
            wanted.append(windows.track)  # as a library has it
    if not wanted:
        raise UsageError("the query is empty; describe a sound in words")
    vector = normalize_rows(np.sum(wanted, axis=0))
    if unwanted:
        vector = normalize_rows(vector - PUSH * normalize_rows(np.sum(clap.encode_text(unwanted), axis=0)))
    return vector


def refuse_silent(name: str, heard: npt.ArrayLike) -> None:
    """Refuse a sound to look for in which nothing is heard: whatever a model makes of it, nothing sounds like it."""
    if not np.any(heard):
        raise EmptySound(name, "nothing is heard in it, so that nothing sounds like it; give another sound")


def texts_of(query: Query, without: Sequence[str] = ()) -> list[str]:
    """All texts that a query holds, wanted or not."""
    parts: Any = query if _is_several(query) else [query]
    asked = [parse_query(part) for part in parts if isinstance(part, str)]
    return [text for wanted, unwanted in asked for text in (*wanted, *unwanted)] + list(without)


def is_sound_alone(query: Query) -> bool:
    """Whether a query is one sound, or the embedding of one: then whole recordings are compared."""
    return not isinstance(query, str | Detector) and not _is_several(query)


def is_unknown(clap: CLAP, query: Query) -> bool:
    """Whether a query is words alone, none of which the model was ever taught: then no cosine with it means anything."""
    parts: Any = query if _is_several(query) else [query]
    if not all(isinstance(part, str) for part in parts):
        return False
    unknown = {one.word.casefold() for one in clap.unknown_words(texts_of(query))}
    if not unknown:
        return False
    shown = [words_of_query(text).spelled.values() for part in parts for text in parse_query(part)[0]]
    return all(word.casefold() in unknown for words in shown for word in words)


def has_words(query: Query) -> bool:
    """Whether a part of a query is words, or a detector, which begins with words."""
    parts: Any = query if _is_several(query) else [query]
    return any(isinstance(part, str | Detector) for part in parts)


def _is_several(query: Any) -> bool:
    """Whether a query is a list of parts; a (wave, rate) pair is one sound."""
    return not isinstance(query, str | Detector) and not is_sound(query) and isinstance(query, Sequence)
