"""Which files and folders are not indexed: system folders, given patterns, and patterns of `.openclapignore` files.

    outtakes            a name: every file and folder that is called so, and what is in it
    *.tmp.wav           a pattern without a slash: compared with names
    */drafts/*          a pattern with a slash: compared with whole paths, as the filter of a search
    .openclapignore     holds patterns as in .gitignore, for the folder that it lies in and those below

Names fit in every Unicode spelling; whether case matters is up to the platform.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.errors import DataError, UsageError
from openclap.regular_files import require_regular
from openclap.results import Failure
from openclap.store.path_patterns import anchor_pattern, path_matcher, regex_of_pattern
from openclap.textfiles import open_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_FILE", "Exclusions"]

IGNORE_FILE = ".openclapignore"
SYSTEM_FOLDERS = frozenset(
    [
        "$recycle.bin",
        "#recycle",
        "@recycle",
        "#snapshot",
        "@eadir",
        "@__thumb",
        "lost+found",
        "system volume information",
    ]
)  # of Windows, Synology, QNAP and ext4; hidden ones, such as .Trashes, are left out in any case


class Exclusions:
    """Tells which files and folders are left out; every ignore file is read once."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.failed: list[Failure] = []  # ignore files, and lines of them, that cannot be used
        for pattern in patterns:
            if not pattern.strip("/"):
                raise UsageError(
                    f"a pattern to exclude is {pattern!r}; give a name, as outtakes, or one of paths: */drafts/*"
                )
        plain = [pattern.rstrip("/") for pattern in patterns]
        self._names = [path_matcher(regex_of_pattern(pattern)) for pattern in plain if "/" not in pattern]
        self._paths = [path_matcher(regex_of_pattern(anchor_pattern(pattern))) for pattern in plain if "/" in pattern]
        self._folders: dict[str, bool] = {}
        self._ignore_specs: dict[str, list[tuple[str, GitIgnoreSpec]]] = {}

    def is_excluded(self, path: str, *, folder: bool) -> bool:
        """Whether a file or folder itself is left out, whatever folders it lies in."""
        name = os.path.basename(path)  # noqa: PTH119 -- it is called for a hundred thousand files
        if folder and name.casefold() in SYSTEM_FOLDERS:
            return True
        if any(fits(name) for fits in self._names) or any(fits(path) for fits in self._paths):
            return True
        excluded = False
        for place, spec in self._ignore_files(os.path.dirname(path)):  # noqa: PTH120
            below = path[len(place.rstrip(os.sep)) + 1 :].replace(os.sep, "/")
            below = unicodedata.normalize("NFC", below)
            found = _matches_folder(spec, below + "/") if folder else spec.check_file(below).include
            excluded = excluded if found is None else found
        return excluded

    def takes_all_files(self, folder: str) -> bool:
        """Whether no rule can leave a file of this folder out, which saves asking for each."""
        return not (self._names or self._paths or self._ignore_files(folder))

    def is_excluded_below(self, path: str, root: str) -> bool:
        """Whether a file, or a folder below `root` that it lies in, is left out."""
        return self._folder_is_out(os.path.dirname(path), root) or self.is_excluded(path, folder=False)  # noqa: PTH120

    def _folder_is_out(self, folder: str, root: str) -> bool:
        if len(folder) <= len(root):
            return False
        if folder not in self._folders:
            above = self._folder_is_out(os.path.dirname(folder), root)  # noqa: PTH120
            self._folders[folder] = above or self.is_excluded(folder, folder=True)
        return self._folders[folder]

    def _ignore_files(self, folder: str) -> list[tuple[str, Any]]:
        """The ignore files that count in a folder, the outermost first; later ones overrule earlier ones."""
        if folder not in self._ignore_specs:
            above = os.path.dirname(folder)  # noqa: PTH120
            outer = self._ignore_files(above) if above != folder else []
            spec = self._read(Path(folder, IGNORE_FILE))
            self._ignore_specs[folder] = outer if spec is None else [*outer, (folder, spec)]
        return self._ignore_specs[folder]

    def _read(self, file: Path) -> GitIgnoreSpec | None:
        if not file.exists():
            return None
        try:
            require_regular(file)
            with open_text(file) as opened:  # editors on Windows also write UTF-16 and code pages
                text = opened.read()
        except (OSError, DataError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error).removeprefix(f"{file}: ")
            self.failed.append(Failure(str(file), f"{why}; nothing is left out by it"))
            return None
        from pathspec import GitIgnoreSpec

        lines = []
        for number, line in enumerate(unicodedata.normalize("NFC", text).splitlines(), 1):
            try:
                GitIgnoreSpec.from_lines([line])
                lines.append(line)
            except ValueError as error:
                self.failed.append(
                    Failure(str(file), f"line {number} is no pattern of .gitignore ({error}); it is left out")
                )
        return GitIgnoreSpec.from_lines(lines)


def _matches_folder(spec: GitIgnoreSpec, below: str) -> bool | None:
    """Whether the last pattern that fits a folder, such as "a/b/", excludes it; None where no pattern fits.

    Its parents have been asked before. `check_file` of pathspec also asks for the parents: with it, `*` would overrule
    a later `!*/`, and `a/**` would exclude `a` itself.
    """
    excluded = None
    for pattern in spec.patterns:
        if pattern.include is None or pattern.regex is None:
            continue
        for found in pattern.regex.finditer(below):
            ends = found.end() == len(below)
            if ends == (found.groupdict().get("ps_d") is not None):  # the slash that ends a folder's name
                excluded = pattern.include
                break
    return excluded
