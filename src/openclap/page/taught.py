"""What whoever runs this has taught and kept, to choose from. Knows no tab.

Where others than its owner see the page there is nothing to choose, and a name that is sent all the same is refused: no
detector of the server is anybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from openclap.detector import Detector, list_detectors
from openclap.page.desk import Desk
from openclap.page.parts import Page
from openclap.page.strings import Told
from openclap.page.wording import Visit

__all__ = ["chooser", "chosen", "names"]


def chooser(page: Page, **props: Any) -> Any:
    """Where names are chosen; they are read anew whenever somebody looks at them."""
    box = page.words.make(
        gr.Dropdown,
        {"label": "common.detectors", "info": "common.detectors_info"},
        choices=names(page.desk),
        value=[],
        multiselect=True,
        allow_custom_value=True,
        visible=page.desk.settings.detectors,
        **props,
    )

    def looked(visit: Visit) -> Any:
        return gr.update(choices=names(page.desk))

    page.on([box.focus], looked, [], [box], show_progress="hidden", concurrency_id="browse")
    return box


def names(desk: Desk) -> list[str]:
    """What can be chosen here."""
    return [one.name for one in list_detectors()[0]] if desk.settings.detectors else []


def chosen(desk: Desk, wanted: Sequence[str] | None) -> list[Detector]:
    """The detectors of some names, each once.

    Raises
    ------
    Told
        There is none of such a name.
    """
    if not wanted:
        return []
    there = {one.name: one for one in list_detectors()[0]} if desk.settings.detectors else {}
    missing = next((name for name in wanted if name not in there), None)
    if missing is not None:
        raise Told("error.no_detector", name=missing)
    return [there[name] for name in dict.fromkeys(wanted)]
