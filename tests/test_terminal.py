"""What a terminal is shown: rows that fit, names that are not broken, links to files; and results that are played."""

from __future__ import annotations

import io
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import typer
from rich.console import Console
from typer.testing import CliRunner

from openclap.cli import found, play, show
from openclap.cli.app import app
from openclap.errors import OpenClapError, UsageError
from openclap.library import Library
from openclap.library.library_results import LibraryFile
from openclap.results import Copy, Duplicates, Group, Hit, Ranked

NAME = "/somewhere/far away/Ambiences/a rather long name of a creaky wooden door 01.wav"
LINK = re.compile("\x1b\\]8;[^;]*;([^\x1b]*)\x1b\\\\")


@pytest.fixture(autouse=True)
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show.verbosity, "quiet", False)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


def shown(monkeypatch: pytest.MonkeyPatch, width: int, *, terminal: bool = True, term: str = "xterm") -> str:
    """The table of two hits on a terminal of this width, with its escape sequences."""
    monkeypatch.setenv("TERM", term)
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=terminal, highlight=False, emoji=False, legacy_windows=False
    )
    monkeypatch.setattr(show, "out", console)
    hits = [
        Hit(NAME, 0.0, 10.0, 0.3, 0.9, relevance=0.9, named=("door",)),
        Hit("/b.wav", 65.0, 75.0, 0.2, 0.1, unlikely=True, relevance=0.1),
    ]
    found._table_of_hits(Ranked(hits), "a door", [0.9, 0.1], by_names=True)
    return file.getvalue()


