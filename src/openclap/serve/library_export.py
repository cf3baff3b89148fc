"""Files of the library as one file: a ZIP of them, a playlist, a table. Where they lie on the server is told to nobody."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from openclap.errors import RequestRefused, SoundError
from openclap.library.listing import ListedFile
from openclap.library.playlist import PlaylistEntry, format_playlist
from openclap.serve.library_files import LibraryFiles
from openclap.store import File
from openclap.textfiles import format_csv

__all__ = ["export_csv", "export_playlist", "export_zip"]

PIECE = 1 << 18  # bytes
COLUMNS = ("path", "name", "folder", "seconds", "format", "tags", "collections", "modified")
LEFT_OUT = "left out.txt"
FORBIDDEN = {ord(sign): "_" for sign in '<>:"/\\|?*'} | dict.fromkeys(range(32), "_")  # in names, on some system


class _Pieces(io.RawIOBase):
    """What is written, to be taken again piece by piece."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = memoryview(data)  # type: ignore[arg-type]
        self._waiting += part
        return part.nbytes

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def export_zip(library: LibraryFiles, files: Mapping[str, File]) -> Iterator[bytes]:
    """Files by name as a ZIP, made while it is sent: each as it is, by its own name, no two alike.

    What cannot be had is named in a text among them.
    """
    out, left_out = _Pieces(), []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        taken: set[str] = set()
        for name, file in files.items():
            try:
                sound = library.open_now(name, file)
            except (RequestRefused, SoundError) as error:
                left_out.append(" ".join(str(error).split()))
                continue
            moment = time.localtime(max(file.mtime_ns / 1e9, 315_532_800.0))[:6]  # not before 1980
            entry = zipfile.ZipInfo(_unlike(name, taken), moment)
            with sound.handle, archive.open(entry, "w", force_zip64=True) as place:
                while piece := sound.handle.read(PIECE):
                    place.write(piece)
                    yield out.take()
        if left_out:
            archive.writestr(_unlike(LEFT_OUT, taken), "\n".join(left_out) + "\n")
    yield out.take()


def export_playlist(files: Sequence[ListedFile], *, absolute: bool) -> str:
    """Files as an extended M3U: by their places on this machine for its owner, by their names for others."""
    entries = (PlaylistEntry(file.place if absolute else file.path, file.seconds) for file in files)
    return format_playlist(entries, None).encode("utf-8", "replace").decode()


def export_csv(files: Sequence[ListedFile]) -> str:
    """What is known of files, a line each."""
    rows = [
        (
            f.path,
            f.name,
            f.folder,
            round(f.seconds, 3),
            f.format,
            ", ".join(f.tags),
            ", ".join(f.collections),
            f.modified,
        )
        for f in files
    ]
    return format_csv(COLUMNS, rows)


def _unlike(name: str, taken: set[str]) -> str:
    """The last part of a name, with a number where another one is called so, too."""
    whole = PurePath(name).name.translate(FORBIDDEN).strip(" .") or "sound"
    path, number = PurePath(whole), 1
    while whole.casefold() in taken:
        number += 1
        whole = f"{path.stem} ({number}){path.suffix}"
    taken.add(whole.casefold())
    return whole
