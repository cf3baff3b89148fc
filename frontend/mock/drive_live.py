"""The place Live, used as a visitor would: a microphone (the browser's made-up one), alerts, clips, files, and all that goes wrong.

python mock/drive_live.py [FOLDER FOR PICTURES]     this place alone
"""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from visits import OPTIONS, Visit, check, mock, wrong

LOOKS = ((False, False, False), (True, True, False), (False, True, True), (True, False, True))
EVENT = ".live-event"
NO_DEVICES = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined }); Object.defineProperty(window, 'isSecureContext', { value: false })"
FAILS = "void (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}')))"


def use_live(running: Any, url: str, folder: Path | None = None) -> None:
    """All of it."""
    by_keyboard(running, url)
    what_is_wished(running, url)
    what_goes_wrong(running, url)
    a_recording(running, url)
    seen_by_all(running, url, folder)


def visited(running: Any, url: str, query: str = "", *, microphone: bool = True, **look: bool) -> Visit:
    """A visit whose microphone is allowed, or not."""
    visit = Visit(running, url, **look)
    visit.context.grant_permissions(["microphone"] if microphone else [], origin=url.rstrip("/"))
    visit.tab.goto(f"{url}?place=live&lang={'zh' if look.get('zh') else 'en'}{query}")
    visit.tab.wait_for_selector("#live-go")
    return visit


def by_keyboard(running: Any, url: str) -> None:
    """Listen, an event, its sound, Stop, with keys alone; in another place it goes on."""
    visit = visited(running, url, "&warmup=0")
    tab = visit.tab
    press = tab.keyboard.press
    press("/")
    check("/ is the field of alerts", visit.focus() == "live-alerts", visit.focus())
    press("Control+a")
    tab.keyboard.type("a dog, rain，siren、a dog")
    press("Enter")
    tab.wait_for_selector(EVENT)
    check("Enter listens, and an event is there", True)
    check("commas of both languages part alerts", tab.locator(".strip li").count() == 3)
    check("what is wished is in the URL", "alerts=a+dog" in tab.url and "warmup=0" in tab.url, tab.url)
    tab.wait_for_selector(f"{EVENT} button.span")
    tab.wait_for_selector(".now .tag")
    tab.locator(f"{EVENT} button.span").first.focus()
    press("Enter")
    tab.wait_for_selector(f"{EVENT} [aria-pressed=true]")
    check("Enter on an event plays it", True)
    press("Tab")
    with tab.expect_download() as saved:
        press("Enter")
    check(
        "the next key saves it", saved.value.suggested_filename.startswith("a dog 20"), saved.value.suggested_filename
    )
    check("it is a sound", Path(saved.value.path()).read_bytes()[:4] == b"RIFF")
    tab.get_by_role("link", name="Find").first.click()
    tab.wait_for_selector(".live-dot")
    check("it goes on in another place, and the head says so", True)
    tab.go_back()
    press("l")
    tab.wait_for_selector(".live-status >> text=Stopped.")
    check("L stops", tab.locator(EVENT).count() >= 1)
    for kind, begins in (
        ("CSV", b"\xef\xbb\xbfalert,start"),
        ("JSON", b'{"alert":"a dog"'),
        ("SRT", b"srt"),
        ("Audacity", b"audacity"),
    ):
        tab.locator(".live-events button[popovertarget]").click()
        with tab.expect_download() as saved:
            tab.locator(".panel .item", has_text=kind).click()
        check(
            f"a file of {kind}",
            Path(saved.value.path()).read_bytes().startswith(begins),
            saved.value.suggested_filename,
        )
    visit.context.close()


def what_is_wished(running: Any, url: str) -> None:
    """Threshold, detectors, unusual, examples in both languages, a change while it listens; kept for the next visit."""
    visit = visited(running, url)
    tab = visit.tab
    tab.get_by_role("button", name="Outdoors").click()
    tab.get_by_role("button", name="以中文显示").click()
    check("an example follows the language", "雷声" in tab.locator("#live-alerts").input_value())
    tab.get_by_role("button", name="Show in English").click()
    tab.locator(".live-form fieldset .check input").first.check()
    check("names of detectors are text", tab.locator(".live-form fieldset b").count() == 0)
    tab.get_by_label("Anything unusual").check()
    slider = tab.locator(".threshold input")
    slider.focus()
    for _ in range(4):
        tab.keyboard.press("ArrowLeft")
    check("the threshold says what it means", "50 %: maybe, too" in tab.locator(".threshold output").inner_text())
    tab.keyboard.press("l")
    tab.wait_for_selector(".live-status >> text=Learning")
    tab.fill("#live-alerts", "a siren")
    tab.get_by_role("button", name="Apply changes").click()
    tab.wait_for_selector(".strip li >> text=a siren")
    asked = [one for one in log(url) if one.startswith("watch {")][-2:]
    check(
        "detectors, threshold and unusual are asked for",
        all(part in asked[0] for part in ('"detectors":["', '"on":0.5', '"unusual":true')),
        asked,
    )
    check("a change is a watch anew", '"a siren"' in asked[1], asked)
    tab.goto(f"{url}?place=live")
    check("alerts are kept", tab.locator("#live-alerts").input_value() == "a siren")
    visit.context.close()


