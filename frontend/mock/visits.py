"""A tab of Chromium, the made-up server, and what was found wrong: shared by everything that uses the page."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AXE = (HERE.parent / "node_modules/axe-core/axe.min.js").read_text()
OPTIONS = [
    "--headless",
    "--use-fake-device-for-media-stream",
    "--no-sandbox",
    "--disable-gpu",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ROW, HIT = ".body .row .name", ".relevance >> visible=true"
DROP = "([names, size]) => { const data = new DataTransfer(); for (const name of names) data.items.add(new File(['RIFF'.padEnd(size)], name, { type: 'audio/wav' })); for (const kind of ['dragover', 'drop']) document.body.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data })) }"
# What can be touched and is less than 40 px high or wide: a field counts with its label, a link with the room it adds to itself.
SMALL = """() => {
  const big = ({ width, height }) => width >= 39.5 && height >= 39.5;
  const room = (one) => { const { width, height, content } = getComputedStyle(one, '::after'); return content !== 'none' && big({ width: parseFloat(width), height: parseFloat(height) }); };
  const all = [...document.querySelectorAll('button, a, input, select, textarea, summary, [role=tab]')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().height > 2 && !one.matches('.skip'));
  return all.filter((one) => ![one, ...(one.labels ?? [])].some((part) => big(part.getBoundingClientRect())) && !room(one))
    .map((one) => `${one.getAttribute('aria-label') ?? one.innerText ?? one.name} ${one.className}`);
}"""
IMPACTS = ("critical", "serious", "moderate", "minor")
LOOKS = {
    "en": "English, light",
    "zh-dark": "中文, dark",
    "en-dark-phone": "English, dark, phone",
    "zh-phone": "中文, light, phone",
}
wrong: list[str] = []
looked: list[tuple[str, str, int, Counter[str]]] = []  # by axe: what, in which look, what it found right, what not


def check(what: str, holds: bool, more: object = "") -> None:
    """Print whether something holds, and remember it if not."""
    print("ok   " if holds else "WRONG", what, "" if holds else more)
    if not holds:
        wrong.append(what)


@contextmanager
def mock(port: int, *options: str) -> Iterator[str]:
    """Run the made-up server for a while → its address."""
    url = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen(
        ["node", str(HERE / "server.mjs"), "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).close()
                break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def write_report(file: Path, command: str) -> None:
    """Write what axe has found as a page of the documentation."""
    version = AXE[: AXE.index("\n")].split("v")[1].split()[0]
    names = list(dict.fromkeys(where for where, *_ in looked))
    looks = [look for look in LOOKS if any(name == look for _, name, *_ in looked)]
    lines = [
        "# Accessibility of the page", "",
        f"What [axe-core](https://github.com/dequelabs/axe-core) {version} finds by its rules of WCAG 2.0, 2.1 and 2.2 (A and AA) and its best practices, in a real Chromium: violations that are "
        f"{', '.join(IMPACTS)}, and in brackets how many checks of an element it passed. Written by `{command}`, over a made-up library; nothing here is written by hand.", "",
        "| | " + " | ".join(LOOKS[look] for look in looks) + " |", "|---" * (len(looks) + 1) + "|",
    ]  # fmt: skip
    for where in names:
        cells = []
        for look in looks:
            own = [(passed, found) for what, name, passed, found in looked if (what, name) == (where, look)]
            counts = [sum(found[impact] for _, found in own) for impact in IMPACTS]
            cells.append(f"{', '.join(map(str, counts))} ({sum(passed for passed, _ in own)})" if own else "–")
        lines.append(f"| {where} | " + " | ".join(cells) + " |")
    total = sum((found for *_, found in looked), Counter())
    lines += [
        "",
        f"Together: {', '.join(f'{total[impact]} {impact}' for impact in IMPACTS)}; {sum(passed for *_, passed, _ in looked)} checks passed.",
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Visit:
    """A tab of the browser, and what goes wrong in it."""

    def __init__(self, running: Any, url: str, *, zh: bool = False, dark: bool = False, phone: bool = False) -> None:
        self.context = running.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 860},
            locale="zh-CN" if zh else "en-US", color_scheme="dark" if dark else "light", is_mobile=phone, has_touch=phone,
        )  # fmt: skip
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(15_000)
        self.tab.on("pageerror", lambda error: wrong.append(f"error in the page: {error}"))
        self.tab.on("console", lambda said: "Content Security" in said.text and wrong.append(said.text))
        self.name = f"{'zh' if zh else 'en'}{'-dark' if dark else ''}{'-phone' if phone else ''}"
        self.tab.goto(url)

    def focus(self) -> str:
        """Say which row, or which element, has the focus."""
        return self.tab.evaluate(
            "(() => { const e = document.activeElement; return e.dataset.index ?? e.id ?? e.tagName })()"
        )

    def axe(self, where: str) -> None:
        """Let axe look at what is shown now."""
        self.tab.evaluate(AXE + ";0")
        found = self.tab.evaluate(
            "(rules) => axe.run(document, { iframes: false, runOnly: rules }).then((all) => [all.violations.map((one) => [one.id, one.impact, one.nodes.map((node) => node.target.join(' '))]), all.passes.reduce((sum, one) => sum + one.nodes.length, 0)])",
            RULES,
        )
        violations, passed = found
        looked.append((where, self.name, passed, Counter(impact for _, impact, _ in violations)))
        check(f"axe: {self.name} {where}", not violations, violations)
        if self.name.endswith("phone"):
            small = self.tab.evaluate(SMALL)
            check(f"{self.name} {where}: fingers hit everything", not small, small[:8])

    def drop(self, *names: str, size: int = 4) -> None:
        """Drop made-up files of so many bytes onto the page."""
        self.tab.evaluate(DROP, [list(names), size])

    def search(self, words: str) -> None:
        """Look for words."""
        self.tab.fill("#query", words)
        self.tab.press("#query", "Enter")

    def picture(self, folder: Path | None, name: str) -> None:
        """Take a picture, where pictures are wanted."""
        if folder:
            self.tab.mouse.move(0, 0)
            self.tab.wait_for_timeout(500)
            self.tab.screenshot(path=folder / f"{name}-{self.name}.png")
