"""Errors as one sentence in the page's languages, which names no path of the server. Knows nothing of gradio.

Packages below say in English why a sound cannot be used; `tests/test_page_strings.py` finds causes that have no key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from openclap.errors import (
    BadCheckpoint,
    LibraryError,
    MissingExtra,
    ModelNotHere,
    SoundError,
    UnknownModel,
    UsageError,
)
from openclap.page.strings import InputError, Language, say

__all__ = ["CAUSES", "cause_of", "error_message"]

# the first that an error is one of
KEYS: tuple[tuple[type[Exception], str], ...] = (
    (SoundError, "error.sound"),
    (UnknownModel, "error.model_refused"),
    (ModelNotHere, "error.model_not_here"),
    (BadCheckpoint, "error.bad_model"),
    (MissingExtra, "error.missing"),
    (LibraryError, "error.library"),
    (UsageError, "error.input"),
)
# the first that is found in what was said of a sound
CAUSES: tuple[tuple[str, str], ...] = (
    (r"without any audio", "cause.no_audio"),
    (r"\bcodec\b", "cause.codec"),
    (r"not a sound|is no sound|could be decoded as audio|cannot decode it|be broken or no audio", "cause.no_sound"),
    (r"is 0 bytes long|holds no samples|no samples", "cause.empty"),
    (r"nothing is heard", "cause.silent"),
    (r"NaN or infinite", "cause.not_finite"),
    (r"as large as", "cause.loud"),
    (r"header claims", "cause.header"),
    (r"is longer than", "cause.long"),
    (r"^track ", "cause.track"),
    (r"no permission", "cause.permission"),
    (r"no such file|no file (?:of|can have) this name|has gone", "cause.gone"),
    (r"is a directory|is a pipe|no ordinary file", "cause.no_file"),
    (r"is a link|leads elsewhere|lies outside", "cause.link"),
    (r"not the file that was indexed", "cause.changed"),
    (r"cannot be (?:read|looked into)", "cause.unreadable"),
)


def cause_of(words: str) -> str:
    """The key of a cause; where it is not known, one that says little."""
    return next((key for pattern, key in CAUSES if re.search(pattern, words)), "cause.other")


def error_message(error: Exception, language: Language) -> str:
    """An error as one sentence, with what can be done about it."""
    key, values = _key_and_values(error, language)
    what = say(key, language, **values)
    steps = [say(f"hint.{hint.key}", language, **hint.facts) for hint in getattr(error, "hints", ())]
    return say("error.steps", language, what=what, steps=say("error.or", language).join(steps)) if steps else what


def _key_and_values(error: Exception, language: Language) -> tuple[str, dict[str, Any]]:
    if isinstance(error, InputError):
        return error.key, error.values
    key = next((key for kind, key in KEYS if isinstance(error, kind)), "error.inside")
    name = str(getattr(error, "asked", "") or getattr(error, "name", "") or "")
    why = say(cause_of(str(getattr(error, "cause", ""))), language)
    return key, {"name": Path(name).name if isinstance(error, SoundError) else name, "what": name, "why": why}