def what_goes_wrong(running: Any, url: str) -> None:
    """No leave, no microphone, no https; a lost connection, a full server, words that are refused."""
    visit = visited(running, url, microphone=False)
    visit.tab.click("#live-go")
    visit.tab.wait_for_selector(".notice >> text=may not use the microphone")
    visit.axe("live, denied")
    visit.context.close()
    for error, words in (("NotFoundError", "No microphone was found"), ("NotReadableError", "another program")):
        visit = visited(running, url)
        visit.tab.evaluate(FAILS.format(error))
        visit.tab.click("#live-go")
        visit.tab.wait_for_selector(f".notice >> text={words}")
        visit.context.close()
    visit = Visit(running, url)
    visit.context.add_init_script(NO_DEVICES)
    visit.tab.goto(url + "?place=live")
    visit.tab.wait_for_selector(".notice >> text=pages of https")
    check("without a microphone each cause is one sentence", True)
    visit.context.close()
    visit = visited(running, url, "&warmup=0&alerts=lost,rain")
    tab = visit.tab
    tab.click("#live-go")
    tab.wait_for_selector(".live-status >> text=connection to the server is lost", timeout=30_000)
    tab.wait_for_selector(".live-status .warn", state="detached", timeout=30_000)
    count = tab.locator(EVENT).count()
    tab.wait_for_selector(f"{EVENT} >> nth={count}", timeout=30_000)
    check(
        "after a lost connection it goes on by itself",
        tab.locator(".live .first").count() == 0,
        tab.locator(".live .first").all_inner_texts(),
    )
    visit.context.close()
    post(url + "mock/full")
    visit = visited(running, url, "&warmup=0")
    visit.tab.click("#live-go")
    visit.tab.wait_for_selector(".live-status >> text=as many watches as it takes")
    post(url + "mock/full")
    visit.tab.wait_for_selector(EVENT, timeout=30_000)
    check("a full server is said, and it begins when there is room", True)
    visit.tab.fill("#live-alerts", "error")
    visit.tab.get_by_role("button", name="Apply changes").click()
    visit.tab.wait_for_selector(".notice >> text=an alert is empty")
    check("what the server refuses is said in its words", visit.tab.locator(".live-go.on").count() == 0)
    visit.tab.fill("#live-alerts", " , ")
    visit.tab.click("#live-go")
    visit.tab.wait_for_selector(".notice >> text=nothing to listen for")
    visit.context.close()


def a_recording(running: Any, url: str) -> None:
    """Dropped onto the page, listened to, an event heard."""
    visit = visited(running, url, "&warmup=0&alerts=a dog")
    tab = visit.tab
    visit.drop("a minutes tape.wav")
    tab.wait_for_selector(".live-file bdi >> text=a minutes tape.wav")
    tab.click("#live-go")
    tab.wait_for_selector(".live-status >> text=Heard to its end", timeout=30_000)
    check("a recording is heard to its end", tab.locator(EVENT).count() == 5, tab.locator(EVENT).count())
    tab.locator(f"{EVENT} button.span").first.click()
    tab.wait_for_selector(f"{EVENT} [aria-pressed=true]")
    check("its part is played", True)
    visit.axe("live, recording")
    visit.context.close()


def seen_by_all(running: Any, url: str, folder: Path | None) -> None:
    """Both languages and lights, on a screen and a phone: axe, and pictures."""
    for zh, dark, phone in LOOKS:
        visit = visited(running, url, "&warmup=0&unusual=1", zh=zh, dark=dark, phone=phone)
        tab = visit.tab
        visit.picture(folder, "live-empty")
        visit.axe("live, empty")
        tab.locator(".live-more summary").click()
        visit.picture(folder, "live-more")
        visit.axe("live, more")
        tab.locator(".live-more summary").click()
        tab.click("#live-go")
        tab.wait_for_selector(f"{EVENT} button.span", timeout=30_000)
        tab.wait_for_selector(".now .tag")
        tab.wait_for_timeout(4500)
        visit.picture(folder, "live-listening")
        visit.axe("live, listening")
        wide = tab.evaluate(
            "document.scrollingElement.scrollWidth > innerWidth || document.querySelector('.live').scrollWidth > innerWidth"
        )
        check(f"{visit.name} live is no wider than the screen", not wide)
        if phone:
            check("events are seen without scrolling", tab.locator(EVENT).first.bounding_box()["y"] < 760)
        visit.context.close()


def log(url: str) -> list[str]:
    """What the server was asked."""
    import json

    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url + "log") as answer:
        found: list[str] = json.load(answer)
    return found


def post(url: str) -> None:
    """Ask the made-up server for something of its own."""
    request = urllib.request.Request(url, data=b"", method="POST")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


def main() -> int:
    """Use this place alone."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with mock(8344) as url, sync_playwright() as play:
        running = play.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=OPTIONS, env=clean
        )
        use_live(running, url, folder)
        running.close()
    print("\n".join(["", *wrong]) if wrong else "all well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