def plain(text: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", LINK.sub("", text))


@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_a_narrow_terminal_breaks_no_name(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Each cell was folded by itself: a name stood in pieces of nine letters, one below the other."""
    lines = plain(shown(monkeypatch, width)).splitlines()
    name = next(line for line in lines if "creaky" in line)
    assert name.strip().endswith("a rather long name of a creaky wooden door 01.wav")
    number = lines.index(name)
    assert re.fullmatch(r"1 +90% +sure +0:00\.0-0:10\.0", lines[number - 1].rstrip())
    assert lines[number + 1].strip() == "named door"
    assert lines[number + 2].strip() == "probably not:"
    assert all(len(line.rstrip()) <= width for line in lines if line != name)


def test_a_wide_terminal_and_a_pipe_have_a_row_a_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (shown(monkeypatch, 200), shown(monkeypatch, show.WIDEST, terminal=False)):
        (row,) = (line for line in plain(text).splitlines() if "creaky" in line)
        assert "90%" in row
        assert "█" in row
        assert "named door" in row


def test_a_list_of_files_breaks_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`library list` and `duplicates` still folded names, letter by letter, at the width of the terminal."""
    monkeypatch.setattr(Library, "files", lambda *_, **__: iter([LibraryFile(NAME, 1.0, 1, (), ("trailer",))]))
    copies = [Copy(NAME, 0.0, 1.0), Copy("/b.wav", 0.0, 1.0)]
    monkeypatch.setattr(Library, "duplicates", lambda *_, **__: Duplicates([Group(copies)], []))
    monkeypatch.setattr(show, "out", Console(width=40, force_terminal=True, highlight=False, legacy_windows=False))
    for verb in (["library", "list"], ["library", "list", "--folders"], ["duplicates"]):
        said = plain(CliRunner().invoke(app, [*verb, "--library", str(tmp_path)]).stdout)
        assert "/Ambiences" in next(line for line in said.splitlines() if "far away" in line), said


def test_what_a_hit_is_named_by_begins_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood at the right: "named dog, barking" began far left of the "named dog" below it."""
    file = io.StringIO()
    monkeypatch.setattr(show, "out", Console(file=file, width=show.WIDEST, highlight=False, emoji=False))
    hits = [Hit(f"/{i}.wav", 0.0, 10.0, 0.3, 0.9, relevance=0.9, named=("dog", "barking")[: 2 - i]) for i in range(2)]
    found._table_of_hits(Ranked(hits), "a dog barking", [0.9, 0.9], by_names=True)
    first, second = (line.index("named") for line in file.getvalue().splitlines() if "named" in line)
    assert first == second


def test_names_are_links_where_a_terminal_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "file:///somewhere/far%20away/Ambiences/a%20rather%20long%20name%20of%20a%20creaky%20wooden%20door%2001.wav"
    for width in (200, 50):
        assert LINK.findall(shown(monkeypatch, width))[::2] == [uri, "file:///b.wav"]
    assert "\x1b]8" not in shown(monkeypatch, 200, terminal=False)
    assert "\x1b]8" not in shown(monkeypatch, 200, term="dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b]8" not in shown(monkeypatch, 200)


def test_a_link_holds_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # first: a console looks when it is made
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(show, "out", Console(file=io.StringIO(), force_terminal=True, legacy_windows=False))
    (span,) = show.file_name("/a\x1b]8;;evil\x07\udcff.wav").spans
    assert getattr(span.style, "link", "") == "file:///a%1B%5D8%3B%3Bevil%07%FF.wav"


# -- playing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3", [3]), ("1-3", [1, 2, 3]), ("4,1", [4, 1]), ("all", [1, 2, 3, 4]), ("3-9", [3, 4]), ("9", [])],
)
def test_numbers_of_results(text: str, numbers: list[int]) -> None:
    assert play.parse_numbers(text, 4) == numbers


@pytest.mark.parametrize("text", ["0", "x", "", "3-1", "1..2", "-1", "1-" + 5000 * "9"])
def test_what_is_no_number_is_told_before_anything_is_searched(text: str) -> None:
    done = CliRunner().invoke(app, ["search", "rain", f"--play={text}", "--library", "/nowhere"])
    assert isinstance(done.exception, UsageError)
    assert "give numbers of results" in str(done.exception)


class Card(types.ModuleType):
    """sounddevice, with a card or without one."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, works: bool) -> None:
        super().__init__("sounddevice")
        self.works = works
        self.played: list[tuple[int, int, bool]] = []

    def play(self, wave: np.ndarray, rate: int, *, blocking: bool) -> None:
        if not self.works:
            raise self.PortAudioError("Error querying device -1")
        self.played.append((len(wave), rate, blocking))


@pytest.fixture
def hits(tmp_path: Path) -> Ranked[Any]:
    sf.write(tmp_path / "a.wav", np.zeros(24_000, np.float32), 8_000)
    return Ranked([Hit(str(tmp_path / name), 1.0, 2.0, 0.5) for name in ("a.wav", "gone.wav")])


def test_spans_are_played_and_what_is_gone_is_told(
    monkeypatch: pytest.MonkeyPatch, hits: Ranked[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    card = Card(works=True)
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    play.play_results(hits, "1")
    assert card.played == [(48_000, 48_000, True)]
    with pytest.raises(typer.Exit):
        play.play_results(hits, "all")
    assert len(card.played) == 2
    with pytest.raises(UsageError, match="there are 2 results"):
        play.play_results(hits, "3")


@pytest.mark.skipif(os.name == "nt", reason="a program of a shell")
def test_without_a_sound_card_a_player_is_tried_and_then_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, hits: Ranked[Any], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Card(works=False))
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(play, "PLAYERS", (("pw-play",), ("ffplay",), ("aplay", "-q")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(OpenClapError, match=r"nothing can play a sound here \(sounddevice: Error querying device -1\)"):
        play.play_results(hits, "1")
    scripts = {
        "pw-play": "echo no daemon >&2; exit 1",
        "ffplay": "echo No more combinations to try, audio open failed >&2",  # with exit code 0
        "aplay": f'echo "$@" > {tmp_path}/said',
    }
    for name, script in scripts.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    play.play_results(hits, "1")
    assert (tmp_path / "said").read_text().startswith("-q /")


# -- a minus ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["search", "moments"])
@pytest.mark.parametrize("word", ["-thunder", "-kick", "-雷声"])
def test_a_word_after_a_minus_is_no_option(verb: str, word: str) -> None:
    """It was "No such option: -t"."""
    done = CliRunner().invoke(app, [verb, word])
    assert isinstance(done.exception, UsageError)
    assert f'openclap {verb} "rain {word}"' in show.plain(done.exception).plain


def test_other_slips_are_told_as_before() -> None:
    done = CliRunner().invoke(app, ["search", "rain", "--colour"])
    assert done.exit_code == 2
    assert "No such option: --colour" in done.output
