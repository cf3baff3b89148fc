"""Switches a model to int8, calibrated with the user's sounds and synthesised ones of every kind."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import make_clip
from openclap.audio.load import Sound
from openclap.clap.embed_audio import BATCH, AudioEmbedder, as_list
from openclap.clap.runtime import Runtime
from openclap.errors import UsageError
from openclap.normalization import Vectors
from openclap.synth import synthesise_all

__all__ = ["use_int8"]


def use_int8(runtime: Runtime, audio: AudioEmbedder, fingerprint: str, sounds: Sound | Sequence[Sound] | None) -> None:
    """Switch the backend to int8, calibrated with the user's sounds, if any, and synthesised ones.

    Raises
    ------
    UsageError
        The backend does not support int8.
    """
    use = getattr(runtime.backend, "use_int8", None)
    if use is None:
        raise UsageError(
            f"int8 runs on openvino alone, not on this backend ({runtime.backend.info}); choose backend openvino"
        )
    given = [] if sounds is None else as_list(sounds)
    vectors = audio.embed(given, long="auto", batch_size=BATCH, progress=False)
    # sets of sounds are identified by their vectors
    key = f"{fingerprint} {hashlib.blake2b(vectors.round(3).tobytes(), digest_size=8).hexdigest()}"

    def clips() -> list[tuple[Vectors, npt.NDArray[np.bool_]]]:
        long: Literal["head", "fusion"] = "head" if runtime.config.fusion is None else "fusion"
        made = [make_clip(sound, runtime.config.front_end, long=long) for sound in (*given, *synthesise_all())]
        return [(clip.mel[None], np.array([clip.longer])) for clip in made]

    use(key, clips)
