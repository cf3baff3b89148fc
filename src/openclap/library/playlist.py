"""Sounds in an order → an extended M3U in UTF-8, which players open (VLC, mpv, foobar2000, Kodi).

#EXTM3U
#EXTINF:12,creak              seconds, title
doors/creak.wav               below the playlist's folder: relative, so that both can move together
#EXTINF:-1,wind               of unknown length
/srv/sounds/wind.wav          elsewhere: the whole path
file:///srv/a%0Ab.wav         a name that does not fit a line
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclap.atomic_write import write_text
from openclap.errors import UsageError
from openclap.library.scan import absolute_path
from openclap.results import Hit, Moment

__all__ = [
    "ENDINGS",
    "PlaylistEntry",
    "format_playlist",
    "hit_entries",
    "moment_entries",
    "save_playlist",
    "write_playlist",
]

ENDINGS = (".m3u", ".m3u8")


@dataclass(frozen=True)
class PlaylistEntry:
    """A sound of a playlist.

    Attributes
    ----------
    path
        Of the file.
    seconds
        Its length; None where it is not known.
    title
        What a player shows; empty: the file's name without its ending.
    span
        From when to when, in seconds, it is played by players that can do that, such as VLC; None: all of it.
    """

    path: str
    seconds: float | None = None
    title: str = ""
    span: tuple[float, float] | None = None


def write_playlist(hits: Sequence[Hit], output: Path, lengths: Mapping[str, float] | None = None) -> None:
    """Write the whole recordings of hits as a playlist; `lengths` are their seconds by path, where they are known.

    Raises
    ------
    UsageError
        Another ending than .m3u or .m3u8, or a file that cannot be written.
    """
    save_playlist(hit_entries(hits, lengths or {}), output)


def save_playlist(entries: Iterable[PlaylistEntry], output: Path) -> None:
    """Write entries as a playlist.

    Raises
    ------
    UsageError
        Another ending than .m3u or .m3u8, or a file that cannot be written.
    """
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"{output}: a playlist's name must end in .m3u or .m3u8")
    write_text(output, format_playlist(entries, output.parent))


def hit_entries(hits: Sequence[Hit], lengths: Mapping[str, float], *, windows: bool = False) -> list[PlaylistEntry]:
    """Hits as entries: whole recordings, whose `lengths` are known by path, or with `windows` their windows alone."""
    if windows:
        return [PlaylistEntry(hit.path, hit.end - hit.start, span=(hit.start, hit.end)) for hit in hits]
    return [PlaylistEntry(hit.path, lengths.get(hit.path)) for hit in hits]


def moment_entries(moments: Sequence[Moment | Hit], label: str) -> list[PlaylistEntry]:
    """Moments as entries: what was looked for is the title of each, and it begins and ends where the moment does."""
    return [PlaylistEntry(m.path, m.end - m.start, f"{label} {m.score:.2f}", (m.start, m.end)) for m in moments]


def format_playlist(entries: Iterable[PlaylistEntry], folder: str | os.PathLike[str] | None) -> str:
    """The text of a playlist that will lie in `folder`.

    None: nobody knows where it will lie, and paths are names that are written as they are; those that do not fit a line
    are left out.
    """
    home = None if folder is None else absolute_path(folder)
    lines = ["#EXTM3U"]
    for one in entries:
        line = one.path if home is None else _line_of(one.path, home)
        if "\n" in line or "\r" in line:
            continue
        length = -1 if one.seconds is None else max(1, round(one.seconds))
        lines.append(f"#EXTINF:{length},{' '.join((one.title or Path(one.path).stem).split())}")
        if one.span is not None:
            lines += [f"#EXTVLCOPT:start-time={one.span[0]:.3f}", f"#EXTVLCOPT:stop-time={one.span[1]:.3f}"]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _line_of(path: str, home: str) -> str:
    """A path as a line of a playlist in the folder `home`."""
    whole = absolute_path(path)
    if "\n" in whole or "\r" in whole or whole != whole.strip():  # players end a line there, and strip it
        return Path(whole).as_uri()
    inside = home.rstrip(os.sep) + os.sep
    if not whole.startswith(inside):
        return whole
    name = whole.removeprefix(inside)
    # what begins with # is a comment, with spaces is stripped, and a colon may end a drive or a scheme
    return f".{os.sep}{name}" if name[0] in "#~" or name[0].isspace() or ":" in name else name
