"""Every programme of a General MIDI sound font, alone and together: notes, chords, phrases, drums, small pieces.

Rendered by fluidsynth from FluidR3 GM (Frank Wen, MIT; Debian's fluid-soundfont-gm). The MIDI files are written here.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gather import RATE, Made, Wave

from openclap.audio.load import load

__all__ = ["FONT", "PROGRAMMES", "drums", "instruments", "pieces"]

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
TICKS = 480  # a beat
DRUMS = 9  # MIDI's channel of percussion
PROGRAMMES = (Path(__file__).parent / "general_midi.txt").read_text(encoding="utf-8").split("\n")[:-1]
KITS = {0: "standard", 8: "room", 16: "power", 24: "electronic", 25: "808", 32: "jazz", 40: "brush", 48: "orchestral"}
MAJOR, MINOR, PENTATONIC, BLUES = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10)

# name: beats a minute, swing, scale, programmes of lead, chords, bass, drum kit, beat
STYLES = {
    "rock": ((110, 150), 0.0, MAJOR, (29, 30, 27, 18), (29, 30, 27), (33, 34), 16, "rock"),
    "metal": ((150, 190), 0.0, MINOR, (30, 29), (30,), (34,), 16, "metal"),
    "jazz": ((100, 200), 0.33, BLUES, (65, 66, 56, 26, 11, 59), (0, 26), (32,), 32, "swing"),
    "blues": ((70, 110), 0.33, BLUES, (22, 26, 29, 65), (0, 17, 26), (32, 33), 8, "swing"),
    "country": ((100, 140), 0.0, MAJOR, (105, 110, 25, 22), (25,), (32, 33), 0, "train"),
    "folk": ((80, 120), 0.0, MAJOR, (73, 110, 21, 22, 74), (24, 25, 105, 15), (32,), None, ""),
    "classical": ((70, 130), 0.0, MAJOR, (40, 73, 68, 71, 6, 42), (48, 6, 45), (42, 43), None, ""),
    "baroque": ((80, 120), 0.0, MINOR, (6, 74, 40, 19), (6, 19), (42, 70), None, ""),
    "march": ((100, 120), 0.0, MAJOR, (56, 61, 72, 60), (61, 57), (58,), 48, "march"),
    "waltz": ((130, 180), 0.0, MAJOR, (40, 21, 71, 0), (21, 48, 0), (43, 58), None, ""),
    "reggae": ((70, 90), 0.0, MINOR, (17, 22, 57), (27, 16), (33, 35), 8, "reggae"),
    "techno": ((125, 145), 0.0, MINOR, (81, 80, 87), (90, 81), (38, 39), 25, "four"),
    "house": ((118, 128), 0.0, MINOR, (4, 81, 62), (4, 50, 89), (38, 33), 24, "four"),
    "hip hop": ((80, 100), 0.1, MINOR, (4, 11, 73), (4, 48), (38, 35), 25, "hip hop"),
    "funk": ((95, 120), 0.1, BLUES, (7, 61, 65), (28, 7), (36, 37), 0, "funk"),
    "disco": ((115, 128), 0.0, MAJOR, (48, 61, 27), (28, 50), (33, 36), 0, "four"),
    "ambient": ((50, 70), 0.0, PENTATONIC, (88, 92, 99, 11), (89, 95, 91), (38,), None, ""),
    "lullaby": ((60, 80), 0.0, MAJOR, (10, 8, 9, 46), (46, 10), (45,), None, ""),
    "latin": ((90, 120), 0.0, MINOR, (24, 56, 0, 73), (0, 24), (32,), 0, "latin"),
    "asian": ((70, 100), 0.0, PENTATONIC, (107, 106, 77, 111), (107, 46), (32,), None, ""),
    "indian": ((70, 110), 0.0, MINOR, (104, 111), (104, 89), (43,), 48, "latin"),
    "scottish": ((90, 120), 0.0, MAJOR, (109, 110, 78), (109,), (32,), 48, "march"),
    "film": ((60, 110), 0.0, MINOR, (60, 48, 56, 52), (48, 52, 49), (43, 47), 48, "march"),
    "video game": ((120, 170), 0.0, MAJOR, (80, 81), (80,), (38, 80), 24, "four"),
    "gospel": ((70, 110), 0.15, MAJOR, (52, 16, 0), (18, 52), (33,), 0, "rock"),
}
BEATS = {  # kick, snare, hats and others on a grid of 16
    "rock": {36: "x.......x.x.....", 38: "....x.......x...", 42: "x.x.x.x.x.x.x.x."},
    "metal": {36: "xxxxxxxxxxxxxxxx", 38: "....x.......x...", 46: "x...x...x...x..."},
    "swing": {36: "x.......x.......", 51: "x...x.x.x...x.x.", 44: "....x.......x..."},
    "train": {36: "x.......x.......", 38: "xxxXxxxXxxxXxxxX"},
    "march": {36: "x.......x.......", 38: "x..xx.x.x.xxx.x.", 49: "x..............."},
    "reggae": {36: "........x.......", 37: "........x.......", 42: "x.xxx.xxx.xxx.xx"},
    "four": {36: "x...x...x...x...", 39: "....x.......x...", 46: "..x...x...x...x.", 42: "xxxxxxxxxxxxxxxx"},
    "hip hop": {36: "x.....x..x......", 38: "....x.......x..x", 42: "x.x.x.x.x.x.xxx."},
    "funk": {36: "x..x..x...x..x..", 38: "....x..x.x..x..x", 42: "xxxxxxxxxxxxxxxx"},
    "latin": {
        36: "x...x...x...x...",
        56: "x.x..x.xx.x.x.x.",
        63: "..x...xx..x...xx",
        70: "xxxxxxxxxxxxxxxx",
        76: "x..x..x...x.x...",
    },
}

Note = tuple[float, float, int, int, int]  # begin and length in beats, channel, key, velocity


def instruments(seed: int = 1) -> Iterator[Made]:
    """Each programme: single notes, a long note, chords, a scale, arpeggios, phrases."""
    for number, name in enumerate(PROGRAMMES):
        rng = np.random.default_rng((seed, number))
        takes: list[tuple[str, list[Note]]] = []
        low, high = (28, 55) if 32 <= number <= 39 or number in (43, 58, 70) else (48, 84)
        keys = rng.integers(low, high, 12).tolist()
        takes += [("note", [(0.0, float(rng.uniform(0.3, 4)), 0, key, int(rng.integers(50, 127)))]) for key in keys[:4]]
        takes += [("notes", [(beat, 0.6, 0, key, int(rng.integers(60, 120))) for beat, key in enumerate(keys[4:])])]
        takes += [("chords", _chords(rng, low + 5)) for _ in range(2)]
        scales = (MAJOR, MINOR, BLUES, PENTATONIC)
        takes += [("phrase", _phrase(rng, low + 10, scales[int(rng.integers(4))], 12)) for _ in range(3)]
        takes.append(
            ("arpeggio", [(b / 4, 0.5, 0, low + 12 + (0, 4, 7, 12, 16, 12, 7, 4)[b % 8], 90) for b in range(32)])
        )
        for i, (kind, notes) in enumerate(takes):
            wave = rendered(notes, {0: number}, float(rng.uniform(80, 150)))
            yield Made(f"{number:03d}_{i:02d}_{kind}", wave, f"{name} {kind}", f"gm {number:03d}")


def drums(seed: int = 2) -> Iterator[Made]:
    """Each sound of each kit, in twos, and beats and fills."""
    for kit, name in KITS.items():
        rng = np.random.default_rng((seed, kit))
        for key in range(27, 88):
            wave = rendered([(0.0, 1.0, DRUMS, key, int(rng.integers(70, 127)))], {DRUMS: kit}, 120.0)
            if np.abs(wave).max() > 1e-3:
                yield Made(f"{kit:02d}_{key}", wave, f"{name} kit percussion", f"drum {key}")
        for beat in BEATS:
            for _ in range(2):
                notes = _beat(rng, beat, 4, 0.33 if beat == "swing" else float(rng.choice([0.0, 0.1])))
                yield Made(
                    f"{kit:02d}_{beat}_{_}", rendered(notes, {DRUMS: kit}, float(rng.uniform(80, 160))),
                    f"{beat} drum beat", "drum beat",
                )  # fmt: skip


def pieces(seed: int = 3, each: int = 5) -> Iterator[Made]:
    """Small pieces: four or more bars of chords, bass, a lead and drums, in a style."""
    for style, (tempo, swing, scale, leads, chords, basses, kit, beat) in STYLES.items():
        for take in range(each):
            rng = np.random.default_rng((seed, sum(map(ord, style)), take))
            root, bars = int(rng.integers(45, 57)), 6
            three = style == "waltz"
            degrees = [int(d) for d in rng.choice([0, 3, 4, 5, 1], bars)]
            degrees[0] = 0
            notes: list[Note] = []
            length = 3 if three else 4
            for bar, degree in enumerate(degrees):
                at = bar * length
                tones = [_tone(scale, root, degree + d) for d in (0, 2, 4)]
                if style in ("ambient", "film", "gospel", "classical", "baroque"):
                    notes += [(at, length, 1, t + 12, 62) for t in tones]
                else:
                    hits = np.flatnonzero(rng.random(2 * length) < 0.5) / 2
                    notes += [(at + h, 0.45, 1, t + 12, 70) for h in hits for t in tones]
                notes += [(at + b, 0.9, 2, tones[0] - 12 if b % 2 == 0 else tones[2] - 12, 95) for b in range(length)]
            lead = _phrase(rng, root + 24, scale, bars * length, swing)
            if rng.random() < 0.85:
                notes += lead
            if kit is not None and not three:
                notes += [(b + 0, *rest) for b, *rest in _beat(rng, beat, bars, swing)]  # type: ignore[misc]
            programmes = {0: int(rng.choice(leads)), 1: int(rng.choice(chords)), 2: int(rng.choice(basses))}
            if kit is not None:
                programmes[DRUMS] = kit
            wave = rendered(notes, programmes, float(rng.uniform(*tempo)))
            yield Made(f"{style.replace(' ', '_')}_{take}", wave, f"{style} music", style)


def rendered(notes: list[Note], programmes: dict[int, int], tempo: float) -> Wave:
    """Through fluidsynth, without its silence."""
    with tempfile.TemporaryDirectory() as folder:
        file, sound = Path(folder) / "a.mid", Path(folder) / "a.wav"
        file.write_bytes(_midi(notes, programmes, tempo))
        command = ["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", str(RATE), "-F", str(sound), str(FONT), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        wave = load(sound, RATE)
    loud = np.flatnonzero(np.abs(wave) > 2e-3 * max(float(np.abs(wave).max()), 1e-3))
    return wave[: int(loud[-1]) + 1][: 20 * RATE] if len(loud) else wave[:1]


def _tone(scale: tuple[int, ...], root: int, degree: int) -> int:
    return root + scale[degree % len(scale)] + 12 * (degree // len(scale))


def _phrase(rng: np.random.Generator, root: int, scale: tuple[int, ...], beats: int, swing: float = 0.0) -> list[Note]:
    notes: list[Note] = []
    at, degree = 0.0, int(rng.integers(0, 5))
    while at < beats:
        length = float(rng.choice([0.25, 0.5, 0.5, 1.0, 1.0, 1.5, 2.0]))
        if rng.random() < 0.88:
            late = swing * 0.5 if at % 1 == 0.5 else 0.0
            notes.append(
                (
                    at + late,
                    length * float(rng.uniform(0.6, 1.0)),
                    0,
                    _tone(scale, root, degree),
                    int(rng.integers(65, 118)),
                )
            )
        degree = int(np.clip(degree + rng.integers(-3, 4), -4, 10))
        at += length
    return notes


def _chords(rng: np.random.Generator, root: int) -> list[Note]:
    notes: list[Note] = []
    for bar in range(4):
        base = root + int(rng.choice([0, 5, 7, 9, 2]))
        third = int(rng.choice([3, 4]))
        notes += [(2.0 * bar, 1.8, 0, base + d, 85) for d in (0, third, 7)]
    return notes


def _beat(rng: np.random.Generator, name: str, bars: int, swing: float) -> list[Note]:
    notes: list[Note] = []
    for bar in range(bars):
        for key, grid in BEATS[name].items():
            for step, mark in enumerate(grid):
                if mark == "." or rng.random() < 0.04:
                    continue
                late = swing * 0.25 if step % 2 else 0.0
                strength = 118 if mark == "X" or step % 8 == 0 else 90
                notes.append((4 * bar + step / 4 + late, 0.2, DRUMS, key, strength - int(rng.integers(0, 18))))
    return notes


def _midi(notes: list[Note], programmes: dict[int, int], tempo: float) -> bytes:
    """A MIDI file of one track."""
    events: list[tuple[int, bytes]] = [(0, b"\xff\x51\x03" + struct.pack(">I", round(60e6 / tempo))[1:])]
    events += [(0, bytes([0xC0 | channel, programme])) for channel, programme in programmes.items()]
    for begin, length, channel, key, velocity in notes:
        played = min(max(int(key), 0), 127)
        events.append((round(begin * TICKS), bytes([0x90 | channel, played, min(int(velocity), 127)])))
        events.append((round((begin + length) * TICKS), bytes([0x80 | channel, played, 0])))
    events.sort(key=lambda event: (event[0], event[1][0] & 0xF0))
    track, now = b"", 0
    for at, event in events:
        track += _variable(at - now) + event
        now = at
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable(number: int) -> bytes:
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(0x80 | (number & 0x7F))
    return bytes(reversed(parts))
