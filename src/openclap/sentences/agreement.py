"""Gives verbs after `he` and `she` the form they have after `they`: she speaks → she speak.

The pronouns are replaced afterwards, by `make_debiaser`.
"""

from __future__ import annotations

import re

__all__ = ["is_object", "plural_verbs"]

# what may stand between a pronoun and its verb
BETWEEN = r"(?:(?:\w+ly|then|also|still|never|always|often|sometimes|perhaps|just|now|soon|once|first|thus)\s+)*"
# `and` with a second verb; what follows tells it from a noun, as in `she laughs and dogs bark`
SECOND = (
    r"(?:(?P<second>\s+(?:and|or|then|and\s+then)\s+%s)(?P<verb2>[A-Za-z]+s)"
    r"(?=\s*(?:[.,;:!?]|$)|\s+(?:a|an|the|his|her|their|\w+ly)\b))?"
)
AFTER = re.compile(
    rf"(?<![\w-])(?P<who>s?he)(?P<between>\s+{BETWEEN})(?P<verb>[A-Za-z]+(?:n['’]t)?)(?![\w'’-]){SECOND % BETWEEN}",
    re.IGNORECASE,
)
IRREGULAR = {
    "is": "are",
    "was": "were",
    "has": "have",
    "does": "do",
    "isn't": "aren't",
    "wasn't": "weren't",
    "hasn't": "haven't",
    "doesn't": "don't",
    "goes": "go",
    "aches": "ache",
    "dies": "die",
    "lies": "lie",
    "ties": "tie",
}
NO_VERBS = frozenset(
    (
        "as",
        "us",
        "this",
        "its",
        "his",
        "thus",
        "plus",
        "versus",
        "towards",
        "besides",
        "indoors",
        "outdoors",
        "upstairs",
        "downstairs",
    )
)
# what follows `her` where it is no possessive: `her, and …`, `to her while …`
NO_NOUNS = re.compile(
    r"\s*(?:[.,;:!?)\"]|$)|\s+(?:and|or|but|while|as|when|with|without|in|on|at|to|from|by|for|of|over|then|who|that|"
    r"if|before|after|through|into|near|behind)\b",
    re.IGNORECASE,
)


def plural_verbs(text: str) -> str:
    """Put verbs that follow `he` or `she` into the form that follows `they`; the pronouns stay."""

    def agree(found: re.Match[str]) -> str:
        second = found["second"]
        rest = "" if second is None else second + _plural(found["verb2"])
        return found["who"] + found["between"] + _plural(found["verb"]) + rest

    return AFTER.sub(agree, text)


def is_object(after: str) -> bool:
    """Whether the `her` before these words is an object: `to her, and …`, but not `to her dog`."""
    return NO_NOUNS.match(after) is not None


def _plural(verb: str) -> str:
    """The plural form of a verb: `speaks` → speak, `cries` → cry, `watches` → watch; other words stay."""
    lower = verb.lower().replace("’", "'")
    if lower in IRREGULAR:
        new = IRREGULAR[lower]
    elif lower in NO_VERBS or not lower.endswith("s") or lower.endswith("ss"):
        return verb
    elif lower.endswith("ies"):
        new = lower[:-3] + "y"
    elif lower.endswith(("sses", "shes", "ches", "xes", "zzes", "oes")):
        new = lower[:-2]
    else:
        new = lower[:-1]
    if verb.isupper():
        return new.upper()
    return new[:1].upper() + new[1:] if verb[0].isupper() else new
