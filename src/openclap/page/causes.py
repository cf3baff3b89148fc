"""Why a sound cannot be used, as the packages below say it → a key of the table of strings. Knows nothing of gradio.

They say it in English and for all doors; here it is said in the page's languages. `tests/test_page_words.py` finds
causes that have no key.
"""

from __future__ import annotations

import re

__all__ = ["cause_of"]

# the first that is found in what was said
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


def cause_of(said: str) -> str:
    """The key of what was said; where it is not known, one that says little."""
    return next((key for pattern, key in CAUSES if re.search(pattern, said)), "cause.other")
