"""Read settings from YAML files or plain values; every name and type is checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints, overload

from openclap.coercion import coerce_fields
from openclap.errors import MissingExtra, TrainingError
from openclap.train.rules import check
from openclap.train.settings import Settings, Source, dataclass_of

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
    other = next((name for name in OTHERS if name in values and name not in get_type_hints(kind)), None)
    if other is not None:
        raise TrainingError(f"{where}: {other} is for {OTHERS[other]}; run that, or leave it out")
    settings: Kind = _build(kind, {"sources": (), **values, "folder": folder.resolve()}, where)
    check(settings, where)
    return settings


def _build(cls: type[Any], values: Any, where: str) -> Any:
    """Make a dataclass of settings, and those that its fields hold."""
    if not isinstance(values, dict):
        raise TrainingError(f"{where}: names and values are expected, not {values!r}")
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise TrainingError(
            f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted({*hints} - {'folder'}))}"
        )
    whole = {name: _build_part(hints[name], value, f"{where}: {name}") for name, value in values.items()}
    try:
        return cls(**coerce_fields(cls, whole))
    except ValueError as error:
        raise TrainingError(f"{where}: {error}") from error
    except TypeError as error:
        raise TrainingError(f"{where}: {str(error).split('__init__() ')[-1]}") from error


def _build_part(hint: Any, value: Any, where: str) -> Any:
    """Make the dataclass, such as `augment`, or the tuple of some that a setting holds; other values stay."""
    part = dataclass_of(hint)
    if part is None or (value is None and type(None) in get_args(hint)):
        return value
    if get_origin(hint) is not tuple:
        return _build(part, value or {}, where)
    if not isinstance(value or (), list | tuple):
        kind = "folders" if part is Source else "mappings"
        raise TrainingError(f"{where} is {value!r}; it must be a list of {kind}")
    return tuple(_build(part, one, where) for one in value or ())
