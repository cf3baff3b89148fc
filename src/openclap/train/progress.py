"""Show how a run goes: a progress bar, log.csv with a line for each epoch, and trackers such as TensorBoard."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from openclap.atomic_write import atomic_write
from openclap.errors import MissingExtra, TrainingError

__all__ = ["Trackers", "log_epoch", "progress_bar"]

DEFAULT = "tensorboard"
HEADER = "epoch,step,loss,logit_scale,seconds"
LINE = re.compile(r"\d+(,[^,]+){4}")  # other lines come from elsewhere or were cut by a kill: they are dropped


class Trackers:
    """The trackers of accelerate that the numbers of a run are sent to; a resumed run continues its curves.

    Parameters
    ----------
    names
        "tensorboard", "wandb", "mlflow", …; TensorBoard alone, the default, is left out where it is not installed.
    out
        The folder of the run; a tracker writes to a folder of its name in it.
    step
        The step that the run goes on from.
    """

    def __init__(self, names: Sequence[str], out: Path, step: int, *, cpu: bool) -> None:
        there = all(importlib.util.find_spec(module) for module in (DEFAULT, "accelerate"))
        wanted = [n for n in names if tuple(names) != (DEFAULT,) or there]
        self._trackers = [_start_tracker(name, out, step, cpu) for name in dict.fromkeys(wanted)]

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Send the numbers of one step."""
        for tracker in self._trackers:
            tracker.log(dict(values), step=step)

    def close(self) -> None:
        """Write what has not been written yet."""
        for tracker in self._trackers:
            tracker.finish()


def _start_tracker(name: str, out: Path, step: int, cpu: bool) -> Any:
    if importlib.util.find_spec("accelerate") is None:
        raise MissingExtra("trackers come through accelerate: install openclap's extra 'train' (docs/install.md)")
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState(cpu=cpu)  # the logger of accelerate needs it
    known = {str(kind): made for kind, made in LOGGER_TYPE_TO_CLASS.items()}
    if name not in known:
        raise TrainingError(f"trackers: {name!r} is none; choose from {', '.join(sorted(known))}")
    options: dict[str, Any] = {"logging_dir": str(out)} if known[name].requires_logging_directory else {}
    try:
        if name == DEFAULT:
            options["purge_step"] = step  # hides older points from this step on: all, where a run begins anew
        made = known[name](name if name == DEFAULT else out.name, **options)
        made.main_process_only = False  # only the first rank makes trackers
        made.start()
    except ImportError as error:
        raise MissingExtra(
            f"the tracker {name} is not installed ({error}); pip install {name}, or leave it out"
        ) from None
    return made


def log_epoch(out: Path, epoch: int, step: int, loss: float, logit_scale: float, seconds: float) -> None:
    """Write the line of a finished epoch, counted from 1, to log.csv, instead of those that a run repeats."""
    file = out / "log.csv"
    out.mkdir(parents=True, exist_ok=True)
    there = file.exists() and epoch > 1
    before = file.read_text(encoding="utf-8", errors="replace").splitlines() if there else []
    kept = [line for line in before[1:] if LINE.fullmatch(line) and int(line.partition(",")[0]) < epoch]
    line = f"{epoch},{step},{loss:.4f},{logit_scale:.2f},{seconds:.1f}"
    if epoch == 1 or len(kept) != len(before) - 1:
        with atomic_write(file, own=True, sync=True) as part:
            part.write_bytes(("\n".join([HEADER, *kept, line]) + "\n").encode())
        return
    with file.open("a", encoding="utf-8") as log:
        log.write(line + "\n")


@contextmanager
def progress_bar(total: int, show: bool, console: Console) -> Iterator[Callable[..., None]]:
    """Show the steps of a run as a bar → what takes `completed` steps, the `loss` and the `rate` in clips/s."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TextColumn("{task.fields[rate]:.0f} clips/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not show) as progress:
        yield partial(progress.update, progress.add_task("training", total=total, loss=math.nan, rate=0.0))
