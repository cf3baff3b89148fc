"""The audio graph in int8: two to four times as fast, a little different, and only after it has proved itself.

Ranges are calibrated on clips that the caller gives. What was built is compared with float32 on clips that were not
used to calibrate it, and refused where it has drifted. Kept on disk by checkpoint, calibration, engine and processor,
because what int8 rounds and saturates depends on all four. Text towers stay float32.
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
from openclap.backends.graphs import code_digest
from openclap.errors import MissingExtra, ModelError, UsageError
from openclap.plurals import count_noun

__all__ = ["CHECK_EVERY", "MEAN_COSINE", "WORST_COSINE", "Clips", "load_or_quantise"]

Clips: TypeAlias = Sequence[list[npt.NDArray[Any]]]  # the inputs of the audio graph, one clip each

MEAN_COSINE, WORST_COSINE = 0.99, 0.95  # with float32, over the clips of the self-check
VERSION = 3  # of how it is built
CHECK_EVERY = 3  # one clip of so many is kept for the self-check
FEWEST = 12  # clips


def load_or_quantise(
    build: Callable[[], Any], clips: Callable[[], Clips], key: str, run: Callable[[Any, Clips], Any]
) -> tuple[Any, str]:
    """The int8 form of a graph, from disk where it was built before, and a name that tells it from all others.

    Parameters
    ----------
    build
        Makes the float32 graph.
    clips
        Makes the clips to calibrate and check with; only called when there is something to build.
    key
        Tells checkpoints and calibrations apart.
    run
        Compiles a graph and gives its rows (N, E) for some clips, on one stream.

    Raises
    ------
    MissingExtra
        It must be built, and nncf is not installed.
    ModelError
        It was built, and is too different from float32.
    """
    from openclap.backends.graphs.engine import ov

    core = ov.Core()
    device = core.get_property("CPU", "FULL_DEVICE_NAME")
    facts = (key, VERSION, code_digest(), ov.get_version(), device, MEAN_COSINE, WORST_COSINE)
    name = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    place = user_cache_path("openclap") / "int8" / f"{name}.graph"
    content = compile_cache.read_cached(place)
    if content is not None:
        return _unpack(core, content), name
    made = _quantise(build(), clips(), run)
    compile_cache.write_cached(place, _pack(ov, made))
    return made, name


def _quantise(model: Any, clips: Clips, run: Callable[[Any, Clips], Any]) -> Any:
    different = list({b"".join(part.tobytes() for part in clip): clip for clip in clips}.values())
    if len(different) < FEWEST:
        raise UsageError(
            f"{count_noun(len(different), 'different sound is', 'different sounds are')} too few to calibrate int8"
            f" with; give {FEWEST} or more"
        )
    held = different[::CHECK_EVERY]
    shown = [clip for i, clip in enumerate(different) if i % CHECK_EVERY]
    expected = run(model, held)
    nncf = _nncf()
    with contextlib.redirect_stdout(sys.stderr):  # results alone go to stdout
        made = nncf.quantize(
            model, nncf.Dataset(shown), subset_size=len(shown), ignored_scope=_first_convolution(nncf, model)
        )
    cosine = (expected * run(made, held)).sum(1)
    if not (cosine.mean() >= MEAN_COSINE and cosine.min() >= WORST_COSINE):
        raise ModelError(
            f"int8 was refused: its cosine with float32 over {len(held)} sounds is {cosine.mean():.4f} on average and"
            f" {cosine.min():.4f} at worst (at least {MEAN_COSINE} and {WORST_COSINE} are asked for); use float32, or"
            " calibrate with more sounds of your kind"
        )
    return made


def _first_convolution(nncf: Any, model: Any) -> Any:
    """What stays float32: it is cheap, and hears quiet and loud parts of a mel at once, of which eight bits are too few (mini: 0.988 → 0.998)."""
    first = next(one.get_friendly_name() for one in model.get_ordered_ops() if one.get_type_name() == "Convolution")
    return nncf.IgnoredScope(names=[first], validate=False)


def _nncf() -> Any:
    try:
        logging.getLogger("nncf").setLevel(logging.ERROR)
        import nncf
    except ImportError:
        raise MissingExtra("int8 is built by nncf; install openclap's extra 'int8' (docs/install.md)") from None
    nncf.set_log_level(logging.ERROR)
    return nncf


def _pack(ov: Any, model: Any) -> bytes:
    """The length of the description, the description, the weights."""
    with tempfile.TemporaryDirectory() as aside:
        ov.save_model(model, Path(aside, "audio.xml"), compress_to_fp16=False)
        text, weights = Path(aside, "audio.xml").read_bytes(), Path(aside, "audio.bin").read_bytes()
    return len(text).to_bytes(8, "little") + text + weights


def _unpack(core: Any, content: bytes) -> Any:
    length = int.from_bytes(content[:8], "little")
    return core.read_model(content[8 : 8 + length], content[8 + length :])
