"""Turns what a watch listens for (words and detectors) into names and unit rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from openclap.clap import CLAP
from openclap.detector import Detector
from openclap.errors import Hint, UsageError
from openclap.normalization import Vectors
from openclap.watch.event import UNUSUAL

__all__ = ["embed_alerts", "name_alerts"]


MOST_ALERTS = 10_000


def embed_alerts(alerts: Mapping[str, Detector | None], model: CLAP) -> Vectors:
    """A unit row for each alert (A, E): the embedding of its words, or the direction of its detector.

    Raises
    ------
    DetectorMismatch
        A detector was taught on another model.
    """
    rows = np.zeros((len(alerts), model.config.embedding), np.float32)
    in_words = [name for name, detector in alerts.items() if detector is None]
    rows[[detector is None for detector in alerts.values()]] = model.encode_text(in_words)
    for i, detector in enumerate(alerts.values()):
        if detector is not None:
            detector.check(model)
            rows[i] = detector.direction
    return rows


def name_alerts(alerts: Sequence[str | Detector], unusual: bool) -> dict[str, Detector | None]:
    """The alerts by name, each once: its detector, or None where it is words.

    Raises
    ------
    UsageError
        There is nothing to listen for, an empty alert, too many, or two different ones with one name.
    """
    if isinstance(alerts, str | Detector):
        what = f"the string {alerts!r}" if isinstance(alerts, str) else f"the detector {alerts.name!r} alone"
        raise UsageError(f"alerts are a list of words and detectors, not {what}; put it in brackets")
    names: dict[str, Detector | None] = {}
    for alert in alerts:
        taught = alert if isinstance(alert, Detector) else None
        name = " ".join((taught.name if taught else str(alert)).split())
        if names.setdefault(name, taught) is not taught:
            raise UsageError(f"two alerts are called {name!r}; teach one under another name, or leave one out")
    if "" in names:
        raise UsageError("an alert is empty; describe a sound in words")
    if not names and not unusual:
        raise UsageError("nothing to listen for", Hint("alerts"))
    if len(names) > MOST_ALERTS:
        raise UsageError(f"{len(names)} alerts; at most {MOST_ALERTS} can be watched for at once")
    if UNUSUAL in names and unusual:
        raise UsageError(f"the alert {UNUSUAL!r} is what anything unusual is called; choose other words")
    return names
