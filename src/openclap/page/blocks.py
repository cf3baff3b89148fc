"""The page: its head, its tabs, and how it hangs on a server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI

from openclap.clap import CLAP

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: nothing is told to anybody

import gradio as gr
from starlette.concurrency import run_in_threadpool

from openclap.page import classify, describe, downloads, holdings, match, model, moments, parcels, search, teach, watch
from openclap.page.desk import Desk
from openclap.page.intake import Bounded, Guarded
from openclap.page.parts import LIGHT, Page
from openclap.page.settings import PageSettings
from openclap.page.strings import LANGUAGES, TABLE, Language, say
from openclap.page.wording import Wording, visitor_of

__all__ = ["make_page", "mount_page"]

T = TypeVar("T")

HERE = Path(__file__).parent
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
CACHE_LOOK, CACHE_KEPT = 600, 3600  # seconds: how often, and how long an upload is kept
SESSIONS = 512  # visitors whose results gradio remembers, 0.3 MB each, long after they have left; it would 10,000
TABS = (
    (model, "model"),
    (match, "match"),
    (classify, "classify"),
    (describe, "describe"),
    (search, "search"),
    (moments, "moments"),
    (watch, "watch"),
    (teach, "teach"),
    (holdings, "library"),
)
PLACES = {  # tabs of a place of the front end, which shows them in a frame: ?place=
    "recording": ("model", "match", "classify", "describe", "moments"),
    "live": ("watch",),
    "teach": ("teach",),
}
SPEAK = "(language, ...rest) => { window.openclapSpeak(language); return [language, ...rest]; }"


def make_page(desk: Desk, words: Wording | None = None) -> Any:
    """The page as `gradio.Blocks`, for `mount_page`; `words`, to be told what has words."""
    return _in_a_loop(lambda: _made(desk, words or Wording()))


def _in_a_loop(call: Callable[[], T]) -> T:
    """Call where an event loop runs: gradio would make some that nobody closes."""

    async def called() -> T:
        return call()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(called())
    return call()


def _made(desk: Desk, words: Wording) -> Any:
    with Guarded(title="openclap", analytics_enabled=False, delete_cache=(CACHE_LOOK, CACHE_KEPT)) as blocks:
        with gr.Row(elem_id="oc-head"):
            words.make(gr.HTML, {"value": _title}, elem_classes="oc-title")
            language = words.make(
                gr.Radio,
                {"label": "head.language"},
                choices=list(LANGUAGES),
                value="en",
                show_label=False,
                container=False,
                elem_id="oc-language",
            )
        page = Page(desk, words, language)
        tabs: list[Any] = []
        with gr.Tabs(elem_id="oc-tabs") as all_tabs:
            status: Any = None
            for tab, name in TABS:
                with words.make(gr.Tab, {"label": f"{name}.tab"}, id=name, elem_id=f"tab-{name}") as made:
                    status = tab.build(page) or status
                tabs.append(made)
        language.change(words.switch, [language, *words.states], words.parts, js=SPEAK, **LIGHT)
        blocks.load(_asked_for, None, language, **LIGHT)
        blocks.load(_place_asked_for, None, [all_tabs, *tabs], **LIGHT)

        def left(request: gr.Request) -> None:
            desk.forget(visitor_of(request))

        def shown(request: gr.Request, language: Language) -> str:
            return model.draw(page, desk.loaded, language)

        gr.on([blocks.load], shown, [language], [status], **LIGHT)
        blocks.unload(left)
    blocks.state_session_capacity = SESSIONS
    blocks.queue(max_size=desk.settings.queue, api_open=False, default_concurrency_limit=4)
    return blocks


def _title(language: Language) -> str:
    return f"<h1>{say('head.title', language)}</h1><p>{say('head.line', language)}</p>"


def _asked_for(request: gr.Request) -> Any:
    """The language of ?lang=, else of the browser; English is there already."""
    asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
    return "zh" if asked.lower().startswith("zh") else gr.skip()


def _place_asked_for(request: gr.Request) -> list[Any]:
    """The tabs of ?place=, with the one of ?tool= in front; all of them where it names none."""
    names = PLACES.get(request.query_params.get("place", ""), ())
    if not names:
        return [gr.skip()] * (1 + len(TABS))
    tool = request.query_params.get("tool", "")
    first = tool if tool in names else next(name for name in names if name != "model" or len(names) == 1)
    return [gr.update(selected=first), *(gr.update(visible=name in names) for _, name in TABS)]


def mount_page(app: FastAPI, settings: PageSettings, *, clap: CLAP | None = None) -> Desk:
    """Hang the page on an application; it is closed with the application.

    Parameters
    ----------
    clap
        A model that the application has loaded already.
    """
    desk = Desk(settings, clap)
    # its own, which nobody else writes to, and gone at the end
    os.environ["GRADIO_TEMP_DIR"] = str(desk.folder / "uploads")
    blocks = make_page(desk)
    # before gradio, which takes every path below its own
    app.include_router(downloads.routes_of(desk))
    app.include_router(parcels.routes_of(desk))
    mounted = partial(
        gr.mount_gradio_app,
        app,
        blocks,
        path="/",
        allowed_paths=[],
        blocked_paths=[],
        show_error=False,
        max_file_size=settings.upload_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        head=f"<script>{_head()}</script>",
    )
    _in_a_loop(mounted)
    app.add_middleware(Bounded, uploads="/gradio_api/upload", most=settings.kept_bytes, closing=desk.closing)
    gradio_app: Any = app.routes[-1].app  # type: ignore[attr-defined]

    def leave() -> None:
        """What browsers keep open as long as they look at the page ends, else no server would: gradio asks only where it is the server."""
        desk.closing.set()
        gradio_app.stop_event.set()

    app.state.leaving = [*getattr(app.state, "leaving", ()), leave]
    before = app.router.lifespan_context

    @asynccontextmanager
    async def living(inner: Any) -> AsyncIterator[Any]:
        async with before(inner) as state:
            desk.prepare()
            yield state
        await run_in_threadpool(desk.close)

    app.router.lifespan_context = living
    return desk


def _head() -> str:
    """The script that has gradio speak the page's language, with its words in both, and the one that listens."""
    words = json.dumps([pair for key, pair in TABLE.items() if key.startswith("gradio.")], ensure_ascii=False)
    head, microphone = ((HERE / name).read_text(encoding="utf-8") for name in ("head.js", "microphone.js"))
    return head.replace("/*WORDS*/[]", words.replace("<", "\\u003c")) + microphone


def _theme() -> Any:
    """Gradio's soft theme in one accent; the fonts are the system's, so none is fetched."""
    return gr.themes.Soft(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=MONO, radius_size="md"
    ).set(
        # white on it is read at a glance (contrast 5.5), as is what is said in grey
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_label_background_fill="*neutral_100",
        block_title_background_fill="none",
        block_title_padding="0",
        block_border_width="1px",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_600",
        button_secondary_border_color="*neutral_300",
        button_border_width="1px",
        color_accent="*primary_600",
        border_color_primary="*neutral_200",
        body_background_fill="*neutral_50",
    )
