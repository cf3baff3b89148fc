"""The picture of a recording: zoomed and played by keyboard, by mouse over an hour, and by fingers."""

from __future__ import annotations

from typing import Any

from visits import Visit, check


def seen(visit: Visit) -> float:
    """Seconds that are shown, by the address; 0: all of it."""
    visit.tab.wait_for_timeout(600)
    return float(
        visit.tab.evaluate(
            "(() => { const u = new URLSearchParams(location.search); return (u.get('end') ?? 0) - (u.get('start') ?? 0) })()"
        )
    )


def at(visit: Visit) -> float:
    """Where the playhead is, in seconds, as the clock shows it."""
    clock = visit.tab.locator(".transport .time b").inner_text()
    return sum(float(part) * 60**place for place, part in enumerate(reversed(clock.split(":"))))


def log(visit: Visit, url: str) -> list[str]:
    """Everything that was asked of the server."""
    asked: list[str] = visit.tab.evaluate("(url) => fetch(url).then((all) => all.json())", url + "log")
    return asked


def by_keyboard(running: Any, url: str) -> None:
    """Play, jump, zoom, tabs, spans: without a mouse."""
    visit = Visit(running, url + "?place=recording&tool=moments")
    tab, press = visit.tab, visit.tab.keyboard.press
    tab.wait_for_selector(".invitation")
    visit.drop("ten minutes.wav")
    tab.wait_for_selector(".picture")
    tab.focus(".picture")
    press("ArrowRight")
    check("→ jumps", at(visit) == 5, at(visit))
    press("Space")
    tab.wait_for_selector(".transport [aria-label=Pause]")
    tab.wait_for_function("() => /0:0[6-9]/.test(document.querySelector('.transport .time b').innerText)")
    press("Space")
    tab.wait_for_selector(".transport [aria-label=Play]")
    check("Space plays and pauses", True)
    press("End")
    check("End goes to the end", at(visit) == 600, at(visit))
    press("Home")
    for _ in range(3):
        press("+")
    near = seen(visit)
    check("+ zooms, and the URL has the span", 100 < near < 200, near)
    press("PageDown")
    check("Page Down moves the view", "start=" in tab.url, tab.url)
    tab.reload()
    tab.wait_for_selector(".picture")
    check("a reload shows the same span", abs(seen(visit) - near) < 0.1, seen(visit))
    tab.focus(".picture")
    press("0")
    check("0 shows all", seen(visit) == 0, tab.url)
    tab.focus("#panel-moments textarea")
    press("Control+Enter")
    tab.wait_for_selector("#panel-moments .span")
    check("Ctrl Enter asks", True)
    tab.wait_for_timeout(300)
    check("the answer is told", "moments" in tab.locator("p[role=status]").inner_text())
    tab.locator(".span").first.focus()
    press("Enter")
    tab.wait_for_selector(".transport [aria-label=Pause]")
    check("a span plays from its start", at(visit) > 1, at(visit))
    check("and is chosen", tab.locator(".selected").count() == 1)
    check("and is near enough to be seen", 0 < seen(visit) < 600, seen(visit))
    press("Space")
    a_span(visit)
    tab.focus("#tab-moments")
    press("ArrowLeft")
    check("← goes to the tool before", visit.focus() == "tab-match", visit.focus())


def a_span(visit: Visit) -> None:
    """Choose a span, save it, play it again and again."""
    tab, press = visit.tab, visit.tab.keyboard.press
    tab.focus(".picture")
    press("Escape")
    check("Esc chooses nothing", tab.locator(".selected").count() == 0)
    press("Home")
    press("ArrowRight")
    press("i")
    press("ArrowRight")
    press("o")
    chosen = tab.locator(".selected b").inner_text()
    tab.wait_for_timeout(300)
    check("I and O choose a span", chosen.startswith("0:05.00") or chosen.startswith("0:0"), chosen)
    check("and it is told", "Chosen" in tab.locator("p[role=status]").inner_text())
    with tab.expect_download() as saved:
        tab.locator(".selected a").click()
    check("the span is saved", saved.value.suggested_filename.endswith(".wav"), saved.value.suggested_filename)
    tab.focus(".picture")
    press("l")
    check("L plays it again and again", tab.locator(".selected [aria-pressed=true]").count() == 1)
    press("l")


