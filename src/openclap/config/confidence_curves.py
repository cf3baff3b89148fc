"""The curves that turn a cosine into a confidence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from openclap.errors import UsageError

__all__ = ["ConfidenceCurves"]

FINGERPRINT = re.compile(r"[0-9a-f]{16}")
MOST_FITTED_ON_CHARACTERS = 300
STEEPEST = 1000.0  # coefficient of a curve; beyond, it gives 0 or 1 whatever is heard


@dataclass(frozen=True)
class ConfidenceCurves:
    """Curves fitted for one model: how unusual a cosine is → how likely the sound is there (`openclap.confidence`).

    The curves do not change the vectors of a model, so they are not part of its fingerprint, and two models that differ
    in their curves alone are equal.
    """

    words: tuple[float, ...]  # logit = a + b · deviations from the sounds' bank + c · deviations from the texts'
    sounds: tuple[float, ...]  # logit = a + b · share of the way from what is usual to 1 [+ c · decades nearer to 1]
    fingerprint: str  # of the model that they were fitted for
    fitted_on: str  # which sounds and queries, in words
    unlikely: float = 0.25  # of words: the confidence below which "nothing here sounds like that"
    evidence: dict[str, float] = field(default_factory=dict)  # an AudioSet label → what is taken off its logit
    unlikely_sounds: float | None = None  # the same for queries by a sound; None: as for words
    # For watching: logit = a + b · own + c · rise + d · new (`openclap.watch.calibrated_scorer`). A model without these
    # numbers is judged by `openclap.watch.alert_scorer`.
    watch: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, counts in (("words", (3,)), ("sounds", (2, 3)), *([("watch", (4,))] if self.watch else [])):
            given = getattr(self, name)
            if len(given) not in counts or not all(abs(x) <= STEEPEST for x in given):
                raise UsageError(
                    f"{name} of the confidence is {given}; give {' or '.join(map(str, counts))} numbers between"
                    f" -{STEEPEST:g} and {STEEPEST:g}"
                )
            if min(given[1:]) < 0 or not any(given[1:]):
                raise UsageError(
                    f"{name} of the confidence is {given}; after the first, none may be below 0, nor all 0"
                )
        for label, less in self.evidence.items():
            if isinstance(less, bool) or not isinstance(less, int | float) or not 0 <= less <= STEEPEST:
                raise UsageError(
                    f"evidence of the confidence for {label!r:.60} is {less!r:.60}; give a number between 0 and"
                    f" {STEEPEST:g}"
                )
        for name in ("unlikely", "unlikely_sounds"):
            least = getattr(self, name)
            if least is not None and not 0 < least < 1:
                raise UsageError(f"{name} of the confidence is {least!r}; it must lie between 0 and 1")
        if not FINGERPRINT.fullmatch(self.fingerprint):
            raise UsageError(
                f"fingerprint of the confidence is {self.fingerprint!r:.60}; 16 digits of 0-9 and a-f are expected"
            )
        if not self.fitted_on.isprintable() or len(self.fitted_on) > MOST_FITTED_ON_CHARACTERS:
            raise UsageError(
                f"fitted_on of the confidence is no line of at most {MOST_FITTED_ON_CHARACTERS} printable characters"
            )

    def least(self, *, words: bool) -> float:
        """The confidence below which a hit is unlikely, for a query in words or by a sound."""
        return self.unlikely if words or self.unlikely_sounds is None else self.unlikely_sounds
