"""Ten thousand files in Find, beside a bare page on the same machine: until rows are there, and until a key is answered.

    npm run build && python mock/measure.py [--files 10000] [--rounds 8]

Both pages come from the made-up server, in turns; the bare one has a field and one line that shows what was typed. Prints a table and a line of JSON. What
counts are the ratios: other work on the machine makes both slower.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from typing import Any

from playwright.sync_api import sync_playwright
from visits import OPTIONS, mock

WORDS = "rain on roof"
KEY = 300  # ms between the keys of a slow typist

# until a selector is there and was painted, since the navigation began
SHOWN = "(what) => new Promise((done) => { const look = () => document.querySelector(what) ? requestAnimationFrame(() => requestAnimationFrame((now) => done(now))) : requestAnimationFrame(look); look() })"
# for every key: until its letter was painted, and until what answers it was
WATCH = """([field, answer]) => {
  const keys = (window.keys_ = []);
  const box = document.querySelector(field);
  let now = null;
  const answered = (one) => requestAnimationFrame(() => requestAnimationFrame((at) => (one.answered ??= at - one.at)));
  if (answer) new MutationObserver(() => now && answered(now)).observe(document.querySelector(answer), { childList: true, characterData: true, subtree: true });
  else new PerformanceObserver((all) => { // rows: when those of what is written have come
    for (const { name, startTime } of all.getEntries()) if (now && name.includes("/files?") && startTime >= now.at && new URL(name).searchParams.get("text") === box.value.trim()) answered(now);
  }).observe({ type: "resource" });
  box.addEventListener("keydown", () => { keys.push((now = { at: performance.now(), painted: null, answered: null })) }, true);
  box.addEventListener("input", () => { const one = now; requestAnimationFrame(() => requestAnimationFrame((at) => (one.painted = at - one.at))) });
}"""
HOLES = """() => new Promise((done) => {
  const body = document.querySelector('.body');
  let [frames, holes] = [0, 0];
  const step = () => {
    body.scrollTop += 1500;
    requestAnimationFrame(() => {
      const { top, bottom } = body.getBoundingClientRect();
      const rows = [...body.querySelectorAll('.row')].map((row) => row.getBoundingClientRect()).filter((row) => row.bottom > top && row.top < bottom);
      holes += rows.reduce((sum, row) => sum + Math.min(row.bottom, bottom) - Math.max(row.top, top), 0) < bottom - top - 2 ? 1 : 0;
      ++frames < 200 ? step() : done([frames, holes]);
    });
  };
  step();
})"""


def visit(running: Any, url: str, row: str, field: str, answer: str) -> tuple[float, list[dict[str, float]], Any]:
    """Open a page and type → ms until it is there, and of each key."""
    tab = running.new_context(viewport={"width": 1280, "height": 860}).new_page()
    tab.goto(url, wait_until="commit")
    there = float(tab.evaluate(SHOWN, row))
    tab.evaluate(WATCH, [field, answer])
    tab.focus(field)
    for key in WORDS:
        tab.keyboard.press(key)
        tab.wait_for_timeout(KEY)
    return there, tab.evaluate("window.keys_"), tab


def main() -> None:
    """Measure both in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    found: dict[str, dict[str, list[float]]] = {
        name: {"bare": [], "find": []} for name in ("there", "painted", "answered")
    }
    holes = [0, 0]
    with mock(8345, "--files", str(args.files)) as url, sync_playwright() as play:
        running = play.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=OPTIONS, env=clean)  # fmt: skip
        for _ in range(args.rounds):
            for name, (address, row, field, answer) in {
                "bare": (f"{url}bare", "#field", "#field", "#typed"),
                "find": (url, ".body .row .name", "#filter", ""),
            }.items():
                there, keys, tab = visit(running, address, row, field, answer)
                found["there"][name].append(there)
                for what in ("painted", "answered"):
                    found[what][name] += [one[what] for one in keys if (one[what] or 0) > 0]
                if name == "find":
                    tab.fill("#filter", "")
                    tab.wait_for_timeout(600)
                    holes = [a + b for a, b in zip(holes, tab.evaluate(HOLES), strict=True)]
                tab.context.close()
        running.close()
    names = {
        "there": "page, until rows (a field) are there",
        "painted": "a key, until its letter is seen",
        "answered": "a key, until rows (a line) answer",
    }
    before = [one for one in found["answered"]["find"] if one < KEY]
    report: dict[str, Any] = {}
    print(f"{'':40}{'bare ms':>10}{'Find ms':>10}{'ratio':>8}{'95 of 100':>12}")
    for what, both in found.items():
        bare, own = (statistics.median(both[name]) for name in ("bare", "find"))
        late = sorted(both["find"])[int(len(both["find"]) * 0.95)]
        report[what] = {
            "bare_ms": round(bare),
            "find_ms": round(own),
            "ratio": round(own / bare, 1),
            "late_ms": round(late),
        }
        print(f"{names[what]:40}{bare:10.0f}{own:10.0f}{own / bare:8.1f}{late:12.0f}")
    print(f"keys answered before the next one, {KEY} ms later: {len(before)} of {len(found['answered']['find'])}")
    print(f"frames scrolled by 1500 px: {holes[0]}, with a hole: {holes[1]}")
    print(
        json.dumps(
            {
                **report,
                "frames": holes[0],
                "holes": holes[1],
                "files": args.files,
                "keys": len(found["answered"]["find"]),
                "in_time": len(before),
            }
        )
    )


if __name__ == "__main__":
    main()
