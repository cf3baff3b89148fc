"""Which vector of a whole recording finds it again: in another format, cut, quieter, or after five seconds of silence.

    python bench/tracks.py SOUNDS [--most 120]

The library is every recording of 12 to 90 s in the folders (at most `--most`, evenly spread). Each is asked for by
copies of it. The copy is right if its own recording is the nearest; the margin is how far the next one lies behind.

    window   the mean of the query against the best window of each recording
    unit     the mean of unit vectors, of both, without silent windows (`openclap.silence.track_vector`)
    all      the same with silent windows
    raw      the mean of the tower's output before it is normalised, without silent windows
    both     the better of window and unit

At the end, a library of all files says how many of the ten best by "both" are found although it compares only some
hundred recordings as a whole (`openclap.store.nearest_recordings`); asked are 150 long recordings, a little changed.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from openclap import CLAP, Library
from openclap.audio.load import load
from openclap.normalization import normalize_rows
from openclap.store import Recording, Store, nearest_recordings, open_store

RATE = 32_000
ENDINGS = {".wav", ".flac", ".ogg", ".mp3"}


def encoded(wave: np.ndarray, kind: str, **how: Any) -> bytes:
    file = io.BytesIO()
    sf.write(file, wave, RATE, format=kind, **how)
    return file.getvalue()


COPIES: dict[str, Callable[[np.ndarray], object]] = {
    "mp3": lambda wave: encoded(wave, "MP3", bitrate_mode="CONSTANT", compression_level=0.8),
    "ogg": lambda wave: encoded(wave, "OGG", compression_level=0.9),
    "-12 dB": lambda wave: (wave / 4, RATE),
    "5 s of silence before": lambda wave: (np.concatenate([np.zeros(5 * RATE, np.float32), wave]), RATE),
    "12 s of silence before": lambda wave: (np.concatenate([np.zeros(12 * RATE, np.float32), wave]), RATE),
    "without its first 3 s": lambda wave: (wave[3 * RATE :], RATE),
    "its middle third": lambda wave: (wave[len(wave) // 3 : 2 * len(wave) // 3], RATE),
    "4 s from its middle": lambda wave: (wave[len(wave) // 2 : len(wave) // 2 + 4 * RATE], RATE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=120)
    parser.add_argument("--model", default="mini")
    asked = parser.parse_args()
    clap = CLAP.from_pretrained(asked.model, backend="torch")
    outputs: list[np.ndarray] = []
    clap.model.audio_projection.register_forward_hook(lambda *given: outputs.append(given[2].detach().cpu().numpy()))
    files = sorted(file for folder in asked.sounds for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
    files = [file for file in files if 12 <= sf.info(file).duration <= 90]
    files = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(asked.most, len(files))).astype(int))]

    def embedded(sound: object) -> dict[str, np.ndarray]:
        outputs.clear()
        windows = clap.encode_windows(sound)  # type: ignore[arg-type]
        unit, raw = windows.embedding, np.concatenate(outputs)
        heard = windows.heard if not windows.is_silent else ~windows.heard
        means = {"unit": windows.track, "all": unit.mean(0), "raw": raw[heard].mean(0)}
        return {"windows": unit} | {name: normalize_rows(mean) for name, mean in means.items()}

    waves = [load(file, RATE) for file in files]
    library = [embedded((wave, RATE)) for wave in waves]
    table: dict[str, dict[str, tuple[float, float]]] = {}
    for name, copy in COPIES.items():
        found = [embedded(copy(wave)) for wave in waves]
        scores = {kind: np.array([q[kind] for q in found]) @ np.array([x[kind] for x in library]).T for kind in ("unit", "all", "raw")}  # fmt: skip
        scores["window"] = np.array([[float((x["windows"] @ q["all"]).max()) for x in library] for q in found])
        scores["both"] = np.maximum(scores["window"], scores["unit"])
        table[name] = {kind: judged(score) for kind, score in scores.items()}
        print(
            f"{name:24}", *(f"{kind} {r:.3f} ({m:+.3f})" for kind, (r, m) in table[name].items()), sep="  ", flush=True
        )
    with tempfile.TemporaryDirectory() as place:
        library_of_all = Library.open(place, model=CLAP.from_pretrained(asked.model))
        library_of_all.add(asked.sounds)
        recall = recall_of_candidates(list(library_of_all.recordings()), open_store(place))
    print(f"recall@10 of comparing some hundred recordings as a whole: {recall:.4f}")
    print(json.dumps({"recordings": len(files), "found": table, "recall@10 of candidates": recall}))


def recall_of_candidates(recordings: list[Recording], store: Store) -> float:
    """The share of the ten best recordings, by the better of whole and window, that `nearest_recordings` finds."""
    rng, found = np.random.default_rng(0), []
    long = [r for r in recordings if len(r.start) > 1]
    for i in rng.choice(len(long), min(150, len(long)), replace=False):
        query = normalize_rows(long[i].track + 0.03 * rng.standard_normal(len(long[i].track)))
        exact = [max(float(r.track @ query), float((r.embedding @ query).max())) for r in recordings]
        best = {recordings[j].file.path for j in np.argsort(-np.array(exact), kind="stable")[:10]}
        found.append(len(best & {row.path for row in nearest_recordings(store, query, 10)}) / len(best))
    return round(float(np.mean(found)), 4)


def judged(score: np.ndarray) -> tuple[float, float]:
    """Recall@1 and the mean margin of (N, N) cosines, the right ones on the diagonal."""
    right = np.diag(score)
    others = np.where(np.eye(len(score), dtype=bool), -2.0, score).max(1)
    return round(float((right > others).mean()), 4), round(float((right - others).mean()), 4)


if __name__ == "__main__":
    main()
