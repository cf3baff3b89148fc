"""What a run tells while it goes: a progress bar, log.csv with a line an epoch, and trackers (TensorBoard, or others through accelerate).

Knows nothing of models or batches.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from openclap.atomic_write import atomic_write
from openclap.errors import MissingExtra, TrainingError

__all__ = ["EpochLog", "Trackers", "progress_bar"]

DEFAULT = "tensorboard"
HEADER = "epoch,step,loss,logit_scale,seconds"
LINE = re.compile(r"\d+(,[^,]+){4}")  # what somebody else, or a kill in mid-line, has left is not kept


class Trackers:
    """Where numbers of a run are sent: accelerate's trackers by name. A run that goes on continues its curves.

    Parameters
    ----------
    names
        "tensorboard", "wandb", "mlflow", …; TensorBoard, the default, is left out where it is not installed.
    out
        The run's folder; files go to a folder of the tracker's name in it.
    step
        That the run goes on from.
    """

    def __init__(self, names: Sequence[str], out: Path, step: int, *, cpu: bool) -> None:
        there = all(importlib.util.find_spec(module) for module in (DEFAULT, "accelerate"))
        wanted = [n for n in names if tuple(names) != (DEFAULT,) or there]
        self._trackers = [_tracker(name, out, step, cpu) for name in dict.fromkeys(wanted)]

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of one step."""
        for tracker in self._trackers:
            tracker.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is not yet written."""
        for tracker in self._trackers:
            tracker.finish()


def _tracker(name: str, out: Path, step: int, cpu: bool) -> Any:
    if importlib.util.find_spec("accelerate") is None:
        raise MissingExtra("trackers come through accelerate: install openclap's extra 'train' (docs/install.md)")
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState(cpu=cpu)  # its logger asks for it
    known = {str(kind): made for kind, made in LOGGER_TYPE_TO_CLASS.items()}
    if name not in known:
        raise TrainingError(f"trackers: {name!r} is none; choose from {', '.join(sorted(known))}")
    options: dict[str, Any] = {"logging_dir": str(out)} if known[name].requires_logging_directory else {}
    try:
        if name == DEFAULT:
            options["purge_step"] = step  # what was drawn from there on is not shown: of a run begun anew, all
        made = known[name](name if name == DEFAULT else out.name, **options)
        made.main_process_only = False  # only the first rank makes one
        made.start()
    except ImportError as error:
        raise MissingExtra(
            f"the tracker {name} is not installed ({error}); pip install {name}, or leave it out"
        ) from None
    return made


class EpochLog:
    """log.csv: one line an epoch. Lines of epochs that were not kept, and are done again, are replaced."""

    def __init__(self, out: Path) -> None:
        self._file = out / "log.csv"

    def write(self, epoch: int, step: int, loss: float, logit_scale: float, seconds: float) -> None:
        """The line of an epoch, counted from 1, that is done."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        there = self._file.exists() and epoch > 1
        before = self._file.read_text(encoding="utf-8", errors="replace").splitlines() if there else []
        kept = [line for line in before[1:] if LINE.fullmatch(line) and int(line.partition(",")[0]) < epoch]
        line = f"{epoch},{step},{loss:.4f},{logit_scale:.2f},{seconds:.1f}"
        if epoch == 1 or len(kept) != len(before) - 1:
            with atomic_write(self._file, own=True, sync=True) as part:
                part.write_bytes(("\n".join([HEADER, *kept, line]) + "\n").encode())
            return
        with self._file.open("a", encoding="utf-8") as log:
            log.write(line + "\n")


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=total, loss=math.nan, rate=0.0)

    def update(self, step: int, loss: float, rate: float) -> None:
        """Steps done, mean loss, clips a second."""
        self._progress.update(self._task, completed=step, loss=loss, rate=rate)


@contextmanager
def progress_bar(total: int, show: bool, console: Console) -> Iterator[_Bar]:
    """Steps of a run as a bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[rate]:.0f} clips/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not show) as progress:
        yield _Bar(progress, total)
