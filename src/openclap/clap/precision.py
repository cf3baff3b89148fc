"""Switches the audio tower of a loaded model to fewer bits, compared with float32 on sounds of every kind.

"bfloat16", "float16"   the same graph; checked with synthesised sounds
"int8"                  calibrated and checked with the user's sounds and synthesised ones
"fast"                  the first of these that the CPU is made for and that passes its check; else float32
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap import backends
from openclap.audio.clips import make_clip
from openclap.audio.load import Sound
from openclap.clap.embed_audio import BATCH, AudioEmbedder, as_list
from openclap.clap.runtime import Runtime
from openclap.errors import ModelError, UsageError
from openclap.normalization import Vectors

__all__ = ["Precision", "use_precision"]

Precision: TypeAlias = Literal["float32", "bfloat16", "float16", "int8", "fast"]
Clips: TypeAlias = list[tuple[Vectors, npt.NDArray[np.bool_]]]
EVERY = 4  # of the synthesised sounds, each fourth is enough to compare bfloat16 with float32


def use_precision(
    runtime: Runtime,
    audio: AudioEmbedder,
    fingerprint: str,
    precision: Precision,
    sounds: Sound | Sequence[Sound] | None = None,
) -> None:
    """Switch the backend from float32 to another precision; torch computes in its own already, by autocast.

    Parameters
    ----------
    sounds
        The user's, to calibrate int8 with beside synthesised ones.

    Raises
    ------
    UsageError
        The backend does not support int8.
    ModelError
        The vectors are too different from those of float32; "fast" takes another precision then.
    MissingExtra
        int8 has to be built, and nncf is not installed.
    """
    if precision == "int8":
        _use_int8(runtime, audio, fingerprint, sounds)
    elif precision in ("bfloat16", "float16"):
        _use_half(runtime, fingerprint, precision)
    elif precision == "fast":
        _use_fastest(runtime, audio, fingerprint)


def _use_fastest(runtime: Runtime, audio: AudioEmbedder, fingerprint: str) -> None:
    """Take what is fastest by the kind of CPU, not by a clock, so that the same machine always decides alike.

    int8 is for CPUs without a data type of two bytes: it is no faster there than these, and less exact.
    """
    if not hasattr(runtime.backend, "use_half"):
        return  # on a GPU torch was told to compute in two bytes already; on a CPU it gains nothing
    halves = backends.native_halves()
    tries = [partial(_use_half, runtime, fingerprint, half) for half in halves]
    if not halves and importlib.util.find_spec("nncf") is not None:
        tries = [partial(_use_int8, runtime, audio, fingerprint, None)]
    for use in tries:
        with contextlib.suppress(ModelError):
            use()
            return


def _use_half(runtime: Runtime, fingerprint: str, half: str) -> None:
    use = getattr(runtime.backend, "use_half", None)
    if use is not None:
        from openclap.synth import synthesise_all  # float32 needs none

        use(half, fingerprint, lambda: _clips_of(runtime, synthesise_all()[::EVERY]))


def _use_int8(runtime: Runtime, audio: AudioEmbedder, fingerprint: str, sounds: Sound | Sequence[Sound] | None) -> None:
    use = getattr(runtime.backend, "use_int8", None)
    if use is None:
        raise UsageError(
            f"int8 runs on openvino alone, not on this backend ({runtime.backend.info}); choose backend openvino"
        )
    from openclap.synth import synthesise_all

    given = [] if sounds is None else as_list(sounds)
    vectors = audio.embed(given, long="auto", batch_size=BATCH, progress=False)
    # sets of sounds are identified by their vectors
    key = f"{fingerprint} {hashlib.blake2b(vectors.round(3).tobytes(), digest_size=8).hexdigest()}"
    use(key, lambda: _clips_of(runtime, [*given, *synthesise_all()]))


def _clips_of(runtime: Runtime, sounds: Sequence[Sound]) -> Clips:
    """The mel (1, V, T, F) of each sound, and whether it is longer than a clip."""
    long: Literal["head", "fusion"] = "head" if runtime.config.fusion is None else "fusion"
    made = [make_clip(sound, runtime.config.front_end, long=long) for sound in sounds]
    return [(clip.mel[None], np.array([clip.longer])) for clip in made]
