"""A trained mini → the folder that ships, with its word table as int8 rows.

usage: python runs/mini/package.py MODEL_FOLDER [NAME]     NAME is mini unless said otherwise
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import openclap
from openclap import CLAP
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.native import save_pretrained
from openclap.confidence import embed_banks, packaged_bank, save_banks

LIMIT = 32_000_000  # bytes of all files together


def main() -> None:
    name = sys.argv[2] if len(sys.argv) > 2 else "mini"
    target = Path(openclap.__file__).parent / "weights" / name
    CLAP.from_pretrained(sys.argv[1], strict=True)
    checkpoint = load_checkpoint(sys.argv[1])
    save_pretrained(
        replace(checkpoint.config, name=name), checkpoint.weights, checkpoint.tokenizer_file, target, compact=True
    )
    size = sum(file.stat().st_size for file in target.iterdir())
    assert size <= LIMIT, size
    clap = CLAP.from_pretrained(str(target))
    fingerprint = clap.fingerprint
    if name == "mini":
        for former in target.parent.glob("banks/*.npz"):
            former.unlink()
        save_banks(packaged_bank(fingerprint), embed_banks(clap))
    print(f"{target}: {size / 1e6:.1f} MB; its fingerprint belongs in checkpoints/presets.py: {fingerprint}")


if __name__ == "__main__":
    main()
