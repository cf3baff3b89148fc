"""A model as a folder of ONNX files, for programs without openclap: waves in, vectors out; token ids in, vectors out.

    audio.onnx        wave (B, S) at the model's rate, any length → embedding (B, E)
    text.onnx         input_ids, attention_mask (B, L) → embedding (B, E)
    audio.int8.onnx   the same in less space and time, with slightly different vectors
    text.int8.onnx
    tokenizer.json    texts → ids, for the library `tokenizers` and its relatives
    self_check.json   inputs and what must come out
    confidence.json   what turns a cosine into a confidence, where the model has curves of its own
    manifest.json     what all this is; written last

Before the manifest is written every file is run on the inputs of self_check.json.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclap.atomic_write import atomic_write, write_json
from openclap.backends import why_no_graph
from openclap.backends.graphs.whole import why_no_token_graph
from openclap.backends.onnx.graphs import onnx_graph
from openclap.backends.onnx.int8 import quantise
from openclap.checkpoints.tokenizer import load_fast_tokenizer
from openclap.checkpoints.weights import Weights
from openclap.clap.onnx_check import EXACT, WORST_COSINE, ExportableModel, OnnxCheck, calibration_waves, to_numbers
from openclap.confidence import has_own_curves, reference_bank
from openclap.errors import ModelError, ModelWarning, UsageError
from openclap.normalization import Vectors
from openclap.synth import synthesise_all
from openclap.warn_caller import warn_caller

if TYPE_CHECKING:
    import onnx

__all__ = ["FORMAT_NAME", "FORMAT_VERSION", "OnnxExport", "export_onnx"]

FORMAT_NAME, FORMAT_VERSION = "openclap-onnx", 1
MANIFEST, SELF_CHECK, TOKENIZER, CONFIDENCE = "manifest.json", "self_check.json", "tokenizer.json", "confidence.json"
TOWERS = ("audio", "text")


@dataclass(frozen=True)
class OnnxFile:
    """A graph that was written: its size, and how near its vectors are to openclap's own."""

    file: str
    tower: str
    precision: str
    bytes: int
    sha256: str
    worst_cosine: float = 1.0


@dataclass(frozen=True)
class OnnxExport:
    """What was written into a folder."""

    folder: Path
    model: str
    files: tuple[OnnxFile, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"folder": str(self.folder), "model": self.model, "files": [asdict(one) for one in self.files]}


def export_onnx(
    clap: ExportableModel, weights: Weights, folder: str | os.PathLike[str], *, int8: bool, say: Callable[[str], None]
) -> OnnxExport:
    """As `CLAP.export_onnx`, with the current weights of the model."""
    why_not = why_no_graph(clap.config) or why_no_token_graph(clap.config.text)
    if why_not is not None:
        raise ModelError(f"{clap.name} cannot be written as ONNX: {why_not}; choose another model")
    if clap.backend.info.dtype != "float32":
        raise UsageError(f"{clap.name} computes in {clap.backend.info.dtype}; load it in float32 to export it")
    target = Path(os.path.expanduser(folder))
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file; give a folder to export to")
    check = OnnxCheck.of(clap)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in (MANIFEST, CONFIDENCE, *(file_name(tower, "int8") for tower in TOWERS)):
            (target / name).unlink(missing_ok=True)  # of an export that was here before
        writer = _TowerWriter(clap, weights, target, say, check, synthesise_all() if int8 else [])
        files = [file for tower in TOWERS for file in writer.write(tower)]
        _write_tokenizer(clap, target / TOKENIZER)
        write_json(target / SELF_CHECK, check.to_dict(), own=True)
        if has_own_curves(clap):
            write_json(target / CONFIDENCE, _confidence(clap), own=True)
        write_json(target / MANIFEST, _manifest(clap, files), own=True)
    except OSError as error:
        raise UsageError(f"{target} cannot be written to ({error.strerror or error}); choose another folder") from error
    return OnnxExport(target, clap.name, tuple(files))


def file_name(tower: str, precision: str) -> str:
    """The file of a tower: audio.onnx, audio.int8.onnx."""
    return f"{tower}.onnx" if precision == "float32" else f"{tower}.{precision}.onnx"


