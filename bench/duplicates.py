"""Re-encoded, softer and shifted copies: are they grouped with their original, and nothing else with them.

usage: python bench/duplicates.py FOLDER [--clips 100]

Takes recordings of FOLDER, writes each as MP3 of 64 kbit/s, 6 dB softer, and 0.7 s later, indexes all with mini and looks for
duplicates. Groups that join different originals are listed: real copies inside FOLDER are among them. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import soundfile as sf
from rich.console import Console
from rich.table import Table

from openclap import CLAP, Library
from openclap.audio.load import load
from openclap.library.scan import find_sounds

RATE = 44_100
VARIANTS = ("mp3", "softer", "later")


def as_mp3(path: Path, wave: np.ndarray) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libmp3lame", rate=RATE)
        stream.bit_rate = 64_000
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=100)
    args = parser.parse_args()
    files = find_sounds([args.folder]).files
    files = [files[i] for i in np.linspace(0, len(files) - 1, min(args.clips, len(files))).astype(int)]
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside, "variants")
        folder.mkdir()
        original: dict[str, str] = {str(file): file.name for file in files}
        for number, file in enumerate(files):
            wave = load(file, RATE)
            made = {name: folder / f"{number:04d} {name}.{'mp3' if name == 'mp3' else 'wav'}" for name in VARIANTS}
            as_mp3(made["mp3"], wave)
            sf.write(made["softer"], wave * 10 ** (-6 / 20), RATE)
            sf.write(made["later"], np.concatenate([np.zeros(round(0.7 * RATE), np.float32), wave]), RATE)
            original |= {str(path): file.name for path in made.values()}
        library = Library.open(Path(aside, "library"), model=CLAP.from_pretrained("mini"))
        library.add([*files, folder])
        start = time.perf_counter()
        groups = [{copy.path for copy in group.files} for group in library.duplicates().groups]
        took = time.perf_counter() - start
        table = Table("variant", "grouped with its original", title=f"{len(files)} recordings, {took:.1f} s")
        found = {}
        for name in VARIANTS:
            hits = [
                any({str(file), path} <= group for group in groups)
                for number, file in enumerate(files)
                for path in [str(folder / f"{number:04d} {name}.{'mp3' if name == 'mp3' else 'wav'}")]
            ]
            found[name] = float(np.mean(hits))
            table.add_row(name, f"{sum(hits)} of {len(hits)}")
        mixed = [sorted({original[path] for path in group}) for group in groups]
        mixed = [names for names in mixed if len(names) > 1]
        console = Console()
        console.print(table)
        console.print(f"{len(groups)} groups, {len(mixed)} with more than one original: {mixed}")
        print(json.dumps({**found, "groups": len(groups), "mixed": len(mixed), "seconds": round(took, 2)}))


if __name__ == "__main__":
    main()
