"""A picture of every tab of the page, as docs/pictures shows them: `python runs/screenshots.py [FOLDER]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from browser_for_tests import Visitor, browser, served
from PIL import Image

from openclap.page.settings import PageSettings
from openclap.page.strings import Language

TABS: dict[Language, tuple[str, ...]] = {
    "en": ("Model", "Match", "Classify", "Describe", "Search", "Moments", "Watch", "Teach", "Library"),
    "zh": ("模型", "匹配", "分类", "描述", "检索", "定位", "监听", "训练", "音库"),
}
NAMES = ("model", "match", "classify", "describe", "search", "moments", "watch", "teach", "library")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        settings = PageSettings(library=f"{place}/library", uploads=Path(place) / "uploads")
        with served(settings) as url, browser() as running:
            for language in TABS:
                visit(Visitor(running, url, language, height=860), language, folder, f"-{language}")
            visit(Visitor(running, url, "en", width=390, height=844), "en", folder, "-phone")


def visit(visitor: Visitor, language: Language, folder: Path, ending: str) -> None:
    """Use every tab, and take its picture."""
    for tab, name in zip(TABS[language], NAMES, strict=True):
        if ending == "-phone" and visitor.tab.get_by_role("tab", name=tab, exact=True).count() == 0:
            visitor.tab.locator(".overflow-menu > button").click()
            visitor.tab.locator(".overflow-dropdown button", has_text=tab).click()
        else:
            visitor.open(tab)
        USES[name](visitor)
        visitor.settled()
        visitor.tab.mouse.move(0, 0)
        visitor.tab.screenshot(path=folder / f"{name}{ending}.png", full_page=True)
        with Image.open(folder / f"{name}{ending}.png") as picture:  # a third of the size, and nobody sees it
            small = picture.convert("RGB").quantize(200)
        small.save(folder / f"{name}{ending}.png", optimize=True)
        print(folder / f"{name}{ending}.png")


def use_model(visitor: Visitor) -> None:
    visitor.press("model-load")
    visitor.result("model-status", ".oc-ready")


def use_match(visitor: Visitor) -> None:
    visitor.example("match", 0)
    visitor.press("match-go")
    visitor.result("match-result", ".oc-table")


def use_classify(visitor: Visitor) -> None:
    visitor.example("classify", 1)
    visitor.press("classify-go")
    visitor.result("classify-result", "svg")


def use_describe(visitor: Visitor) -> None:
    visitor.tab.locator("#describe-examples button").first.click()
    visitor.heard("describe-sound")
    visitor.press("describe-go")
    visitor.result("describe-result", ".oc-piece")
    visitor.tab.locator("#describe-srt").wait_for()


def use_search(visitor: Visitor) -> None:
    visitor.example("search", 1, sound=False)
    visitor.press("search-go")
    visitor.result("search-result", ".oc-hit")


def use_moments(visitor: Visitor) -> None:
    visitor.example("moments", 0)
    visitor.press("moments-go")
    visitor.result("moments-result", ".oc-span")
    visitor.tab.locator("#moments-csv").wait_for()


def use_watch(visitor: Visitor) -> None:
    visitor.tab.locator("#watch-examples button").first.click()
    visitor.heard("watch-sound")
    visitor.press("watch-go")
    visitor.result("watch-result", ".oc-over")


def use_teach(visitor: Visitor) -> None:
    visitor.tab.locator("#teach-k input[type=number]").fill("6")
    visitor.example("teach", 0, sound=False)
    visitor.press("teach-search")
    hits = visitor.result("teach-result", ".oc-hit")
    for place, name in enumerate(hits.locator("b").all_inner_texts()):
        hits.nth(place).locator(f"[data-mark={'yes' if 'bell' in name or 'telephone' in name else 'no'}]").click()
    visitor.press("teach-go")
    visitor.result("teach-result", ".oc-ready")
    visitor.tab.locator("#teach-download").wait_for()


def use_library(visitor: Visitor) -> None:
    visitor.press("library-example")
    visitor.result("library-report", ".oc-ready")
    visitor.result("library-holds", ".oc-facts")
    visitor.press("library-map-go")
    visitor.result("library-map", "circle")


USES: dict[str, Any] = {name: globals()[f"use_{name}"] for name in NAMES}

if __name__ == "__main__":
    main()
