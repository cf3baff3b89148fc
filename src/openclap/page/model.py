"""Model / 模型: which model is at work, and putting another one to work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import gradio as gr

from openclap.checkpoints.locate import is_available
from openclap.checkpoints.presets import PRESETS, find_preset
from openclap.page.desk import Loaded, title_of
from openclap.page.parts import Page
from openclap.page.pictures import bar, text
from openclap.page.strings import Language, say
from openclap.page.wording import Visit
from openclap.store.disk import folder_bytes

__all__ = ["build", "draw", "load"]

EVERY = 0.25  # seconds between two looks at the progress


def build(page: Page) -> Any:
    """The tab's components and what its button does → what says which model is at work."""
    settings = page.desk.settings
    page.about("model.about")

    def choices(language: Language) -> list[tuple[str, str]]:
        return [(_choice(name, language), name) for name in _names(page)]

    with gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            free = settings.models is None
            name = page.words.make(
                gr.Dropdown,
                {"label": "model.name", "choices": choices, "info": "model.info" if free else "model.info_listed"},
                value=title_of(settings.model),
                allow_custom_value=free,
                filterable=free,
                elem_id="model-name",
            )
            go = page.button("model.load", elem_id="model-load")
        with gr.Column(min_width=320):
            status = gr.HTML(draw(page, page.desk.loaded, "en"), elem_id="model-status")
    page.words.shows(page.language, status, lambda _, language: draw(page, page.desk.loaded, language))

    def pressed(visit: Visit, wanted: str | None) -> Iterator[str]:
        yield from load(page, visit.language, wanted)

    page.on([go.click], pressed, [name], [status], show_progress="hidden")
    return status


def _names(page: Page) -> list[str]:
    if page.desk.settings.models is not None:
        return list(page.desk.models)
    presets = [preset.name for preset in PRESETS if not preset.note]
    return list(dict.fromkeys((*presets, *page.desk.models)))


def _choice(name: str, language: Language) -> str:
    preset = find_preset(name)
    if preset is None:
        return name
    if preset.repo is None or is_available(preset):
        return say("model.here", language, name=name)
    return say("model.megabytes", language, name=name, megabytes=preset.megabytes)


def load(page: Page, language: Language, name: str | None) -> Iterator[str]:
    """How far it is, again and again, and at last what is at work."""
    wanted = (name or "").strip()
    begun = time.monotonic()
    future = page.desk.load(wanted)
    before = _fetched(wanted)
    while wait([future], timeout=EVERY).not_done:
        yield _progress(wanted, _fetched(wanted) - before, time.monotonic() - begun, language)
    yield draw(page, future.result(), language)


def _progress(name: str, megabytes: float, seconds: float, language: Language) -> str:
    preset, shown = find_preset(name), text(title_of(name))
    took = f"{seconds:.0f}"
    if megabytes < 1:
        return (
            f'<div class="oc-card"><p>{say("model.looking", language, name=shown, seconds=took)}</p><span class="oc-bar'
            ' oc-running"><i></i></span></div>'
        )
    done = f"{megabytes:.0f}"
    if preset is None:
        said, share = say("model.fetching_some", language, name=shown, done=done, seconds=took), ""
    else:
        said = say("model.fetching", language, name=shown, done=done, total=preset.megabytes, seconds=took)
        share = bar(megabytes / preset.megabytes, label=f"{100 * megabytes / preset.megabytes:.0f} %")
    return f'<div class="oc-card"><p>{said}</p>{share}</div>'


def _fetched(name: str) -> float:
    """Megabytes of a Hub repository that are on this machine, whole files or begun ones."""
    from huggingface_hub import constants

    preset = find_preset(name)
    repo = preset.repo if preset is not None else name if name.count("/") == 1 else None
    if repo is None:
        return 0.0
    return folder_bytes(Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "blobs") / 1e6


def draw(page: Page, loaded: Loaded | None, language: Language) -> str:
    """The status line, and facts of the model."""
    if loaded is None:
        said = say("model.none", language, name=text(title_of(page.desk.settings.model)))
        return f'<div class="oc-card oc-waiting"><p>{said}</p></div>'
    size = say("model.parameters", language, millions=f"{loaded.parameters / 1e6:.1f}")
    facts = {
        "model.name": text(loaded.name),
        "model.size": size,
        "model.device": text(loaded.device),
        "model.took": say("common.seconds", language, seconds=f"{loaded.seconds:.1f}"),
    }
    rows = "".join(f"<dt>{say(key, language)}</dt><dd>{value}</dd>" for key, value in facts.items())
    return (
        f'<div class="oc-card oc-ready"><h3>✓ {say("model.ready", language)}</h3><dl class="oc-facts">{rows}</dl></div>'
    )
