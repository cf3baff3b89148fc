"""The page as a Gradio app, and how it is started: as a Hugging Face Space, or by anybody on their own machine.

/      in English          each visitor has a session of gradio: their model, their sounds
/zh    in 中文              one model of a name for all; gradio's queue says whose turn it is
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nothing is told to anybody

import gradio as gr
from starlette.middleware import Middleware

from openclap.checkpoints.locate import is_available
from openclap.checkpoints.presets import find_preset
from openclap.http.loading import end_loading
from openclap.page import classify, describe, find, match
from openclap.page.components import LIGHT, Page, answer_in
from openclap.page.demo_sounds import DemoSounds
from openclap.page.drawing import escape, progress
from openclap.page.limits import BodyLimits, VisitorLimits
from openclap.page.models import SharedModels
from openclap.page.strings import LANGUAGES, Language, say

__all__ = ["launch", "make_page", "run"]

HERE = Path(__file__).parent
UPLOADS = "uploads"  # folder of what browsers send and may be given
MODELS = ("mini", "laion/clap-htsat-fused", "laion/clap-htsat-unfused")
CACHE_LOOK, CACHE_KEPT = 600, 3600  # seconds: how often gradio looks for files to delete, and how long it keeps them
SESSIONS = 512  # whose states gradio keeps; 10,000 by itself
FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
# gradio's own words follow the browser; here they follow the page, and who reads Chinese comes to the Chinese one first
HEAD = """<script>
const chinese = /\\/zh\\/?$/.test(location.pathname), reads = navigator.language;
let seen = true;
try { seen = sessionStorage.getItem("openclap"); sessionStorage.setItem("openclap", "1"); } catch {}
if (!seen && !chinese && reads.startsWith("zh")) location.replace("zh" + location.search);
for (const [name, value] of [["language", chinese ? "zh-CN" : "en"], ["languages", [chinese ? "zh-CN" : "en"]]])
  Object.defineProperty(navigator, name, { get: () => value });
document.documentElement.lang = navigator.language;
</script>"""


class UploadsBlocks(gr.Blocks):  # type: ignore[misc]
    """Blocks that open no file but uploads: gradio refuses others with a traceback, and fetches what is a URL."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """As gradio's, where every file that an event names lies among the uploads."""
        uploads = os.path.realpath(self.GRADIO_CACHE)
        for path in paths_in(inputs):
            if not isinstance(path, str) or "\0" in path or not Path(os.path.realpath(path)).is_relative_to(uploads):
                raise gr.Error(say("error.input", "en"), print_exception=False)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)


def paths_in(value: Any) -> Iterator[Any]:
    """Every "path" of every dict, however deep; None, of an empty component, is none."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if one.get("path") is not None:
                yield one["path"]
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one


def make_page(folder: Path, *, limits: VisitorLimits | None = None, models: SharedModels | None = None) -> gr.Blocks:
    """The page in every language.

    Parameters
    ----------
    folder
        Its own, which is deleted at the end; uploads lie in `uploads` there.
    """
    limits, models = limits or VisitorLimits(), models or SharedModels(MODELS)
    demo = DemoSounds(folder / UPLOADS / "demo")
    cache = (CACHE_LOOK, CACHE_KEPT)
    blocks = UploadsBlocks(title="openclap", analytics_enabled=False, delete_cache=cache)
    for language, name in LANGUAGES.items():
        with blocks if language == "en" else blocks.route(name, language):
            gr.Navbar(main_page_name=LANGUAGES["en"])
            build(language, folder, limits, models, demo)
    blocks.queue(max_size=limits.queue, api_open=False)
    return blocks


def build(language: Language, folder: Path, limits: VisitorLimits, models: SharedModels, demo: DemoSounds) -> None:
    """The page in one language: its head and its tabs."""
    first = models.names[0]
    model = gr.State(first)
    with gr.Row(elem_id="oc-head", equal_height=True):
        line, english = (escape(say(key, language)) for key in ("head.line", "head.english"))
        gr.HTML(f"<h1>openclap</h1><p>{line}</p><p>{english}</p>", elem_classes="oc-title")
        with gr.Column(min_width=320):
            with gr.Row(equal_height=True):
                choices = [(model_title(name, language), name) for name in models.names]
                chosen = gr.Dropdown(choices, value=first, label=say("model.name", language), elem_id="model-name")
                button = gr.Button(say("model.load", language), variant="primary", min_width=120, elem_id="model-load")
            status = gr.HTML(elem_id="model-status")
    page = Page(language, folder, limits, models, demo, model, status)

    def load(name: str) -> Iterator[tuple[Any, str]]:
        yield gr.skip(), progress(page.say("model.loading", name=name))
        for megabytes in models.load(name):
            preset = find_preset(name)
            if megabytes >= 1 and preset is not None:
                words = page.say("model.fetching", name=name, done=f"{megabytes:.0f}", total=preset.megabytes)
                yield gr.skip(), progress(words, megabytes / preset.megabytes)
        yield name, page.draw_status(name)

    loading = gr.on(
        [button.click],
        answer_in(language, load, (gr.skip(), "")),
        chosen,
        [model, status],
        concurrency_id="load",
        concurrency_limit=2,
        show_progress="hidden",
        api_visibility="private",
    )
    loading.failure(page.draw_status, model, status, **LIGHT)
    gr.on(None, page.draw_status, model, status, **LIGHT)  # when the page is opened
    with gr.Tabs():
        for tab in (match, classify, find, describe):
            name = tab.__name__.rpartition(".")[2]
            with gr.Tab(page.say(f"{name}.tab"), id=name, elem_id=f"tab-{name}"):
                tab.build(page)


def model_title(name: str, language: Language) -> str:
    """A model in the list: what it takes to have it."""
    preset = find_preset(name)
    if preset is None or preset.repo is None or is_available(preset):
        return say("model.bundled", language, name=name)
    return say("model.megabytes", language, name=name, megabytes=preset.megabytes)


def launch(
    folder: Path, *, limits: VisitorLimits | None = None, models: SharedModels | None = None, **options: Any
) -> gr.Blocks:
    """Make the page and serve it: `options` are `gradio.Blocks.launch`'s."""
    limits = limits or VisitorLimits()
    uploads = folder / UPLOADS
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # gone at the end, and nobody else writes to it
    blocks = make_page(folder, limits=limits, models=models)
    blocks.launch(
        share=False,
        show_error=False,
        max_file_size=limits.file_bytes,
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": [Middleware(BodyLimits, folder=uploads, most=limits.kept_bytes)]},
        ssr_mode=False,
        enable_monitoring=False,
        footer_links=[],
        run_history=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css_paths=HERE / "page.css",
        head=HEAD,
        **options,
    )
    return blocks


def run(limits: VisitorLimits | None = None) -> None:
    """Serve the page until it is stopped, where GRADIO_SERVER_NAME and GRADIO_SERVER_PORT say."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which gradio ends at
    folder = tempfile.TemporaryDirectory(prefix="openclap-page-", ignore_cleanup_errors=True)
    with folder as name, suppress(KeyboardInterrupt):  # which comes before gradio waits for it
        launch(Path(name).resolve(), limits=limits)
    end_loading()


def theme() -> gr.Theme:
    """Gradio's soft theme in one accent; the fonts are the system's, so none is fetched."""
    return gr.themes.Soft(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=MONO, radius_size="md"
    ).set(
        # white on it, and what is said in grey, are read at a glance (contrast 4.5 and more)
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_title_background_fill="none",
        block_title_padding="0",
        block_border_width="1px",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_600",
        color_accent="*primary_600",
        body_background_fill="*neutral_50",
    )
