"""The file of a head on frozen embeddings: arrays and facts in one .safetensors; the same head gives the same bytes.

This is what `openclap.detector.Detector` and `openclap.eval.head.Head` have in common.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from openclap.atomic_write import atomic_write
from openclap.errors import Hint, OpenClapError, UsageError
from openclap.regular_files import require_regular

__all__ = ["HeadFormat", "embeddings_of"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HeadFormat:
    """The file format of one kind of head.

    Attributes
    ----------
    name, version
        Name and version of the format, which are in every file.
    what
        The name in messages, such as "detector".
    error
        The class of the error for a file of another kind or version.
    make
        How a head is made.
    largest
        The largest size of a file, in bytes.
    """

    name: str
    version: str
    what: str
    error: type[OpenClapError]
    make: Hint
    largest: int

    def write(
        self, target: Path, arrays: Mapping[str, Floats], facts: Mapping[str, str], *, make_folder: bool = False
    ) -> None:
        """Write a file under another name and rename it; `make_folder` also makes its folder.

        Raises
        ------
        UsageError
            The place cannot be written to.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save

        try:
            content = save(
                {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
                metadata={"format": self.name, "version": self.version, **facts},
            )
            if make_folder:
                target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as part:
                part.write_bytes(_in_order(content))
        except (OSError, SafetensorError, ValueError) as error:  # ValueError: no file can have this name
            raise UsageError(f"{target} cannot be written ({error}); choose another place") from error

    def read(self, path: Path) -> tuple[dict[str, str], dict[str, Floats]]:
        """Read the facts and float32 arrays of a file; other arrays are skipped, since numpy may not know their type.

        Raises
        ------
        OpenClapError
            Of the class `error`: the file is missing, of another kind, or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            require_regular(path)
            if path.stat().st_size > self.largest:
                raise OSError("it is too large for one")
            with safe_open(path, framework="numpy") as file:
                facts = dict(file.metadata() or {})
                every = list(file.keys())
                arrays = {name: file.get_tensor(name) for name in every if file.get_slice(name).get_dtype() == "F32"}
        except (SafetensorError, OSError) as error:
            raise self.error(f"{path}: cannot be read as a {self.what} ({error})", self.make) from error
        if facts.get("format") != self.name:
            raise self.error(f"{path}: not a file of a {self.what}", self.make)
        if facts.get("version") != self.version:
            raise self.error(
                f"{path}: is a {self.what} of version {facts.get('version')}, this openclap reads {self.version};"
                " update it"
            )
        return facts, arrays


def embeddings_of(given: npt.ArrayLike, size: int, who: str, error: type[OpenClapError]) -> Floats:
    """Embeddings (N, `size`) as float32; those of another size raise `error`, which names `who` takes them."""
    rows = np.asarray(given, np.float32)
    if rows.ndim != 2 or rows.shape[1] != size:
        raise error(f"{who} takes embeddings of {size} numbers (N, {size}), not {rows.shape}")
    return rows


def _in_order(file: bytes) -> bytes:
    """Sort the header of a safetensors file, since the library writes it in another order every time."""
    size = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[8 + size :]
