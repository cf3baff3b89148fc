"""Measures how fast openclap is on this machine, stage by stage, with the user's sounds or synthesised ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openclap.audio.clips import make_clip
from openclap.audio.load import Sound, load
from openclap.clap import CLAP
from openclap.errors import SoundError, UsageError
from openclap.library.scan import find_sounds
from openclap.synth import synthesise_all

__all__ = ["compare_with_onnx", "measure"]

MOST_SOUNDS = 48
FUSION_VIEWS = 4
REST = 0.02  # seconds between two calls: the threads of an engine spin for a while when they are done
SEARCHED = 100_000  # vectors that a search looks through
TEXTS = ("a dog barking", "heavy rain on a roof", "someone plays the violin", "an engine that does not start")


def measure(clap: CLAP, paths: Iterable[str] = ()) -> dict[str, Any]:
    """Measure every stage: the median time of a call.

    Returns
    -------
    `stages`, a list of {stage, ms, times_real_time}, for one sound at a time; `pipeline`, {sounds, seconds, ms_each,
    times_real_time, audio_hours_per_hour}, for all sounds in one call; `peak_mb`, the most memory of the process so
    far; `model` and `runs_on`.

    Raises
    ------
    UsageError
        None of the files can be used.
    """
    sounds = _usable_sounds(list(paths))
    rate = clap.front_end.sampling_rate
    most = clap.front_end.clip_seconds
    waves = [load(sound, rate, seconds=most) for sound in sounds]  # of a long recording only as much as a clip holds
    seconds = [len(wave) / rate for wave in waves]
    as_waves = clap.checkpoint.package is not None  # which makes mels of its own, or none
    to_clip = partial(make_clip, front_end=clap.front_end, long="head", as_waves=as_waves)
    clips = [to_clip((wave, rate)) for wave in waves]
    clap.encode_clips(clips[:1])  # the first call builds things and is not measured
    clap.encode_text(TEXTS[:1])
    vectors = np.random.default_rng(0).standard_normal((SEARCHED, clap.config.embedding)).astype(np.float32)
    query = vectors[0].copy()
    stages = [
        _measure_stage("decode and resample", [partial(load, sound, rate, seconds=most) for sound in sounds], seconds),
        _measure_stage("fill up" if as_waves else "mel", [partial(to_clip, (wave, rate)) for wave in waves], seconds),
        _measure_stage("model", [partial(clap.encode_clips, [clip]) for clip in clips], seconds),
        _measure_stage("text", [partial(clap.encode_text, text) for text in TEXTS * 3]),
        _measure_stage(f"search of {SEARCHED:,} vectors", [partial(_nearest, vectors, query)] * 5),
    ]
    began = time.perf_counter()
    clap.encode_audio(sounds, long="head")
    took = time.perf_counter() - began
    return {
        "model": clap.name,
        "runs_on": str(clap.backend.info),
        "stages": stages,
        "pipeline": {
            "sounds": len(sounds),
            "seconds": round(sum(seconds), 1),
            "ms_each": round(1000 * took / len(sounds), 2),
            "times_real_time": round(sum(seconds) / took, 1),
            "audio_hours_per_hour": round(sum(seconds) / took, 1),
        },
        "peak_mb": _peak_memory(),
    }


def compare_with_onnx(clap: CLAP, paths: Iterable[str] = (), *, threads: int | None = None) -> dict[str, Any]:
    """Compare a model with its own graphs in ONNX Runtime, as `CLAP.export_onnx` writes them.

    The two take turns, call by call, so that the machine's other work falls on both alike.

    Returns
    -------
    `stages`, a list of {stage, ms, onnxruntime_ms, ratio}, where `ratio` is how many times as long ONNX Runtime takes,
    the median over the calls; `model` and `runs_on`.

    Raises
    ------
    UsageError
        None of the files can be used.
    MissingExtra
        onnx or onnxruntime is not installed.
    """
    from openclap.backends.onnx.graphs import onnx_graph
    from openclap.backends.onnx.session import OnnxSession

    if clap.checkpoint.package is not None:
        raise UsageError(f"{clap.name} is computed by {clap.checkpoint.package}, and has no graphs to compare")
    weights, rate = clap.checkpoint.weights, clap.front_end.sampling_rate
    mels_in, waves_in, text_in = (
        OnnxSession(onnx_graph(clap.config, weights, tower).SerializeToString(), threads=threads)
        for tower in ("mels", "audio", "text")
    )
    sounds, seconds = _usable_sounds(list(paths)), clap.front_end.clip_seconds
    waves = [load(sound, rate, seconds=seconds) for sound in sounds]
    mels = [make_clip((wave, rate), clap.front_end, long="head").mel[None] for wave in waves]
    views = 1 if clap.config.fusion is None else FUSION_VIEWS
    short = np.array([False])
    inputs = [[np.repeat(mel, views, 1), *([] if views == 1 else [short])] for mel in mels]

    def file_to_vector(sound: Sound) -> object:
        return waves_in(load(sound, rate, seconds=seconds)[None])

    def text_to_vector(text: str) -> object:
        return text_in(*clap.tokenizer([text]))

    stages: dict[str, list[tuple[Callable[[], object], Callable[[], object]]]] = {
        "mel → vector": [
            (partial(clap.backend.encode_audio, mel, short), partial(mels_in, *given))
            for mel, given in zip(mels, inputs, strict=True)
        ],
        "wave → vector": [
            (partial(clap.encode_audio, (wave, rate), long="head"), partial(waves_in, wave[None])) for wave in waves
        ],
        "file → vector": [
            (partial(clap.encode_audio, sound, long="head"), partial(file_to_vector, sound)) for sound in sounds
        ],
        "text → vector": [(partial(clap.encode_text, text), partial(text_to_vector, text)) for text in TEXTS * 3],
    }
    return {
        "model": clap.name,
        "runs_on": str(clap.backend.info),
        "stages": [{"stage": name, **_take_turns(calls)} for name, calls in stages.items()],
    }


def _take_turns(calls: Sequence[tuple[Callable[[], object], Callable[[], object]]]) -> dict[str, float]:
    """The median times of pairs of calls, in turn, and of their ratios."""
    for call in calls[0]:  # builds things
        call()
    times = np.zeros((len(calls), 2))
    for row, pair in zip(times, calls, strict=True):
        for i, call in enumerate(pair):
            time.sleep(REST)
            began = time.perf_counter()
            call()
            row[i] = time.perf_counter() - began
    ours, theirs = 1000 * np.median(times, axis=0)
    ratio = float(np.median(times[:, 1] / times[:, 0]))
    return {"ms": round(float(ours), 2), "onnxruntime_ms": round(float(theirs), 2), "ratio": round(ratio, 2)}


def _nearest(vectors: npt.NDArray[np.float32], query: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The places of the ten best vectors, as a library finds them."""
    score = vectors @ query
    best = np.argpartition(-score, 10)[:10]
    return best[np.argsort(-score[best])]


def _usable_sounds(paths: list[str]) -> list[Sound]:
    if not paths:
        return list(synthesise_all())
    good: list[Sound] = []
    for file in find_sounds(paths).files:
        try:
            load(file, 8000, seconds=0.1)
        except SoundError:
            continue
        good.append(Path(file))
        if len(good) == MOST_SOUNDS:
            break
    if not good:
        raise UsageError("none of these files can be used; give sounds, or nothing to measure with synthesised ones")
    return good


def _measure_stage(
    name: str, calls: Sequence[Callable[[], object]], seconds: list[float] | None = None
) -> dict[str, Any]:
    """The median over the calls, and how many times faster than real time they are, where they take sounds."""
    times = []
    for call in calls:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    speed = None if seconds is None else round(sum(seconds) / sum(times), 1)
    return {"stage": name, "ms": round(1000 * float(np.median(times)), 2), "times_real_time": speed}


def _peak_memory() -> float | None:
    """The most memory of this process so far, in MB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    unit = 2**20 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 0)
