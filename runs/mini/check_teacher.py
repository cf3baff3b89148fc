"""Is the MobileNet tower right? EfficientAT's own weights, mapped by name, must give its own numbers.

usage: python runs/mini/check_teacher.py FOLDER
  FOLDER   holds mn04_as_mAP_432.pt and mn04_golden.npz: logits and embedding of two made-up sounds
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from teachers import MN04, MN04_RATE

WITHIN = 1e-4


def sounds() -> dict[str, np.ndarray]:
    """The two sounds of the golden file, ten seconds each."""
    t = np.arange(10 * MN04_RATE) / MN04_RATE
    chirp = 0.3 * np.sin(2 * np.pi * (200 * t + 300 * t**2))
    noise = np.random.RandomState(8).standard_normal(10 * MN04_RATE) * 0.1
    return {"chirp": chirp.astype(np.float32), "noise": noise.astype(np.float32)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    golden = np.load(folder / "mn04_golden.npz")
    teacher = MN04(folder / "mn04_as_mAP_432.pt")
    waves = torch.from_numpy(np.stack([sounds()[name] for name in golden["names"]]))
    mels = teacher.mel(waves)
    logits, embedding = teacher(waves)
    wanted = golden["mel_chirp"].T
    off = {
        "mel": float(np.abs(mels[list(golden["names"]).index("chirp"), : len(wanted)].numpy() - wanted).max()),
        "logits": float(np.abs(logits.numpy() - golden["logits"]).max()),
        "embedding": float(np.abs(embedding.numpy() - golden["embedding"]).max()),
    }
    right = max(off.values()) <= WITHIN
    print(json.dumps({"within": WITHIN, "right": right, **off}))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