@dataclass(frozen=True)
class _TowerWriter:
    """Writes the graphs of a tower, and checks each file as it lies on the disk."""

    clap: ExportableModel
    weights: Weights
    target: Path
    say: Callable[[str], None]
    check: OnnxCheck
    sounds: Sequence[tuple[Vectors, int]]  # to calibrate int8 with and to check it; none where no int8 is wanted

    def write(self, tower: str) -> Iterator[OnnxFile]:
        """Write a tower in float32, and in int8 where that is asked for and near enough."""
        self.say(f"writing the {tower} tower")
        graph = self._graph(tower)
        file = self._write(tower, "float32", graph.SerializeToString(deterministic=True))
        difference, cosine = self.check.compare(self.target / file.file, tower)
        if difference > EXACT:
            raise ModelError(
                f"{file.file} differs by {difference:.1e} from what {self.clap.name} gives here, at most {EXACT:g} is"
                " allowed; please report this"
            )
        yield replace(file, worst_cosine=round(cosine, 4))
        if self.sounds:
            yield from self._write_int8(tower, graph)

    def _write_int8(self, tower: str, graph: onnx.ModelProto) -> Iterator[OnnxFile]:
        self.say(f"rounding the {tower} tower to int8")
        if tower == "text":  # its table of word vectors, too
            graph = self._graph(tower, int8_rows=True)
        waves = calibration_waves(self.clap, self.sounds) if tower == "audio" else ()
        file = self._write(tower, "int8", quantise(graph, waves))
        checks = self.check, OnnxCheck.of_int8(self.clap, tower, self.sounds)
        cosine = min(check.compare(self.target / file.file, tower)[1] for check in checks)
        if cosine < WORST_COSINE:
            (self.target / file.file).unlink()
            warn_caller(
                f"{self.clap.name}: no {file.file} was written, as its worst cosine with float32 is {cosine:.4f};"
                f" {WORST_COSINE} is the least",
                ModelWarning,
            )
            return
        yield replace(file, worst_cosine=round(cosine, 4))

    def _graph(self, tower: str, *, int8_rows: bool = False) -> onnx.ModelProto:
        clap = self.clap
        facts = {
            "model": clap.name,
            "fingerprint": clap.fingerprint,
            "licence": clap.config.licence,
            "openclap": version(),
        }
        return onnx_graph(clap.config, self.weights, tower, facts, int8_rows=int8_rows)

    def _write(self, tower: str, precision: str, content: bytes) -> OnnxFile:
        file = self.target / file_name(tower, precision)
        with atomic_write(file, own=True) as part:
            part.write_bytes(content)
        return OnnxFile(file.name, tower, precision, len(content), hashlib.sha256(content).hexdigest())


# -- what lies beside the graphs ---------------------------------------------------------------------


def _write_tokenizer(clap: ExportableModel, target: Path) -> None:
    source = clap.checkpoint.tokenizer_file
    assert source is not None, "the texts of the check have been embedded"
    with atomic_write(target, own=True) as part:
        if source.name == "vocab.json":
            load_fast_tokenizer(source).save(str(part))
        else:
            shutil.copyfile(source, part)


def _confidence(clap: ExportableModel) -> dict[str, Any]:
    """What `ReferenceBank.confidence` takes for a query in words."""
    bank = reference_bank(clap)
    return {
        "words": list(bank.curves.words),
        "unlikely": bank.curves.unlikely,
        "texts": to_numbers(bank.texts),
        "sounds": to_numbers(bank.sounds),
    }


def _manifest(clap: ExportableModel, files: list[OnnxFile]) -> dict[str, Any]:
    config, front, text = clap.config, clap.front_end, clap.config.text
    begin, end = text.ends
    return {
        "format": FORMAT_NAME,
        "format_version": FORMAT_VERSION,
        "model": clap.name,
        "fingerprint": clap.fingerprint,
        "licence": config.licence,
        "openclap": version(),
        "sample_rate": front.sampling_rate,
        "clip_seconds": front.clip_seconds,
        "window_seconds": front.clip_seconds,
        "hop_seconds": front.clip_seconds / 2,
        "long": "windows" if config.fusion is None else "fusion",
        "embedding_size": config.embedding,
        "logit_scale": clap.logit_scale,
        "files": [asdict(one) for one in files],
        "tokenizer": {
            "file": TOKENIZER,
            "suffix": text.suffix,
            "begin_ids": list(begin),
            "end_ids": list(end),
            "pad_id": text.pad_id,
            "max_tokens": clap.tokenizer.most,
        },
        "self_check": SELF_CHECK,
        "confidence": CONFIDENCE if has_own_curves(clap) else None,
    }


def version() -> str:
    """The version of openclap that is installed."""
    return importlib.metadata.version("openclap")
