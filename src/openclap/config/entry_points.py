"""What other packages bring by entry points. It is found without importing them, and imported when it is asked for."""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

from openclap.errors import ModelError, OpenClapError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

__all__ = ["find_points", "import_point", "package_of", "unusable"]


def find_points(group: str) -> EntryPoints:
    """The entry points of a group."""
    return _all_points().select(group=group)


@cache
def _all_points() -> Any:
    """All entry points. Read once, and not before they are needed: it takes some 20 ms."""
    from importlib.metadata import entry_points

    return entry_points()


def package_of(point: EntryPoint) -> str:
    """The package that brings an entry point, with its version: "acme-sounds 1.2"."""
    try:
        return f"{point.dist.name} {point.dist.version}"  # type: ignore[union-attr]
    except Exception:  # its METADATA is missing or damaged, for which every Python raises something else
        return "an installed package"


def import_point(name: str, what: str, package: str | None) -> Any:
    """Import what "module:name" names; `what` says what it is for, `package` who brings it: None is openclap.

    Raises
    ------
    ModelError
        It cannot be imported; the message names the package.
    """
    try:
        return pkgutil.resolve_name(name)
    except (Exception, SystemExit) as error:  # code of others can raise anything
        if package is None or isinstance(error, OpenClapError):
            raise
        raise unusable(what, package, error) from error


def unusable(what: str, package: str, error: BaseException) -> ModelError:
    """The error of what code of another package raised."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ModelError(f"{what} of {package} cannot be used ({reason}); install what it needs, or update it")
