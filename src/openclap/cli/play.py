"""--play: results are heard at the terminal, through sounddevice where it is installed, else a player of the system."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openclap.cli.options import OUTPUT
from openclap.cli.show import err, exit_if_failed, plain, short, span, verbosity
from openclap.errors import OpenClapError, SoundError, UsageError
from openclap.results import Failure

if TYPE_CHECKING:
    from openclap.audio.load import Wave
    from openclap.results import Hit, Moment

__all__ = ["Play", "parse_numbers", "play_results"]

RATE = 48_000  # Hz, which every sound card takes
# programs that play a WAV, the usual one of a system first
PLAYERS = (
    ("pw-play",),
    ("paplay",),
    ("afplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
    ("mpv", "--no-video", "--really-quiet"),
)
UNHEARD = "audio open failed"  # ffplay says this and leaves with 0
NUMBERS = re.compile(r"(\d+)(?:\s*[-–]\s*(\d+))?")


def parse_numbers(text: str, count: int) -> list[int]:
    """What --play asks for → numbers of results, from 1: `3`, `1-5`, `1,4`, `all`; those beyond `count` are left out.

    Raises
    ------
    UsageError
        It is none of these.
    """
    if text.strip().lower() == "all":
        return list(range(1, count + 1))
    parts = [NUMBERS.fullmatch(part.strip()) for part in text.split(",")]
    spans = [(int(part[1]), int(part[2] or part[1])) for part in parts if part is not None]
    if len(spans) < len(parts) or any(first < 1 or last < first for first, last in spans):
        raise UsageError(f"--play is {text!r}; give numbers of results: 3, 1-5, 1,4 or all")
    return [number for first, last in spans for number in range(first, min(last, count) + 1)]


def _check_numbers(text: str | None) -> str | None:
    """Refuse what is no number before anything is searched."""
    if text is not None:
        parse_numbers(text, 0)
    return text


Play = Annotated[
    str | None,
    typer.Option(
        "--play",
        metavar="N",
        callback=_check_numbers,
        help="Play results by their numbers, one after the other: 3, 1-5, all",
        rich_help_panel=OUTPUT,
    ),
]


def play_results(found: Sequence[Hit | Moment], numbers: str | None) -> None:
    """Play some of the results, each from its start to its end; what cannot be read is told, and the exit code is 1."""
    if numbers is None:
        return
    asked = parse_numbers(numbers, len(found))
    if found and not asked:
        raise UsageError(f"--play is {numbers!r}, and there are {len(found)} results")
    failed = []
    for number in asked:
        one = found[number - 1]
        if not verbosity.quiet:
            err.print(plain(f"playing {number}: {short(one.path)} {span(one.start, one.end)}"))
        try:
            _play(_wave_of(one))
        except SoundError as error:
            failed.append(Failure(error.name, error.cause))
    exit_if_failed(failed)


def _wave_of(one: Hit | Moment) -> Wave:
    from openclap.audio.load import cut

    (wave,) = cut(one.path, RATE, [(one.start, one.end)])
    if not len(wave):
        raise SoundError(one.path, f"ends before {one.start:g} s; it was changed since, index it again")
    return wave


def _play(wave: Wave) -> None:
    """Play a wave (S,) to its end.

    Raises
    ------
    OpenClapError
        There is no sound card, or nothing that plays.
    """
    causes = []
    for play in (_play_by_sounddevice, _play_by_windows, *map(_program, PLAYERS)):
        try:
            cause = play(wave)
        except OSError as error:  # a program that cannot be started, a full disk
            cause = error.strerror or str(error)
        if cause is None:
            return
        causes += [cause] if cause else []
    tried = f" ({'; '.join(causes)})" if causes else ""
    raise OpenClapError(f"nothing can play a sound here{tried}; plug in a sound card, or install sounddevice or ffplay")


# Each of these plays a wave and returns None, or returns why it cannot: "" where it is not there at all.


def _play_by_sounddevice(wave: Wave) -> str | None:
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: without the library PortAudio
        return ""
    try:
        sounddevice.play(wave, RATE, blocking=True)
    except (sounddevice.PortAudioError, ValueError) as error:
        return f"sounddevice: {' '.join(str(error).split())}"
    return None


def _play_by_windows(wave: Wave) -> str | None:
    if sys.platform != "win32":
        return ""
    import winsound

    with tempfile.TemporaryDirectory() as folder:
        try:
            winsound.PlaySound(str(_write(wave, Path(folder))), winsound.SND_FILENAME)
        except RuntimeError as error:
            return f"winsound: {error}"
    return None


def _program(command: Sequence[str]) -> Callable[[Wave], str | None]:
    def play(wave: Wave) -> str | None:
        if shutil.which(command[0]) is None:
            return ""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*command, str(_write(wave, Path(folder)))], capture_output=True, check=False)
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        failed = [line for line in said if UNHEARD in line] or (said[-1:] if done.returncode else [])
        if done.returncode == 0 and not failed:
            return None
        return f"{command[0]}: {failed[0][:100] if failed else f'exit code {done.returncode}'}"

    return play


def _write(wave: Wave, folder: Path) -> Path:
    import soundfile

    file = folder / "sound.wav"
    soundfile.write(file, wave, RATE)
    return file
