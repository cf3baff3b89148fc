"""The audio graph in int8: two to four times as fast, with slightly different vectors. Text towers stay float32.

Ranges are calibrated on clips that the caller gives. The graph is then compared with float32 on other clips, and
refused where it differs too much. It is cached on disk by checkpoint, calibration, engine and processor, because what
int8 rounds and saturates depends on all four.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.backends import compile_cache
from openclap.errors import MissingExtra, ModelError, UsageError
from openclap.plurals import count_noun

__all__ = ["Clips", "load_or_quantise"]

Clips: TypeAlias = Sequence[list[npt.NDArray[Any]]]  # the inputs of the audio graph, one clip each

MEAN_COSINE, WORST_COSINE = 0.99, 0.95  # with float32, over the clips of the self-check
VERSION = 3  # of the way the graph is quantised
CHECK_EVERY = 3  # every third clip is used for the self-check, not for calibration
MIN_CLIPS = 12  # clips


def load_or_quantise(
    build: Callable[[], Any], clips: Callable[[], Clips], key: str, run: Callable[[Any, Clips], Any]
) -> tuple[Any, str]:
    """The int8 form of a graph, from disk where it was built before, and a name that no other graph has.

    Parameters
    ----------
    build
        Makes the float32 graph.
    clips
        Makes the clips to calibrate and check with; called where the graph has to be built.
    key
        Differs between checkpoints, between versions of the graph's code, and between sets of clips.
    run
        Compiles a graph and gives its rows (N, E) for some clips.

    Raises
    ------
    MissingExtra
        The graph has to be built, and nncf is not installed.
    ModelError
        The int8 graph is too different from float32.
    """
    from openclap.backends.graphs.engine import ov

    core = ov.Core()
    device = core.get_property("CPU", "FULL_DEVICE_NAME")
    facts = (key, VERSION, ov.get_version(), device, MEAN_COSINE, WORST_COSINE)
    name = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    file = user_cache_path("openclap") / "int8" / f"{name}.graph"
    content = compile_cache.map_cached(file)
    if content is not None:
        return _unpack(core, content.tobytes()), name
    quantised = _quantise(build(), clips(), run)
    compile_cache.write_cached(file, _pack(ov, quantised))
    return quantised, name


def _quantise(model: Any, clips: Clips, run: Callable[[Any, Clips], Any]) -> Any:
    """Quantise a graph with most of the clips, and compare it with float32 on the others."""
    distinct = list({b"".join(part.tobytes() for part in clip): clip for clip in clips}.values())
    if len(distinct) < MIN_CLIPS:
        raise UsageError(
            f"{count_noun(len(distinct), 'different sound is', 'different sounds are')} too few to calibrate int8"
            f" with; give {MIN_CLIPS} or more"
        )
    check_clips = distinct[::CHECK_EVERY]
    calibration_clips = [clip for i, clip in enumerate(distinct) if i % CHECK_EVERY]
    expected = run(model, check_clips)
    nncf = _nncf()
    with contextlib.redirect_stdout(sys.stderr):  # results alone go to stdout
        quantised = nncf.quantize(
            model,
            nncf.Dataset(calibration_clips),
            subset_size=len(calibration_clips),
            ignored_scope=_first_convolution(nncf, model),
        )
    cosine = (expected * run(quantised, check_clips)).sum(1)
    if not (cosine.mean() >= MEAN_COSINE and cosine.min() >= WORST_COSINE):
        raise ModelError(
            f"int8 was refused: its cosine with float32 over {len(check_clips)} sounds is {cosine.mean():.4f} on"
            f" average and {cosine.min():.4f} at worst (at least {MEAN_COSINE} and {WORST_COSINE} are asked for); use"
            " float32, or calibrate with more sounds of your kind"
        )
    return quantised


def _first_convolution(nncf: Any, model: Any) -> Any:
    """The scope that stays float32: the first convolution; None where there is none, as in HTSAT's graph.

    It is cheap, and eight bits are too few for a mel with quiet and loud parts (cosine of mini: 0.988 → 0.998).
    """
    names = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
    return nncf.IgnoredScope(names=names[:1], validate=False) if names else None


def _nncf() -> Any:
    """Import nncf without its messages."""
    try:
        logging.getLogger("nncf").setLevel(logging.ERROR)
        import nncf
    except ImportError:
        raise MissingExtra("int8 is built by nncf; install openclap's extra 'int8' (docs/install.md)") from None
    nncf.set_log_level(logging.ERROR)
    return nncf


def _pack(ov: Any, model: Any) -> bytes:
    """A graph as bytes: the length of its XML, the XML, the weights."""
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(model, Path(folder, "audio.xml"), compress_to_fp16=False)
        text, weights = Path(folder, "audio.xml").read_bytes(), Path(folder, "audio.bin").read_bytes()
    return len(text).to_bytes(8, "little") + text + weights


def _unpack(core: Any, content: bytes) -> Any:
    """The graph that `_pack` turned into bytes."""
    length = int.from_bytes(content[:8], "little")
    return core.read_model(content[8 : 8 + length], content[8 + length :])
