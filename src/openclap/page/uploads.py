"""Uploaded sounds and ZIP files of one visitor → files that may be searched. Knows nothing of gradio."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from openclap.audio.load import duration
from openclap.errors import SoundError
from openclap.library.scan import EXTENSIONS
from openclap.library.uploads import keep_upload, safe_name
from openclap.page.limits import VisitorLimits
from openclap.page.strings import InputError
from openclap.store.disk import folder_bytes

__all__ = ["Uploads"]


class Uploads:
    """What one visitor has uploaded, and where it is unpacked and indexed; nobody can guess these places.

    Parameters
    ----------
    folder
        What lies in its folder `uploads` is handed out to whoever knows its place, as gradio does with uploads.
    """

    def __init__(self, folder: Path) -> None:
        name = secrets.token_hex(16)
        self._all, self._unpacked, self.index = folder / "uploads", folder / "uploads" / name, folder / "indexes" / name
        self._taken: dict[str, tuple[dict[Path, str], list[tuple[str, str]]]] = {}

    def take(self, given: Sequence[str], limits: VisitorLimits) -> tuple[dict[Path, str], list[tuple[str, str]]]:
        """Files that may be searched with what they are called, and the names of those that cannot be used with why.

        A ZIP file that cannot be unpacked has an empty cause.

        Raises
        ------
        InputError
            There are too many, or there is no room.
        """
        names: dict[Path, str] = {}
        failed: list[tuple[str, str]] = []
        for one in given:
            if one not in self._taken:
                self._taken[one] = self._read(Path(one), limits)
            names |= self._taken[one][0]
            failed += self._taken[one][1]
            if len(names) > limits.sounds:
                raise InputError("error.many", count=len(names), most=limits.sounds)
        return names, failed

    def remove(self) -> None:
        """Delete what was unpacked and indexed; uploads themselves are deleted by gradio."""
        for folder in (self._unpacked, self.index):
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self, file: Path, limits: VisitorLimits) -> tuple[dict[Path, str], list[tuple[str, str]]]:
        if not zipfile.is_zipfile(file):
            files = {file: file.name}
        else:
            try:
                files = self._unpack(file, limits)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError):
                return {}, [(file.name, "")]
        names, failed = {}, []
        for place, name in files.items():
            try:
                if duration(limits.sound(str(place))) > limits.seconds:
                    raise SoundError(name, "is longer than is taken here")
                names[place] = name
            except SoundError as error:
                failed.append((name, error.cause))
        return names, failed

    def _unpack(self, file: Path, limits: VisitorLimits) -> dict[Path, str]:
        """The sounds of a ZIP file; what is no sound by its name stays in it."""
        with zipfile.ZipFile(file) as packed:
            members = [one for one in packed.infolist() if _is_sound(one.filename)]
            if len(members) > limits.sounds:
                raise InputError("error.many", count=len(members), most=limits.sounds)
            # a member gives no more than it says, else it is damaged
            if folder_bytes(self._all) + sum(one.file_size for one in members) > limits.kept_bytes:
                raise InputError("error.full")
            files: dict[Path, str] = {}
            for one in members:
                name = safe_name(one.filename)
                with packed.open(one) as sound:
                    kept = keep_upload(sound, name, self._unpacked / file.parent.name)  # type: ignore[arg-type]
                if kept is not None:
                    files[kept[0]] = name.as_posix()
        return files


def _is_sound(name: str) -> bool:
    """Whether a member is called like a sound; macOS adds files of its own that are."""
    path = Path(name.replace("\\", "/"))
    return (
        path.suffix.lower().lstrip(".") in EXTENSIONS and "__MACOSX" not in path.parts and not path.name.startswith(".")
    )
