"""Playlists: lengths and titles, paths that move with the list, names that no line can hold; and the verbs that write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclap.errors import UsageError
from openclap.library import write_playlist
from openclap.library.playlist import PlaylistEntry, format_playlist
from openclap.results import Hit


def paths_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_playlist_of_hits(tmp_path: Path) -> None:
    """A name with a line break was left out, in silence; no length was told."""
    hits = [Hit(f"/sounds/{name}", 0.0, 1.0, 0.5) for name in ("a 声.wav", "line\nbreak.wav", "b.wav")]
    write_playlist(hits, tmp_path / "p.m3u8", {"/sounds/a 声.wav": 61.7, "/sounds/b.wav": 0.1})
    assert (tmp_path / "p.m3u8").read_bytes().decode() == (
        "#EXTM3U\n#EXTINF:62,a 声\n/sounds/a 声.wav\n"
        "#EXTINF:-1,line break\nfile:///sounds/line%0Abreak.wav\n"
        "#EXTINF:1,b\n/sounds/b.wav\n"
    )
    with pytest.raises(UsageError, match=r"must end in \.m3u or \.m3u8"):
        write_playlist(hits, tmp_path / "p.txt")


def test_what_lies_below_a_playlist_is_relative_and_what_does_not_is_whole() -> None:
    entries = [PlaylistEntry(path, 1.0, "x") for path in ("/a/b/c.wav", "/a/b/d/e.wav", "/a/bc/f.wav", "/a/g.wav")]
    assert paths_in(format_playlist(entries, "/a/b")) == ["c.wav", "d/e.wav", "/a/bc/f.wav", "/a/g.wav"]
    assert paths_in(format_playlist(entries[:1], "/")) == ["a/b/c.wav"]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("#1.wav", "./#1.wav"),
        (" x.wav", "./ x.wav"),
        ("c:x.wav", "./c:x.wav"),
        ("x.wav ", "file:///a/x.wav%20"),
        ("a\rb.wav", "file:///a/a%0Db.wav"),
    ],
)
def test_names_that_a_player_would_misread(name: str, line: str) -> None:
    """A name that begins with # was a comment."""
    text = format_playlist([PlaylistEntry(f"/a/{name}", None, "two\nlines")], "/a")
    assert text.splitlines() == ["#EXTM3U", "#EXTINF:-1,two lines", line]
