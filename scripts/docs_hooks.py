"""What mkdocs does beside its usual work.

Pages that lie outside of docs/ are part of the site, and links to them lead there. What a page loads from another host is an error of
a strict build: the site is readable without a network.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

log = logging.getLogger("mkdocs.hooks")
LOADED = re.compile(
    r"<(?:script|img|iframe|link(?![^>]*rel=.?canonical))\b[^>]*(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)"
)
ROOT = Path(__file__).parent.parent
OUTSIDE = {  # page of the site: file of the repository
    "mini-card.md": "src/openclap/weights/mini/README.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "LOG.md": "LOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside."""
    for page, path in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links between docs/ and the outside to the pages of the site."""
    outside = page.file.src_path in OUTSIDE
    for name, path in OUTSIDE.items():
        markdown = markdown.replace(f"](../{path}", f"]({name}")
    return markdown.replace("](docs/", "](") if outside else markdown


def on_post_page(output: str, page: Any, **_: Any) -> None:
    """Name what is loaded from elsewhere."""
    for address in LOADED.findall(output):
        log.warning("%s loads %s: the site must be readable without a network", page.file.src_path, address)
