"""Explain the settings of training: as tables for the documentation, and as a commented YAML file.

The meaning of a setting is the comment beside it in its dataclass, or the comment lines above it.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

from openclap.errors import UsageError
from openclap.train.settings import Settings, dataclass_of

__all__ = ["Setting", "commented_yaml", "settings_of_class", "settings_table", "write_configuration", "yaml_value"]

FIELD = re.compile(r" {4}(\w+): (?:.*?  # (.*))?")
COMMENT = re.compile(r" {4}# (.*)$")
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}
HEADER = """\
# A configuration of  openclap train , with every setting.
# Lines that begin with  #:  show what holds when nothing is said; take the  #:  away to change one.
# Paths are relative to this file. More: docs/training.md
"""
EXAMPLE = """\
out: model  # {out}
init: mini  # {init}
sources:
- folder: sounds  # {folder}
"""
IN_EXAMPLE = {"out", "init", "sources"}  # settings of EXAMPLE, which are not listed again as defaults


@dataclass(frozen=True)
class Setting:
    """One setting: its name, its type in words, its default (MISSING: it must be given), and its meaning."""

    name: str
    kind: str
    default: Any
    meaning: str
    part: type[Any] | None = None  # the dataclass of a setting that holds settings of its own


def settings_table(kind: type[Any], *, without: type[Any] | None = None) -> str:
    """A Markdown table of the settings of a dataclass, except those that the dataclass `without` has too."""
    excluded = {field.name for field in fields(without)} if without else set()
    rows = ["| setting | may be | default | |", "|---|---|---|---|"]
    for setting in settings_of_class(kind):
        if setting.name not in excluded:
            cells = (f"`{setting.name}`", setting.kind, _format_default(setting), setting.meaning)
            rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def commented_yaml() -> str:
    """A configuration for `openclap train`: an example of what must be given, and every default after `#:`."""
    known = {setting.name: setting.meaning for setting in settings_of_class(Settings)}
    sources = next(setting for setting in settings_of_class(Settings) if setting.name == "sources")
    assert sources.part is not None
    folder, *others = settings_of_class(sources.part)
    lines = [HEADER, EXAMPLE.format(out=known["out"], init=known["init"], folder=folder.meaning).rstrip()]
    lines += [f"#:   {_yaml_line(other)}" for other in others]
    lines.append("")
    for setting in settings_of_class(Settings):
        if setting.name in IN_EXAMPLE:
            continue
        if setting.part is None:
            lines.append(f"#: {_yaml_line(setting)}")
        else:
            lines += ["", f"# {setting.name}: {setting.meaning}", f"#: {setting.name}:"]
            lines += [f"#:   {_yaml_line(inner)}" for inner in settings_of_class(setting.part)]
            lines.append("")
    return "\n".join(lines) + "\n"


def write_configuration(path: Path) -> None:
    """Write the commented configuration to a new file.

    Raises
    ------
    UsageError
        A file of this name exists, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(commented_yaml())
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already, and is not written over; give another name, or remove it"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror or error}); give another name") from error


def settings_of_class(kind: type[Any]) -> list[Setting]:
    """The settings of a dataclass, inherited ones too, in the order of its fields, without `folder` of Settings."""
    comments = {
        name: found for base in reversed(kind.__mro__) if is_dataclass(base) for name, found in _comments_of(base)
    }
    hints = get_type_hints(kind)
    return [
        Setting(
            field.name,
            _describe_type(hints[field.name]),
            _default_of(field),
            comments.get(field.name, ""),
            dataclass_of(hints[field.name]),
        )
        for field in fields(kind)
        if not (field.name == "folder" and issubclass(kind, Settings))
    ]


def _comments_of(kind: Any) -> Iterator[tuple[str, str]]:
    """The comment of each field in the source code of a dataclass."""
    above: list[str] = []
    for line in inspect.getsource(kind).splitlines():
        comment, field = COMMENT.match(line), FIELD.match(line)
        if comment:
            above.append(comment[1])
        elif field:
            yield field[1], "; ".join(part for part in (" ".join(above), field[2]) if part)
            above = []
        elif not line.strip():
            above = []


def _default_of(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _describe_type(hint: Any) -> str:
    """Describe a type in words."""
    options = get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{option}`" for option in options)
    if typing.get_origin(hint) is tuple:
        return f"list: {_describe_type(options[0])}" if options[-1] is ... else f"{len(options)} numbers"
    if type(None) in options:
        return f"{_describe_type(options[0])}, or left out"
    return "mapping"


def _yaml_line(setting: Setting) -> str:
    comment = f"  # {setting.meaning}" if setting.meaning else ""
    return f"{setting.name}: {yaml_value(setting.default)}{comment}"


def yaml_value(value: Any) -> str:
    """Write a plain value in one line of YAML; 1e-4 becomes 0.0001, since YAML takes the short form for text."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {yaml_value(part)}' for name, part in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(yaml_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else repr(value)


def _format_default(setting: Setting) -> str:
    if setting.default is MISSING:
        return "must be given"
    if setting.part is not None:
        return "see below"
    return f"`{yaml_value(setting.default)}`"
