"""Read settings from YAML files or plain values; every name and type is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints, overload

from openclap.coercion import coerce_fields
from openclap.errors import MissingExtra, TrainingError
from openclap.train.rules import check
from openclap.train.settings import Settings, Source

__all__ = ["read_settings", "read_yaml", "settings_of"]

Kind = TypeVar("Kind", bound=Settings)
OTHERS = {
    "teacher": "distill",
    "distill": "distill",
    "supervised": "finetune",
    "taggers": "distill",
    "tags": "distill",
    "play": "distill",
}  # settings that belong to another verb


@overload
def read_settings(path: Path, /, **changes: Any) -> Settings: ...
@overload
def read_settings(path: Path, kind: type[Kind], /, **changes: Any) -> Kind: ...
def read_settings(path: Path, kind: type[Any] = Settings, /, **changes: Any) -> Any:
    """Read settings from a YAML file; `changes` replace its top-level values.

    Parameters
    ----------
    kind
        Settings, or the subclass of a task, which adds settings of its own.

    Raises
    ------
    TrainingError
        A file that is missing or no YAML; an unknown, missing or ill-typed value.
    """
    return settings_of({**read_yaml(path), **changes}, path.resolve().parent, str(path), kind)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a mapping of names to values from a YAML file."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra("training reads YAML: install openclap's extra 'train' (docs/install.md)") from None
    try:
        data = yaml.safe_load(path.read_bytes())  # UTF-8, or UTF-16 where the file begins with its mark
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}; give a training configuration (YAML)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise TrainingError(f"{path}: a mapping of names to values is expected, not {type(data).__name__}")
    if not all(isinstance(key, str) for key in data):
        raise TrainingError(f"{path}: every name must be a word")
    return data


def settings_of(values: Mapping[str, Any], folder: Path, where: str, kind: type[Kind]) -> Kind:
    """Make settings from plain values, as if a YAML file in `folder` held them; error messages begin with `where`.

    Raises
    ------
    TrainingError
        An unknown, missing or ill-typed value.
    """
    data = dict(values)
    for name, (part, what) in _lists(kind).items():
        given = data.get(name) or ()
        if not isinstance(given, list | tuple):
            raise TrainingError(f"{where}: {name} is {given!r}; it must be a list of {what}")
        data[name] = tuple(_build(part, values, f"{where}: {name}") for values in given)
    for name, part in _parts(kind).items():
        if data.get(name) is not None or name == "augment":
            data[name] = _build(part, data.get(name) or {}, f"{where}: {name}")
    other = next((name for name in OTHERS if name in data and name not in {f.name for f in fields(kind)}), None)
    if other is not None:
        raise TrainingError(f"{where}: {other} is for {OTHERS[other]}; run that, or leave it out")
    settings: Kind = _build(kind, {**data, "folder": folder.resolve()}, where)
    check(settings, where)
    return settings


def _lists(kind: type[Settings]) -> dict[str, tuple[type[Any], str]]:
    """The settings that are lists of mappings: the dataclass of an entry, and what error messages call the entries."""
    found: dict[str, tuple[type[Any], str]] = {}
    for name, hint in get_type_hints(kind).items():
        options = get_args(hint) if get_origin(hint) is tuple else ()
        part = next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)
        if part is not None:
            found[name] = part, "folders" if part is Source else "mappings"
    return found


def _parts(kind: type[Settings]) -> dict[str, type[Any]]:
    """The settings that hold settings of their own, such as `augment`: the dataclass of each."""
    found: dict[str, type[Any]] = {}
    for name, hint in get_type_hints(kind).items():
        options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        part = next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)
        if part is not None:
            found[name] = part
    return found


def _build(cls: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise TrainingError(f"{where}: names and values are expected, not {values!r}")
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise TrainingError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known - {'folder'}))}")
    try:
        return cls(**coerce_fields(cls, values))
    except ValueError as error:
        raise TrainingError(f"{where}: {error}") from error
    except TypeError as error:
        raise TrainingError(f"{where}: {str(error).split('__init__() ')[-1]}") from error
