"""Sounds → unit rows: one row for each sound, for each window, or for each clip.

sound ─ clips (fusion, windows or head) ─ pipeline: decoded ahead, batched ─ runtime ─ rows ─ their mean
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import Clip, WindowClip, make_clip, make_windows
from openclap.audio.decode_limits import limit
from openclap.audio.load import Sound, is_sound
from openclap.clap.outputs import UNIT, Wanted
from openclap.clap.runtime import Runtime
from openclap.clap.similarity import is_embedding
from openclap.config.checks import check_count
from openclap.errors import ModelError, SoundError, UsageError
from openclap.normalization import Vectors
from openclap.pipeline import embed_each
from openclap.progress import with_progress
from openclap.results import Windows
from openclap.silence import track_vector

__all__ = ["BATCH", "AudioEmbedder", "Long", "as_list", "require_one"]

Long: TypeAlias = Literal["auto", "windows", "fusion", "head"]

BATCH = 8  # clips, by default


class AudioEmbedder:
    """Embeds sounds with the current weights; the methods are documented in `CLAP`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def embed(
        self,
        sounds: Sound | Sequence[Sound],
        *,
        long: str,
        batch_size: int,
        progress: bool,
        track: int | None = None,
        wanted: Wanted = UNIT,
    ) -> Vectors:
        """As `CLAP.encode_audio`."""
        size, encode = self._batch_size(batch_size), self._encode(wanted)
        many = [limit(sound, track=track) for sound in as_list(sounds)]
        rows: list[Vectors] = [np.zeros(0, np.float32)] * len(many)
        clips_of = partial(self._clips_of, how=self._resolve_long(long))
        for sound in with_progress(
            embed_each(many, clips_of, encode, size, self._runtime.fault_of), "embedding", len(many), show=progress
        ):
            if sound.error is not None:
                raise sound.error
            rows[sound.index] = wanted.merge(sound.rows)
        return np.stack(rows) if rows else np.zeros((0, self._runtime.config.embedding), np.float32)

    def embed_each(
        self,
        sounds: Sequence[Sound],
        *,
        window: float | None,
        hop: float,
        batch_size: int,
        wanted: Wanted = UNIT,
        heard: bool = False,
        long: str = "auto",
    ) -> Iterator[Windows | SoundError]:
        """As `CLAP.encode_each`; with `heard` the one row of a sound is that of the windows in which something is."""
        size, many = self._batch_size(batch_size), as_list(sounds)
        clips: Callable[[Sound], Iterator[Clip | WindowClip]]
        if window is None:
            clips = partial(self._clips_of, how=self._resolve_long(long))
        else:
            front_end, as_waves = self._runtime.config.front_end, self._runtime.backend.takes_waves
            clips = partial(make_windows, front_end=front_end, window=window, hop=hop, as_waves=as_waves)
        for sound in embed_each(many, clips, self._encode(wanted), size, self._runtime.fault_of):
            if sound.error is not None:
                yield sound.error
            elif window is None:
                level = np.array([max(sound.level)], np.float32)
                row = track_vector(np.stack(sound.rows), np.array(sound.level)) if heard else wanted.merge(sound.rows)
                yield Windows(np.zeros(1), np.zeros(1), row[None], level)
            else:
                level = np.array(sound.level, np.float32)
                rows = wanted.finish(np.stack(sound.rows))
                yield Windows(np.array(sound.start), np.array(sound.end), rows, level)

    def embed_windows(
        self,
        sound: Sound,
        *,
        window: float | None,
        hop: float | None,
        batch_size: int,
        track: int | None,
        wanted: Wanted = UNIT,
    ) -> Windows:
        """As `CLAP.encode_windows`."""
        usual = self._runtime.config.front_end.window_seconds
        window, hop = usual if window is None else window, usual / 2 if hop is None else hop
        one = limit(require_one(sound), track=track)
        (found,) = self.embed_each([one], window=window, hop=hop, batch_size=batch_size, wanted=wanted)
        if isinstance(found, SoundError):
            raise found
        return found

    def row_of(self, sound: Sound | Vectors, track: int | None) -> tuple[Vectors, bool]:
        """The row (1, E) of one sound, or of the embedding that stands for it, and whether the sound is silent.

        It is what a sound is named by, so silence around it does not count: a bark before 20 s of silence is a bark.
        """
        if is_embedding(sound, self._runtime.config.embedding):
            return np.asarray(sound, np.float32)[None], False
        one = limit(require_one(sound), track=track)  # type: ignore[arg-type]
        (found,) = self.embed_each([one], window=None, hop=0.0, batch_size=BATCH, heard=True)
        if isinstance(found, SoundError):
            raise found
        return found.embedding, found.is_silent

    def clips(self, sound: Sound, long: str) -> Iterator[Clip | WindowClip]:
        """As `CLAP.clips`."""
        return self._clips_of(require_one(sound), self._resolve_long(long))

    def embed_clips(self, clips: Sequence[Clip | WindowClip]) -> Vectors:
        """As `CLAP.encode_clips`."""
        rows = np.zeros((len(clips), self._runtime.config.embedding), np.float32)
        of_shape: dict[tuple[int, ...], list[int]] = {}
        for i, clip in enumerate(clips):
            of_shape.setdefault(clip.mel.shape, []).append(i)
        for alike in of_shape.values():
            some = [clips[i] for i in alike]
            longer = np.array([isinstance(clip, Clip) and clip.longer for clip in some])
            rows[alike] = self._runtime.encode_audio(np.stack([clip.mel for clip in some]), longer)
        for number, row in enumerate(rows, 1):
            if (fault := self._runtime.fault_of(row)) is not None:
                raise ModelError(f"clip {number} of {len(rows)}: {fault}")
        return rows

    def _encode(self, wanted: Wanted) -> Callable[[Vectors, npt.NDArray[np.bool_]], Vectors]:
        if wanted == UNIT:
            return self._runtime.encode_audio
        return partial(self._runtime.encode_audio, output=wanted.of_tower)

    def _resolve_long(self, long: str) -> str:
        """Replace "auto" by a definite value; refuse what the model cannot do."""
        config = self._runtime.config
        if long not in ("auto", "windows", "fusion", "head"):
            raise UsageError(f"long is {long!r}; choose auto, windows, fusion or head")
        if long == "auto":
            return "windows" if config.fusion is None else "fusion"
        if long == "fusion" and config.fusion is None:
            raise UsageError(f"{config.name} was trained without fusion; choose long='windows' or 'head'")
        return long

    def _clips_of(self, sound: Sound, how: str) -> Iterator[Clip | WindowClip]:
        """The clips of one sound: a single one, or one for each window."""
        front_end, as_waves = self._runtime.config.front_end, self._runtime.backend.takes_waves
        if how == "windows":
            seconds = front_end.clip_seconds
            return make_windows(sound, front_end, window=seconds, hop=seconds / 2, as_waves=as_waves)
        what: Literal["head", "fusion"] = "head" if how == "head" else "fusion"
        return iter([make_clip(sound, front_end, long=what, as_waves=as_waves)])

    def _batch_size(self, requested: int) -> int:
        """The batch size that is used: from the default on, it is raised to what the device has room for."""
        check_count(requested, "batch_size")
        return max(requested, self._runtime.backend.batch) if requested >= BATCH else requested


def as_list(sounds: Sound | Sequence[Sound]) -> list[Sound]:
    """One sound or several → a list. A (wave, rate) pair is one sound."""
    if is_sound(sounds):
        return [sounds]  # type: ignore[list-item]
    if isinstance(sounds, np.ndarray) or hasattr(sounds, "detach"):  # a torch tensor
        raise UsageError("a bare array has no sampling rate; pass (wave, rate)")
    try:
        return list(sounds)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(
            f"{type(sounds).__name__} is not a sound; pass a path, bytes, a binary file, (wave, rate) or a dict"
        ) from None


def require_one(sound: Sound) -> Sound:
    """Return one sound; refuse several, and anything else."""
    if not is_sound(sound):
        raise UsageError(
            f"one sound is expected, not {type(sound).__name__}; pass a path, bytes, a binary file, (wave, rate) or a"
            " dict"
        )
    return sound
