"""The place Teach, used as a visitor would: by keyboard alone, with files, with what is ticked; kept, tried, renamed; what goes wrong.

python mock/drive_teach.py [FOLDER FOR PICTURES]     this place alone
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from drive_stage import log
from playwright.sync_api import sync_playwright
from visits import OPTIONS, ROW, Visit, check, mock, wrong

LOOKS = ((False, False, False), (True, True, False), (False, True, True), (True, False, True))
DROP_NO = "(name) => { const data = new DataTransfer(); data.items.add(new File(['RIFF'], name, { type: 'audio/wav' })); document.querySelector('[data-drop=no]').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data })) }"


def use_teach(running: Any, url: str, folder: Path | None = None, readonly: str | None = None) -> None:
    """All of it."""
    by_keyboard(running, url)
    examples(running, url)
    from_other_places(running, url)
    kept_ones(running, url)
    what_goes_wrong(running, url)
    if readonly:
        by_others(running, readonly)
    seen_by_all(running, url, folder)


def count(visit: Visit, kind: str) -> int:
    """Say how many examples there are, `yes` or `no`."""
    return int(visit.tab.locator(f".marked.{kind} .example").count())


def asked(visit: Visit) -> str:
    """Say which sound is asked about."""
    visit.tab.wait_for_selector(".asked .name")
    return str(visit.tab.locator(".asked .name").inner_text())


def by_keyboard(running: Any, url: str) -> None:
    """A name, answers by Y, N, S and Z, and what comes of them."""
    visit = Visit(running, url + "?place=teach")
    tab, press = visit.tab, visit.tab.keyboard.press
    tab.wait_for_selector("#teach-name")
    press("/")
    check("/ goes to the name", visit.focus() == "teach-name")
    tab.keyboard.type("bark")
    press("Enter")
    first = asked(visit)
    check("name in the URL", "named=bark" in tab.url, tab.url)
    check("the question has the focus", "bark" in tab.locator("section:focus h3").inner_text())
    check("what fits the words is asked first", "bark" in first, first)
    tab.wait_for_selector(".asked [aria-label^=Pause]")
    check("it is played", True)
    press("Space")
    tab.wait_for_selector(".asked [aria-label^=Play]")
    press("y")
    tab.wait_for_selector(".quality .first >> text=Still needed")
    check("Y is an example", count(visit, "yes") == 1)
    check("another one is asked", asked(visit) != first)
    before = asked(visit)
    press("s")
    check("S skips", asked(visit) != before and count(visit, "yes") + count(visit, "no") == 1)
    press("y")
    press("n")
    press("n")
    tab.wait_for_selector(".quality table")
    check("N is a counter-example", count(visit, "no") == 2)
    check("few examples are said to be few", tab.locator(".quality .first").count() == 1)
    press("z")
    tab.wait_for_function("() => document.querySelectorAll('.marked.no .example').length === 1")
    check("Z takes back", True)
    press("n")
    tab.wait_for_selector(".quality table")
    check("the ranking is shown", tab.locator(".taught-hits li").count() == 24)
    tab.wait_for_selector("[role=status][aria-live=polite] >> text=Taught: right 80 %", state="attached")
    check("it is told", True)
    tab.reload()
    tab.wait_for_selector(".quality table")
    check("a reload loses nothing", count(visit, "yes") == 2 and count(visit, "no") == 2)
    tab.keyboard.press("?")
    tab.wait_for_selector("dialog[open] >> text=take the last answer back")
    tab.keyboard.press("Escape")
    used(visit, url)
    visit.context.close()


def used(visit: Visit, url: str) -> None:
    """Keep it, search with it, begin anew."""
    tab = visit.tab
    tab.get_by_role("button", name="Keep it").click()
    tab.wait_for_selector(".use >> text=is kept")
    check("kept under its name", any(one.startswith("keep bark") for one in log(visit, url)))
    check("then it would be replaced", tab.get_by_role("button", name="Replace “bark”").count() == 1)
    tab.locator(".use").get_by_role("button", name="Search with it").click()
    tab.wait_for_selector(".token")
    check("it is searched with by its name", "taught=bark" in tab.url, tab.url)
    tab.wait_for_selector(ROW)
    tab.go_back()
    tab.wait_for_selector(".quality table")
    tab.get_by_role("button", name="Start anew").click()
    tab.wait_for_selector(".quality >> text=Nothing is taught yet")
    check("begun anew", count(visit, "yes") == 0 and "named" not in tab.url, tab.url)


def examples(running: Any, url: str) -> None:
    """Files that are dropped and chosen, a broken one among them; turned, cut, removed; tried on a recording."""
    visit = Visit(running, url + "?place=teach")
    tab = visit.tab
    tab.wait_for_selector("#teach-name")
    visit.drop("bell one.wav", "broken.wav", "bell two \u202egnp.wav")
    tab.wait_for_selector(".example.bad >> text=holds no audio")
    check("a broken file is named, the others go on", count(visit, "yes") == 3)
    tab.evaluate(DROP_NO, "rain.wav")
    tab.wait_for_selector(".marked.no .example")
    check("dropped where it is not", count(visit, "no") == 1)
    tab.get_by_role("button", name="Choose files that are not").click()
    tab.locator(".marked.no input[type=file]").set_input_files(
        [{"name": "wind.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}]
    )
    tab.wait_for_function("() => document.querySelectorAll('.marked.no .example').length === 2")
    check("no name is needed to begin", any("my sound" in one for one in log(visit, url)))
    tab.get_by_role("button", name="Remove broken.wav").click()
    check("removed", count(visit, "yes") == 2)
    tab.get_by_role("button", name="Part of bell one.wav").click()
    tab.locator(".panel input[name=start]").fill("0.5")
    tab.locator(".panel input[name=end]").fill("1.5")
    tab.locator(".panel .primary").click()
    tab.wait_for_selector(".marked.yes small >> text=0:00 – 0:01")
    check("cut to a part", True)
    tab.get_by_role("button", name="wind.wav: it is", exact=True).click()
    check("turned", count(visit, "yes") == 3 and count(visit, "no") == 1)
    tab.wait_for_selector(".use")
    tab.locator(".trial input[type=file]").set_input_files(
        [{"name": "evening.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}]
    )
    tab.wait_for_selector(".trial b >> text=Heard in evening.wav: 83 %")
    check("tried on a recording, with places", tab.locator(".trial ol button").count() > 0)
    with tab.expect_download() as saved:
        tab.locator(".use").get_by_role("button", name="Download").click()
    check("downloaded", saved.value.suggested_filename == "my sound.safetensors", saved.value.suggested_filename)
    visit.context.close()


def from_other_places(running: Any, url: str) -> None:
    """What is ticked in Find; the part of a recording that is seen; taught sounds in a search and on a recording."""
    visit = Visit(running, url + "?text=bark")
    tab = visit.tab
    tab.wait_for_selector(ROW)
    for i in range(3):
        tab.locator(".c-tick input").nth(1 + i).click()
    tab.get_by_role("button", name="Teach with these").click()
    tab.wait_for_selector(".marked.yes .example")
    check("ticked sounds are examples", count(visit, "yes") == 3)
    tab.get_by_role("link", name="Recording").first.click()
    visit.drop("ten minutes.wav")
    tab.wait_for_selector(".picture")
    for _ in range(3):
        tab.get_by_role("button", name="Zoom in").click()
    tab.get_by_role("button", name="Teach with the part").click()
    tab.wait_for_selector(".marked.yes .example >> text=ten minutes.wav")
    check("the part that is seen is an example", "–" in tab.locator(".marked.yes .example small").last.inner_text())
    tab.get_by_role("link", name="Recording").first.click()
    tab.locator("#tab-classify").click()
    tab.get_by_role("button", name="Which taught sounds are heard?").click()
    tab.wait_for_selector("#panel-classify .bars li >> text=our doorbell")
    check("taught sounds are asked of a recording", tab.locator("#panel-classify .bars b").count() == 0)
    tab.locator("#tab-moments").click()
    tab.locator("#panel-moments .check input").first.check()
    tab.locator("#panel-moments textarea").fill("")
    tab.locator("#panel-moments .primary").click()
    tab.wait_for_selector("#panel-moments .span")
    check("and where they are", True)
    tab.get_by_role("link", name="Find").first.click()
    tab.get_by_role("button", name="Options").click()
    tab.locator(".panel select").nth(2).select_option("our doorbell")
    tab.wait_for_selector(".token >> text=our doorbell")
    check("searched by what was taught", "taught=our" in tab.url, tab.url)
    visit.context.close()


def kept_ones(running: Any, url: str) -> None:
    """Renamed, taught anew, sent, forgotten."""
    visit = Visit(running, url + "?place=teach")
    tab = visit.tab
    tab.wait_for_selector(".taught-one")
    check("names are text", tab.locator(".taught b").count() == 0)
    check("one that is broken is named", tab.locator(".taught-one .first >> text=broken").count() == 1)
    tab.get_by_role("button", name="Rename our doorbell").click()
    tab.locator(".panel input").fill("门铃")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".taught-one bdi >> text=门铃")
    check("renamed", True)
    tab.get_by_role("button", name="Teach old one anew").click()
    tab.wait_for_selector(".taught >> text=is taught anew: found 100 %")
    check("taught anew for this model", tab.get_by_role("button", name="Search with old one").count() == 1)
    for content, said in ((b"no detector", "the file is not taken"), (b"detector", "“from a file” is added")):
        tab.locator(".taught input[type=file]").set_input_files(
            [{"name": "x.safetensors", "mimeType": "application/octet-stream", "buffer": content}]
        )
        tab.wait_for_selector(f".taught >> text={said}")
    check("a file is sent", True)
    tab.get_by_role("button", name="Forget from a file").click()
    tab.locator(".panel .primary").click()
    tab.wait_for_selector(".taught >> text=“from a file” is forgotten")
    check("forgotten", tab.locator(".taught-one bdi >> text=from a file").count() == 0)
    visit.context.close()


def what_goes_wrong(running: Any, url: str) -> None:
    """An error of the server, a recording it has forgotten, a lost connection."""
    visit = Visit(running, url + "?place=teach&named=error")
    tab = visit.tab
    tab.wait_for_selector("#teach-name")
    visit.drop("bell.wav")
    tab.wait_for_selector(".quality .notice >> text=say which it is")
    visit.drop("soon lost.wav")
    tab.fill("#teach-name", "bell")
    tab.press("#teach-name", "Enter")
    tab.wait_for_selector(".quality >> text=Taught by")
    check("the problem goes when it is tried again", tab.locator(".quality .notice").count() == 0)
    tab.wait_for_timeout(1700)
    visit.drop("bell two.wav")
    tab.wait_for_selector(".example.bad >> text=upload it again")
    check("what is lost is named", True)
    tab.route("**/v1/teach", lambda route: route.abort())
    visit.drop("bell three.wav")
    tab.wait_for_selector(".quality .notice >> text=cannot be reached")
    tab.unroute("**/v1/teach")
    tab.locator(".quality .notice button").click()
    tab.wait_for_selector(".quality >> text=Taught by")
    check("and it goes on", True)
    tab.fill("#teach-name", "a bell")
    tab.locator("#teach-words").focus()
    tab.wait_for_selector(".ask-one h3 >> text=a bell")
    check("another name for the same examples", "named=a+bell" in tab.url and count(visit, "yes") >= 3, tab.url)
    visit.context.close()


def by_others(running: Any, url: str) -> None:
    """Where visitors may not manage, nothing is kept; the file can be taken."""
    visit = Visit(running, url + "?place=teach&named=bark")
    tab = visit.tab
    asked(visit)
    tab.keyboard.press("y")
    tab.wait_for_selector(".use")
    check("nothing is kept", tab.get_by_role("button", name="Keep it").count() == 0)
    check("it is said", tab.locator(".use >> text=Only the owner").count() == 1)
    visit.context.close()


def seen_by_all(running: Any, url: str, folder: Path | None) -> None:
    """In both languages and lights, on a screen and a phone: axe, and pictures."""
    for zh, dark, phone in LOOKS:
        visit = Visit(running, f"{url}?place=teach", zh=zh, dark=dark, phone=phone)
        tab = visit.tab
        tab.wait_for_selector(".taught-one")
        visit.picture(folder, "teach-empty")
        visit.axe("teach, empty")
        tab.fill("#teach-name", "bark")
        tab.press("#teach-name", "Enter")
        for key in "yyyynn":
            asked(visit)
            tab.keyboard.press(key)
            tab.wait_for_timeout(60)
        visit.drop("bell one with quite a long name indeed that has no end.wav", "broken.wav")
        tab.wait_for_selector(".example.bad")
        tab.wait_for_selector(".quality table")
        visit.picture(folder, "teach")
        visit.axe("teach")
        if phone:
            tab.locator(".quality").scroll_into_view_if_needed()
            visit.picture(folder, "teach-good")
        wide = tab.evaluate(
            "document.scrollingElement.scrollWidth > innerWidth || document.querySelector('.teach').scrollWidth > innerWidth"
        )
        check(f"{visit.name} teach is no wider than the screen", not wide)
        tab.locator(".example button[popovertarget]").first.click()
        tab.wait_for_timeout(100)
        visit.axe("teach, part")
        tab.keyboard.press("Escape")
        tab.locator(".taught-one button[popovertarget]").first.click()
        tab.wait_for_timeout(100)
        visit.axe("teach, rename")
        visit.context.close()


def main() -> int:
    """Use this place alone."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with mock(8345) as url, mock(8346, "--readonly") as readonly, sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=OPTIONS, env=clean
        )
        use_teach(running, url, folder, readonly)
        running.close()
    print("\n".join(["", *wrong]) if wrong else "all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