def an_hour(running: Any, url: str) -> None:
    """Zoom and pan of an hour frame by frame; playing from any minute; few requests."""
    visit = Visit(running, url + "?place=recording")
    tab = visit.tab
    visit.drop("an hour.wav")
    tab.wait_for_selector(".picture")
    tab.locator("#panel-describe .primary").click()
    tab.wait_for_selector(".spans")
    box = tab.locator(".picture").bounding_box()
    x, y = box["x"] + box["width"] * 0.75, box["y"] + 100
    tab.mouse.click(x, y)
    tab.wait_for_selector(".transport [aria-label=Pause]")
    check("a click at minute 45 plays from there", 2690 < at(visit) < 2760, at(visit))
    tab.locator(".transport .play").click()
    before = len(log(visit, url))
    tab.evaluate(
        "() => { window.frames_ = []; let last = performance.now(); const tick = (now) => { window.frames_.push(now - last); last = now; if (window.frames_.length < 400) requestAnimationFrame(tick) }; requestAnimationFrame(tick) }"
    )
    tab.mouse.move(x, y)
    for _ in range(30):
        tab.mouse.wheel(0, -120)
    near = seen(visit)
    check("the wheel zooms", 0 < near < 60, near)
    tab.mouse.down()
    for step in range(40):
        tab.mouse.move(x - step * 12, y)
    tab.mouse.up()
    check("a drag chooses and does not play", tab.locator(".transport [aria-label=Play]").count() == 1)
    check("what is chosen can be saved", tab.locator(".selected a").count() == 1)
    tab.keyboard.down("Shift")
    for _ in range(20):
        tab.mouse.wheel(0, 60)
    tab.keyboard.up("Shift")
    frames = sorted(tab.evaluate("window.frames_"))
    print(
        f"     frames: half within {frames[len(frames) // 2]:.0f} ms, 95 of 100 within {frames[int(len(frames) * 0.95)]:.0f} ms"
    )
    asked = log(visit, url)[before:]
    check("few pictures are asked for", len(asked) < 60, len(asked))
    widths = [one for one in asked if "/peaks" in one or "/spectrogram" in one]
    check("of the part that is seen", all("start=" in one for one in widths), widths[:2])


def with_fingers(running: Any, url: str) -> None:
    """On a phone: a pinch zooms, one finger pans, a tap plays, an answer comes into view."""
    visit = Visit(running, f"{url}?place=recording&tool=moments", phone=True)
    tab = visit.tab
    tab.wait_for_selector(".invitation")
    visit.drop("ten minutes.wav")
    tab.wait_for_selector(".picture")
    box = tab.locator(".picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 80
    touch = visit.context.new_cdp_session(tab)

    def fingers(kind: str, *across: float) -> None:
        points = [{"x": one, "y": y, "id": number} for number, one in enumerate(across)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", x - 20, x + 20)
    for apart in range(25, 125, 10):
        fingers("touchMove", x - apart, x + apart)
    fingers("touchEnd")
    near = seen(visit)
    check("a pinch zooms", 60 < near < 200, near)
    before = tab.url
    fingers("touchStart", x)
    for step in range(10):
        fingers("touchMove", x - step * 10)
    fingers("touchEnd")
    check("one finger pans", abs(seen(visit) - near) < 0.1 and tab.url != before, tab.url)
    check("and does not play", tab.locator(".transport [aria-label=Play]").count() == 1)
    tab.touchscreen.tap(x, y)
    tab.wait_for_selector(".transport [aria-label=Pause]")
    check("a tap plays from there", at(visit) > 100, at(visit))
    tab.fill("#panel-moments textarea", "a dog\na car\nrain\nwind")
    tab.locator("#panel-moments .primary").click()
    tab.wait_for_selector("#panel-moments .spans li")
    tab.wait_for_timeout(300)
    top = tab.evaluate("document.querySelector('.answer').getBoundingClientRect().top")
    check("the answer is seen without scrolling", top < 700, top)
