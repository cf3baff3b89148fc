"""The place Recording, used as a visitor would: uploads, zoom and play, the four questions, Stop, files, what is lost.

python mock/drive_recording.py [FOLDER FOR PICTURES]     this place alone
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from drive_stage import an_hour, by_keyboard, log, with_fingers
from playwright.sync_api import sync_playwright
from visits import OPTIONS, ROW, Visit, check, mock, wrong

LOOKS = ((False, False, False), (True, True, False), (False, True, True), (True, False, True))


def use_recording(running: Any, url: str, folder: Path | None = None) -> None:
    """All of it."""
    from_find(running, url)
    by_keyboard(running, url)
    questions(running, url)
    what_goes_wrong(running, url)
    an_hour(running, url)
    with_fingers(running, url)
    seen_by_all(running, url, folder)


def from_find(running: Any, url: str) -> None:
    """From a row by key and by button, from the player; the tasks of the head; back to the list."""
    visit = Visit(running, url + "?text=kick")
    tab = visit.tab
    tab.wait_for_selector(ROW)
    tab.focus("#query")
    tab.keyboard.press("ArrowDown")
    tab.wait_for_timeout(200)
    name = tab.locator('[data-index="0"] .name').first.inner_text()
    tab.keyboard.press("r")
    tab.wait_for_selector(".picture")
    check("R opens the row in Recording", tab.locator(".about .name").inner_text() == name)
    check("its id and path are in the URL", "&id=" in tab.url and "&of=" in tab.url, tab.url)
    tab.wait_for_selector(".sentence")
    check("a short sound is described at once", True)
    address = tab.url
    tab.go_back()
    tab.wait_for_selector(ROW)
    check("Back is the list", "place=" not in tab.url, tab.url)
    tab.locator('[data-index="1"]').hover()
    tab.locator('[data-index="1"] .c-play button').click()
    tab.locator(".player [aria-label^='Open']").click()
    tab.wait_for_function("() => document.querySelector('.picture')")
    check("one player at a time", tab.locator(".player").count() == 0)
    tab.goto(address.replace("&id=", "&id=gone"))
    tab.wait_for_selector(".picture")
    check("a lost sound of the library opens anew", "gone" not in tab.url, tab.url)
    tab.goto(url)
    tab.get_by_role("link", name="Audio–text matching").click()
    check("the task opens its tool", tab.locator("#tab-match").get_attribute("aria-selected") == "true")
    tab.get_by_role("link", name="Zero-shot classification").click()
    check("and the other one", tab.locator("#tab-classify").get_attribute("aria-selected") == "true")
    with tab.expect_file_chooser() as chosen:
        tab.keyboard.press("Tab")
        tab.locator("#panel-classify input").focus()
        tab.keyboard.press("Enter")
    chosen.value.set_files([{"name": "asked before.wav", "mimeType": "audio/wav", "buffer": b"RIFF"}])
    tab.wait_for_selector("#panel-classify .bars li")
    check("a question without a recording asks for one, and is then answered", True)


def questions(running: Any, url: str) -> None:
    """Commas of both languages, order, unknown words, silence, tracks, files."""
    visit = Visit(running, url + "?place=recording&tool=classify")
    tab = visit.tab
    visit.drop("two tracks.wav")
    tab.wait_for_selector(".picture")
    tab.fill("#panel-classify input", "dog, rain，siren、a door, dog")
    tab.locator("#panel-classify .primary").click()
    tab.wait_for_selector("#panel-classify .bars li")
    check("commas of both languages part labels", tab.locator(".bars li").count() == 4)
    shares = [int(one.split()[0]) for one in tab.locator(".bars .share").all_text_contents()]
    check("labels come high to low", shares == sorted(shares, reverse=True), shares)
    tab.locator(".track select").select_option("2")
    check("another track forgets the answers", tab.locator(".bars").count() == 0)
    tab.locator("#tab-match").click()
    tab.fill("#panel-match textarea", "Hundegebell\nrain")
    tab.locator("#panel-match .primary").click()
    tab.locator("#panel-match .first .plain").first.click()
    tab.wait_for_function("() => document.querySelector('#panel-match textarea').value.startsWith('dog')")
    check("the track is asked for", any('"track":2' in one for one in log(visit, url)))
    tab.locator("#tab-moments").click()
    tab.fill("#panel-moments textarea", "a dog\nasdf")
    tab.locator("#panel-moments .primary").click()
    tab.wait_for_selector("#panel-moments .first >> text=asdf")
    check("what is probably not there is said first", True)
    tab.get_by_role("button", name="By confidence").click()
    shares = [int(one.split()[0]) for one in tab.locator(".span .share").all_text_contents()]
    check("moments by confidence", shares == sorted(shares, reverse=True), shares)
    for kind, ending in (("CSV", "csv"), ("SRT", "srt"), ("WebVTT", "vtt"), ("Audacity", "txt"), ("JSON", "json")):
        tab.get_by_role("button", name="Export").click()
        with tab.expect_download() as saved:
            tab.locator(".panel .item", has_text=kind).click()
        name = saved.value.suggested_filename
        check(f"a file of {kind}", name == f"two tracks.{ending}", name)
    visit.drop("silent.wav")
    tab.wait_for_selector(".said-first >> text=silent")
    tab.locator("#tab-classify").click()
    tab.locator("#panel-classify .primary").click()
    tab.wait_for_selector("#panel-classify .first >> text=Nothing can be heard")
    check("silence is said in words", True)


def what_goes_wrong(running: Any, url: str) -> None:
    """A file that is no sound, Stop, an error, a recording that the server has forgotten."""
    visit = Visit(running, url + "?place=recording")
    tab = visit.tab
    visit.drop("too large.wav", size=3_000_000)
    tab.wait_for_selector(".notice >> text=takes 2 MB at most")
    visit.drop("broken.wav")
    tab.wait_for_selector(".notice >> text=holds no audio")
    visit.drop("a slow hour.wav", "another.wav")
    tab.wait_for_selector(".picture")
    check("the problem goes with the next sound", tab.locator(".notice >> text=holds no audio").count() == 0)
    tab.wait_for_selector(".notice >> text=the first of 2 sounds")
    tab.locator("#panel-describe .primary").click()
    tab.wait_for_selector(".question progress[value]")
    tab.wait_for_selector(".question .bar-line >> text=left")
    tab.locator(".question .bar-line button").click()
    tab.wait_for_selector(".question >> text=Stopped.")
    tab.wait_for_timeout(400)
    check("Stop ends the work of the server", any("was stopped" in one for one in log(visit, url)))
    tab.locator("#tab-classify").click()
    tab.fill("#panel-classify input", "error")
    tab.locator("#panel-classify .primary").click()
    tab.wait_for_selector("#panel-classify .notice >> text=holds an empty text")
    visit.drop("soon lost.wav")
    tab.wait_for_function("() => document.querySelector('.about .name')?.innerText === 'soon lost.wav'")
    check("an error goes with its recording", tab.locator("#panel-classify .notice").count() == 0)
    tab.wait_for_timeout(1700)
    tab.fill("#panel-classify input", "dog, rain")
    tab.locator("#panel-classify .primary").click()
    tab.wait_for_selector(".lost >> text=no longer has this recording")
    tab.get_by_role("button", name="Upload it again").click()
    tab.wait_for_selector(".about")
    check("what is lost is uploaded again", True)
    tab.goto(url + "?place=recording&id=gone")
    tab.wait_for_selector(".lost")
    check("a link to a lost recording says so", tab.get_by_role("button", name="Choose a sound").count() == 1)
    tab.route("**/v1/recordings/*/peaks*", lambda route: route.abort())
    visit.drop("no picture.wav")
    tab.wait_for_selector(".stage .notice >> text=cannot be reached")
    tab.wait_for_selector(".sentence")
    check("a sound without its picture is described all the same", True)


def seen_by_all(running: Any, url: str, folder: Path | None) -> None:
    """Every tool in both languages and lights, on a screen and a phone: axe, and pictures."""
    for zh, dark, phone in LOOKS:
        visit = Visit(running, f"{url}?place=recording", zh=zh, dark=dark, phone=phone)
        tab = visit.tab
        tab.wait_for_selector(".invitation")
        visit.picture(folder, "recording-empty")
        visit.axe("recording, empty")
        visit.drop("ten minutes \u202egnp <b>in town</b> with a very long name indeed.wav")
        tab.wait_for_selector(".picture")
        check("names are text", tab.locator(".about b").count() == 0)
        for tool in ("describe", "classify", "match", "moments"):
            tab.locator(f"#tab-{tool}").click()
            tab.locator(f"#panel-{tool} .primary").click()
            tab.wait_for_selector(f"#panel-{tool} .answer")
            tab.wait_for_timeout(200)
            visit.picture(folder, f"recording-{tool}")
            visit.axe(f"recording, {tool}")
            wide = tab.evaluate("document.scrollingElement.scrollWidth > innerWidth")
            check(f"{visit.name} {tool} is no wider than the screen", not wide)
        tab.locator("#panel-moments button[popovertarget]").click()
        tab.wait_for_timeout(100)
        visit.picture(folder, "recording-export")
        visit.axe("recording, export")
        visit.context.close()


def main() -> int:
    """Use this place alone."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with mock(8343) as url, sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=OPTIONS, env=clean
        )
        use_recording(running, url, folder)
        running.close()
    print("\n".join(["", *wrong]) if wrong else "all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
