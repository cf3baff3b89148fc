"""Writes the timeline of every sound of a folder, in every format, into another folder, and brings them up to date.

The .json file of a sound is written first, without spans: it marks the others as made by openclap. It is written again
at the end, with what it was made of, which marks the sound as done. Files that were not made by openclap are left
alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.atomic_write import write_text
from openclap.audio.decode_limits import limit
from openclap.catalogue.run import DescribeReport, describer_key
from openclap.describe import Describer, timeline
from openclap.describe.formats import FORMATS, HEAD, write_timeline
from openclap.describe.picture import check_picture, draw_timeline
from openclap.errors import SoundError, UsageError
from openclap.library.scan import find_sounds, require_sounds, size_and_time
from openclap.options import TimelineKeywords, TimelineOptions, make_options
from openclap.progress import with_progress
from openclap.regular_files import read_regular
from openclap.results import Failure

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

__all__ = ["timelines_to_folder"]

LONGEST_NAME = 255  # bytes, of nearly every file system


def timelines_to_folder(
    describer: Describer,
    paths: Iterable[str | os.PathLike[str]],
    folder: Path,
    *,
    pictures: bool | None = None,
    progress: bool = False,
    **options: Unpack[TimelineKeywords],
) -> DescribeReport:
    """Write the timeline of every sound into a folder, as .md, .csv, .srt, .vtt, .png and .json.

    The files have the sounds' own names. Where `pictures` is None, they are drawn if matplotlib is installed. `options`
    are fields of `openclap.options.TimelineOptions`.

    Raises
    ------
    UsageError
        There are no sounds, the folder cannot be made or written to, or there is no such option.
    MissingExtra
        Pictures are wanted and matplotlib is not installed.
    """
    pictures = find_spec("matplotlib") is not None if pictures is None else pictures
    if pictures:
        check_picture()
    asked = make_options(TimelineOptions, options)
    settings = describer_key(describer, asked.window, asked.hop, asked.change)
    found = find_sounds(paths)
    require_sounds(found)
    _make_folder(folder)
    top = os.path.commonpath([path.parent for path in found.files]) if found.files else ""
    failed, described, unchanged = list(found.unreadable), 0, 0
    for path in with_progress(found.files, "describing", len(found.files), show=progress):
        place = folder / os.path.relpath(path, top)
        last = place.with_name(place.name + ".json")
        made_of = [*(size_and_time(path) or (-1, -1)), settings]
        before = _read_timeline(last)
        if before.get("made_of") == made_of:
            unchanged += 1
            continue
        if (why := _refusal(place, ours=bool(before))) is not None:
            failed.append(Failure(str(path), why))
            continue
        try:
            spans = timeline(describer, path, **vars(asked))
            _make_folder(place.parent)
            if not before:
                write_text(last, json.dumps(HEAD) + "\n")
            for ending in (".md", ".csv", ".srt", ".vtt"):
                write_timeline(spans, place.with_name(place.name + ending), str(path))
            if pictures:
                picture = place.with_name(place.name + ".png")
                draw_timeline(limit(path, track=describer.track), spans, picture, title=path.name)
            whole = {**json.loads(FORMATS[".json"](spans, str(path))), "made_of": made_of}
            write_text(last, json.dumps(whole, indent=1) + "\n")
            described += 1
        except SoundError as error:
            failed.append(Failure(str(path), error.cause))
    return DescribeReport(str(folder), described, unchanged, failed)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made ({error.strerror or error}); choose another -o") from error


def _read_timeline(place: Path) -> dict[str, Any]:
    """The content of a .json file that openclap wrote; {} where there is none or it is another's."""
    with suppress(OSError, ValueError):
        made = json.loads(read_regular(place).decode())
        if isinstance(made, dict) and {key: made.get(key) for key in HEAD} == HEAD:
            return made
    return {}


def _refusal(place: Path, *, ours: bool) -> str | None:
    """Why a sound's timeline cannot be written under its name, or None where it can."""
    if len(os.fsencode(place.name)) + len(".json") > LONGEST_NAME:
        return "its name is too long to write files of that name with another ending"
    existing = next((e for e in (*FORMATS, ".png") if os.path.lexists(f"{place}{e}")), None)
    if existing is not None and not ours:
        return f"{place}{existing} is there already and was not made by this; it is left as it is: choose another -o"
    return None
