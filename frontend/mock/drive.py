"""Use the page in a real Chromium over the made-up library: by keyboard alone, in both languages, on a phone; with axe.

    npm run build && python mock/drive.py [FOLDER FOR PICTURES] [--report ../docs/accessibility.md]

Needs playwright for Python and Chromium (`CHROMIUM`, by default /usr/bin/chromium). Ends with 1 if something is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from drive_live import use_live
from drive_recording import use_recording
from drive_teach import use_teach
from playwright.sync_api import sync_playwright
from visits import HIT, OPTIONS, ROW, Visit, check, mock, write_report, wrong


def by_keyboard(running: Any, url: str) -> None:
    """From the query to the results, hearing, ticking, more like this; nothing is clicked."""
    visit = Visit(running, url)
    tab, press = visit.tab, visit.tab.keyboard.press
    tab.wait_for_selector(ROW)
    press("/")
    check("/ goes to the query", visit.focus() == "query", visit.focus())
    tabs = 0
    while tabs < 9 and not visit.focus().isdigit():
        press("Tab")
        tabs += 1
    check("three Tabs from the query to the first row", tabs <= 3, tabs)
    press("Escape")
    tab.keyboard.type("rain + wind")
    press("Enter")
    tab.wait_for_selector(HIT)
    check("the words are in the URL", "q=rain" in tab.url, tab.url)
    tab.wait_for_timeout(400)
    check("the number of results is told", "50 results" in tab.locator("p[role=status]").inner_text())
    press("ArrowDown")
    tab.wait_for_timeout(100)
    check("↓ goes from the query to the first result", visit.focus() == "0", visit.focus())
    press("Space")
    tab.wait_for_selector(".player [aria-label=Pause]")
    first = tab.locator(".player .name").inner_text()
    press("ArrowDown")
    tab.wait_for_function("before => document.querySelector('.player .name').innerText !== before", arg=first)
    check("↓ plays the next", True)
    press("f")
    tab.wait_for_selector('[data-index="1"] .star.on')
    press("f")
    tab.wait_for_selector('[data-index="1"] .star:not(.on)')
    press("x")
    check("X ticks", tab.locator(".tray b").inner_text() == "1 sound ticked")
    press("End")
    tab.wait_for_timeout(300)
    check("End goes to the last", visit.focus() == "49", visit.focus())
    press("Enter")
    tab.wait_for_function("() => location.search.includes('like=')")
    tab.wait_for_selector(".token")
    tab.wait_for_timeout(500)
    check("Enter is more like this, and the focus stays in the list", visit.focus() == "0", visit.focus())
    tab.go_back()
    tab.wait_for_function("() => document.querySelector('#query').value === 'rain + wind'")
    tab.wait_for_timeout(700)
    check("Back is where the list was left", visit.focus() == "49", visit.focus())
    press("Escape")
    check("Esc goes back to the query", visit.focus() == "query", visit.focus())
    where_the_focus_goes(visit)


def where_the_focus_goes(visit: Visit) -> None:
    """It stays, or goes to what is around, when what has it goes away; the head can be skipped."""
    tab, press = visit.tab, visit.tab.keyboard.press
    with tab.expect_download():
        tab.press(".tray >> text=ZIP", "Enter")
    tab.wait_for_selector(".tray >> text=openclap.zip is saved, with 1 sound.")
    check("what was pressed keeps the focus", tab.locator(".tray button:focus").inner_text() == "ZIP")
    tab.press(".tray >> text=Untick all", "Enter")
    tab.wait_for_selector("main.find:focus")
    press("ArrowDown")
    tab.wait_for_selector(".row:focus")
    check("what goes away leaves the focus to the place, and ↓ leads to the list", True)
    press("o")
    tab.wait_for_selector(".picture:focus")
    check("a sound that is opened has the focus", True)
    tab.reload()
    tab.wait_for_selector(".picture")
    press("Tab")
    press("Enter")
    check("one Tab and Enter skip the head", tab.locator("main.recording:focus").count() == 1)


def what_is_said(running: Any, url: str) -> None:
    """Errors beside what they belong to, and gone with the next try; unknown words; the line; nothing likely."""
    visit = Visit(running, url)
    tab = visit.tab
    tab.wait_for_selector(ROW)
    visit.search("error")
    tab.wait_for_selector(".notice >> text=cannot be searched for")
    visit.search("lost")
    tab.wait_for_selector(".notice >> text=cannot be reached")
    visit.search("rain")
    tab.wait_for_selector(HIT)
    check("an error goes with the next try", tab.locator(".notice").count() == 0)
    visit.search("asdf")
    tab.wait_for_selector(".first >> text=likely")
    visit.search("Hundegebell")
    tab.locator(".first .plain").click()
    tab.wait_for_function("() => document.querySelector('#query').value === 'dog'")
    tab.goto(url + "?q=door&k=500&folder=Doors")
    tab.wait_for_selector(HIT)
    tab.focus("#query")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("End")
    tab.wait_for_timeout(400)
    tab.goto(url + "?text=strange")
    tab.wait_for_selector(ROW)
    check("names are text", tab.locator("img").count() == 0)
    tab.route("**/v1/library/files*", lambda route: route.abort())
    tab.reload()
    tab.wait_for_selector(".notice >> text=cannot be reached")
    tab.unroute("**/v1/library/files*")
    tab.get_by_text("Try again").click()
    tab.wait_for_selector(ROW)
    check("Try again reads the library", tab.locator(".notice").count() == 0)


def dragged_and_dropped(running: Any, url: str) -> None:
    """A row dragged out; several sounds dropped, then one."""
    visit = Visit(running, url)
    tab = visit.tab
    tab.wait_for_selector(ROW)
    data = tab.evaluate(
        "() => { const data = new DataTransfer(); document.querySelector('[data-index=\"7\"]').dispatchEvent(new DragEvent('dragstart', { bubbles: true, dataTransfer: data })); dispatchEvent(new DragEvent('dragend')); return data.getData('DownloadURL') }"
    )
    check(
        "a row can be dragged out", data.startswith("application/octet-stream:") and "/v1/library/audio?" in data, data
    )
    tab.locator(".c-tick input").nth(1).click()
    tab.locator(".c-tick input").nth(2).click()
    data = tab.evaluate(
        "() => { const data = new DataTransfer(); document.querySelector('.row.ticked').dispatchEvent(new DragEvent('dragstart', { bubbles: true, dataTransfer: data })); dispatchEvent(new DragEvent('dragend')); return data.getData('DownloadURL') }"
    )
    check("ticked rows are dragged out as one", "openclap.zip:" in data and data.count("path=") == 2, data)
    visit.drop("a.wav", "b.wav")
    tab.wait_for_selector("dialog[open] >> text=2 sounds to add")
    tab.get_by_text("Add them").click()
    tab.wait_for_selector(".report >> text=40 added")
    tab.keyboard.press("Escape")
    visit.drop("<b>mine</b>.wav")
    tab.wait_for_selector(HIT)
    check("a dropped sound is searched by", tab.locator(".token bdi").inner_text() == "<b>mine</b>.wav")


def map_and_tray(running: Any, url: str, folder: Path | None) -> None:
    """Points by keys, a walk, a lasso, a file of what is ticked."""
    visit = Visit(running, url + "?view=map")
    tab = visit.tab
    tab.wait_for_selector("canvas")
    tab.wait_for_timeout(900)
    tab.focus("canvas")
    for key in ("ArrowRight", "x", "ArrowDown", "x", "Enter"):
        tab.keyboard.press(key)
    tab.wait_for_selector(".player")
    check("arrow keys go from point to point", tab.locator(".tray b").inner_text() == "2 sounds ticked")
    tab.get_by_text("Walk from A to B").click()
    tab.wait_for_selector(".above >> text=Walk from")
    visit.picture(folder, "walk")
    tab.get_by_role("button", name="Lasso").click()
    box = tab.locator("canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x - 200, y - 150)
    tab.mouse.down()
    for right, down in ((200, -150), (200, 150), (-200, 150)):
        tab.mouse.move(x + right, y + down, steps=4)
    tab.mouse.up()
    tab.wait_for_timeout(200)
    check("a lasso ticks", int(tab.locator(".tray b").inner_text().split()[0].replace(",", "")) > 2)
    tab.locator(".tray").get_by_role("button", name="Collect").click()
    tab.locator(".panel input[name=collection]").fill("act two")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".tray >> text=in “act two” now")
    with tab.expect_download() as saved:
        tab.locator(".tray").get_by_text("CSV").click()
    check("ticked sounds become a file", saved.value.suggested_filename == "openclap.csv")


def tick_all(visit: Visit) -> None:
    """On a phone all results are ticked by one box, even on the narrowest."""
    tab, some = visit.tab, visit.tab.locator(".tray b").inner_text()
    tab.set_viewport_size({"width": 360, "height": 740})
    box = tab.locator(".tick-all input")
    check(f"{visit.name} one of all is ticked", box.evaluate("box => box.indeterminate"))
    box.tap()
    check(f"{visit.name} all are ticked", "50" in tab.locator(".tray b").inner_text() and box.is_checked())
    aligned = "[...document.querySelectorAll('.tick-all input, .body .c-tick input')].slice(0, 2).map((one) => one.getBoundingClientRect().x)"
    check(f"{visit.name} the box lies above those of the rows", len({round(x) for x in tab.evaluate(aligned)}) == 1)
    one_line = "document.querySelector('.above').getBoundingClientRect().height < 60"
    check(f"{visit.name} what is above the list is one line", tab.evaluate(one_line))
    check(f"{visit.name} nothing is wider than 360 px", tab.evaluate("document.scrollingElement.scrollWidth <= 360"))
    box.tap()
    check(f"{visit.name} none is ticked", tab.locator(".tray").count() == 0 and "1" in some)
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.locator(".body .c-tick input").nth(1).click()


def seen_by_all(running: Any, url: str, empty: str, folder: Path | None) -> None:
    """Every place in both languages and lights, on a screen and a phone: axe, and pictures."""
    for zh, dark, phone in ((False, False, False), (True, True, False), (False, True, True), (True, False, True)):
        visit = Visit(running, url, zh=zh, dark=dark, phone=phone)
        tab = visit.tab
        tab.wait_for_selector(".body .wave:not(.waiting)")
        visit.picture(folder, "library")
        visit.axe("library")
        visit.search("rain")
        tab.wait_for_selector(HIT)
        tab.locator(".c-tick input").nth(2).click()
        tab.locator(".body .c-play button").first.click()
        tab.wait_for_selector(".player")
        visit.picture(folder, "search")
        visit.axe("search, tray, player")
        if phone:
            tick_all(visit)
        buttons = tab.locator("button[popovertarget]:visible")
        for number in range(buttons.count()):
            buttons.nth(number).click()
            tab.wait_for_timeout(100)
            visit.axe(f"menu {number}")
            tab.keyboard.press("Escape")
        for name, address in (("map", f"{url}?view=map"), ("empty", empty)):
            tab.goto(address)
            tab.wait_for_selector({"map": "canvas", "empty": ".empty-library"}[name])
            tab.wait_for_timeout(600)
            visit.picture(folder, name)
            visit.axe(name)
            wide = tab.evaluate("document.scrollingElement.scrollWidth > innerWidth")
            check(f"{visit.name} {name} is no wider than the screen", not wide)
        visit.context.close()


def main() -> int:
    """Use everything once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    folder = args.folder
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with mock(8341) as url, mock(8342, "--files", "0") as empty, sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=OPTIONS, env=clean
        )
        by_keyboard(running, url)
        what_is_said(running, url)
        dragged_and_dropped(running, url)
        map_and_tray(running, url, folder)
        use_recording(running, url, folder)
        use_live(running, url, folder)
        use_teach(running, url, folder)
        seen_by_all(running, url, empty, folder)
        running.close()
    if args.report:
        write_report(args.report, "python mock/drive.py --report ../docs/accessibility.md")
    print("\n".join(["", *wrong]) if wrong else "all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
