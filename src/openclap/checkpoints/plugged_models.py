"""Models of other packages, by the entry point `openclap.models`: listed without importing them, loaded by name.

[project.entry-points."openclap.models"]
mymodel = "mypackage:load"          load() → a folder that from_pretrained takes, or a config.CustomModel
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeAlias

from openclap.checkpoints.presets import find_preset
from openclap.config import CustomModel
from openclap.config.entry_points import find_points, import_point, package_of, unusable
from openclap.errors import ModelError, OpenClapError, UsageError
from openclap.results import Result

__all__ = ["PluggedModel", "find_plugged", "plugged_models"]

GROUP = "openclap.models"
Made: TypeAlias = Path | CustomModel


@dataclass(frozen=True)
class PluggedModel(Result):
    """A model that a package brings: `package` is its name and version, `note` says why it cannot be used."""

    name: str
    package: str
    note: str = ""
    point: EntryPoint | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Without the entry point, which is no plain value."""
        return {"name": self.name, "package": self.package, "note": self.note}

    def load(self, *, device: str = "auto", threads: int | None = None) -> Made:
        """Import the package and call its function, with `device` and `threads` where it takes them.

        Raises
        ------
        ModelError
            The package is broken, or gives something else; the message names it.
        UsageError
            A device or a number of threads was asked for, and the function does not take it.
        """
        assert self.point is not None
        what = f"the model {self.name!r}"
        function = import_point(self.point.value, what, self.package)
        options = {"device": device, "threads": threads}
        takes = _parameters(function)
        try:
            made = function(**{name: value for name, value in options.items() if name in takes})
        except OpenClapError:
            raise
        except (Exception, SystemExit) as error:  # code of others can raise anything
            raise unusable(what, self.package, error) from error
        if isinstance(made, CustomModel):
            usual = ("auto", made.device, None)
            ignored = [name for name, value in options.items() if value not in usual and name not in takes]
            if ignored:
                raise UsageError(f"{what} of {self.package} takes no {ignored[0]}; leave it out")
            return made
        if not isinstance(made, str | os.PathLike):
            raise ModelError(
                f"{self.point.value} of {self.package} gives {type(made).__name__}, not a folder or a"
                " openclap.config.CustomModel; update that package"
            )
        if not Path(made).exists():
            raise ModelError(f"{what} of {self.package} lies in {os.fspath(made)}, which is not there; install it anew")
        return Path(made)


def _parameters(function: Callable[..., Any]) -> set[str]:
    """The names of what a function takes."""
    try:
        return set(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # it is no function, which is said when it is called
        return set()


def plugged_models() -> list[PluggedModel]:
    """The models that installed packages bring, by name; none of these packages is imported."""
    found: dict[str, PluggedModel] = {}
    for point in sorted(find_points(GROUP), key=lambda point: (point.name, package_of(point))):
        package, name = package_of(point), point.name
        note = "not used: openclap has a model of this name" if find_preset(name) is not None else ""
        if not note and _is_path(name):
            note = "not used: a name that begins with ., ~ or / is a path"
        if name in found and not note:
            packages = f"{found[name].package} and {package}"
            note, package = f"not used: {packages} both bring a model of this name; uninstall one", packages
        found[name] = PluggedModel(name, package, note, point)
    return list(found.values())


def _is_path(name: str) -> bool:
    return name.startswith((".", "~")) or Path(name).is_absolute()


def find_plugged(name: str | os.PathLike[str]) -> PluggedModel | None:
    """The model that a package brings by this name; None for openclap's own names and for paths.

    A name goes before a folder that is called so; `./name` is the folder.

    Raises
    ------
    ModelError
        Several packages bring it.
    """
    if not isinstance(name, str) or find_preset(name) is not None:
        return None
    if _is_path(name):
        return None
    found = next((model for model in plugged_models() if model.name == name), None)
    if found is not None and found.note:
        raise ModelError(f"the model {name!r} is {found.note}")
    return found
