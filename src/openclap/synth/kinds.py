"""The table of kinds that can be synthesised, with recipes and captions; makes single takes or a folder of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from openclap.errors import UsageError
from openclap.synth import everyday, machines, nature
from openclap.synth.signals import Wave, noise

__all__ = ["KINDS", "Kind", "SynthFile", "synthesise", "synthesise_all", "write_library"]


@dataclass(frozen=True)
class Kind:
    """A kind of sound: its recipe (seconds, rate, generator) → wave, and captions that people might write."""

    recipe: Callable[[float, int, np.random.Generator], Wave]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class SynthFile:
    """A file that `write_library` has written."""

    path: Path
    kind: str
    caption: str


# a kind that is one of mini's training labels has the label's name
KINDS: dict[str, Kind] = {
    "rain": Kind(nature.rain, ("rain", "rain falling", "raindrops")),
    "wind": Kind(nature.wind, ("wind", "wind blowing", "howling wind")),
    "sea waves": Kind(nature.sea_waves, ("sea waves", "waves breaking on the shore", "the ocean")),
    "stream": Kind(
        nature.stream, ("a stream", "bubbling water", "a babbling brook", "running water", "a creek in the forest")
    ),
    "water drops": Kind(
        nature.water_drops, ("water drops", "dripping water", "a dripping tap", "a leaking faucet", "drops in a cave")
    ),
    "thunder": Kind(nature.thunder, ("thunder", "a thunderstorm", "a clap of thunder")),
    "fire crackling": Kind(nature.fire_crackling, ("fire crackling", "a crackling fire", "a campfire")),
    "bird": Kind(nature.birds, ("a bird", "birdsong", "birds chirping")),
    "cricket": Kind(nature.cricket, ("a cricket", "a chirping cricket", "crickets at night")),
    "frog": Kind(nature.frog, ("a frog", "a croaking frog", "frogs in a pond")),
    "owl hoot": Kind(nature.owl, ("an owl hooting", "an owl", "a night bird")),
    "dog bark": Kind(nature.dog_bark, ("a dog barking", "a barking dog", "dog bark")),
    "cat meow": Kind(nature.cat_meow, ("a cat meowing", "a cat", "meow")),
    "rooster": Kind(nature.rooster, ("a rooster crowing", "a rooster", "cock a doodle doo")),
    "cow moo": Kind(nature.cow_moo, ("a cow mooing", "a cow", "moo")),
    "baby cry": Kind(nature.baby_cry, ("a baby crying", "a crying baby", "an infant crying")),
    "siren": Kind(
        machines.siren, ("a siren", "a police siren", "an ambulance", "an emergency vehicle", "a fire engine passes")
    ),
    "church bells": Kind(machines.church_bell, ("church bells", "bells ringing", "a bell tower")),
    "doorbell": Kind(machines.doorbell, ("a doorbell", "ding dong", "someone rings at the door")),
    "telephone ringing": Kind(
        machines.telephone,
        ("a telephone ringing", "a ringing phone", "an old telephone", "someone is calling", "an incoming call"),
    ),
    "phone dialing": Kind(
        machines.phone_dial, ("dialing a phone number", "touch tones", "pressing telephone keys", "dialling a number")
    ),
    "alarm clock": Kind(
        machines.alarm_clock, ("an alarm clock", "beeping alarm clock", "time to get up", "a digital alarm")
    ),
    "smoke alarm": Kind(
        machines.smoke_alarm, ("a smoke alarm", "a smoke detector", "a fire alarm beeping", "a piercing alarm")
    ),
    "vehicle horn": Kind(machines.car_horn, ("a car horn", "honking", "a vehicle horn")),
    "vehicle motor idle": Kind(machines.engine_idle, ("an engine idling", "a car engine idling", "a motor running")),
    "car motor": Kind(
        machines.engine_accelerating, ("a car accelerating", "a car engine", "an automobile speeding up")
    ),
    "motorcycle": Kind(
        machines.motorbike, ("a motorcycle", "a motorbike", "a biker revving the engine", "a motorbike riding by")
    ),
    "helicopter": Kind(machines.helicopter, ("a helicopter", "a helicopter flying", "rotor blades")),
    "airplane prop": Kind(machines.airplane, ("a propeller plane", "an airplane", "a small aircraft flying by")),
    "jet flyby": Kind(machines.jet, ("a jet flying by", "a jet plane", "a fighter plane passes")),
    "chainsaw": Kind(machines.chainsaw, ("a chainsaw", "cutting wood with a chainsaw", "a saw motor")),
    "electric drill": Kind(
        machines.drill, ("an electric drill", "drilling a hole", "a power drill", "a handyman drills the wall")
    ),
    "vacuum cleaner": Kind(
        machines.vacuum, ("a vacuum cleaner", "vacuuming the carpet", "a hoover", "household cleaning machine")
    ),
    "train": Kind(
        machines.train,
        ("a train", "a train on the tracks", "railway wheels", "a train rolling by", "locomotive and wagons"),
    ),
    "gunshot": Kind(machines.gunshot, ("a gunshot", "gunfire", "shots fired", "someone shoots a gun")),
    "explosion": Kind(machines.explosion, ("an explosion", "a blast", "a bomb goes off")),
    "laser": Kind(machines.laser, ("a laser gun", "a laser", "a ray gun firing")),
    "computer beeps": Kind(
        machines.robot_beeps, ("computer beeps", "beeping electronics", "a beeping robot", "digital beeps")
    ),
    "coin": Kind(machines.coin, ("a coin", "collecting a coin in a game", "an arcade game")),
    "footsteps on hard": Kind(everyday.footsteps, ("footsteps on a hard floor", "footsteps", "someone walking")),
    "footsteps on gravel": Kind(
        everyday.footsteps_gravel,
        ("footsteps on gravel", "walking on gravel", "crunching steps", "steps on a gravel path"),
    ),
    "door knock": Kind(everyday.door_knock, ("knocking on a door", "a knock", "someone knocks")),
    "clock tick": Kind(everyday.clock_tick, ("a clock ticking", "tick tock", "ticking")),
    "typing": Kind(
        everyday.keyboard,
        ("typing on a keyboard", "a computer keyboard", "someone is typing", "an office worker writing an email"),
    ),
    "applause": Kind(
        everyday.applause, ("applause", "clapping hands", "an audience claps", "a crowd clapping after a concert")
    ),
    "glass breaking": Kind(
        everyday.glass_break,
        ("glass breaking", "a window shatters", "a smashed bottle", "shattering glass", "a burglar breaks the window"),
    ),
    "bass drum kick": Kind(everyday.kick_drum, ("a kick drum", "a bass drum", "a deep drum")),
    "snare drum": Kind(everyday.snare_drum, ("a snare drum", "a snare hit", "a marching drum")),
    "hi-hat": Kind(everyday.hi_hat, ("a hi-hat", "closed hats", "a drummer's hi-hat")),
    "electronic drum beat": Kind(everyday.drum_beat, ("a drum beat", "a drum machine", "a rhythm loop")),
    "guitar": Kind(everyday.guitar, ("a guitar", "an acoustic guitar", "plucked strings", "someone plays the guitar")),
    "piano": Kind(everyday.piano, ("a piano", "a piano playing", "a pianist")),
    "flute": Kind(everyday.flute, ("a flute", "a flute melody", "a woodwind instrument", "a flutist playing")),
    "organ": Kind(everyday.organ, ("an organ", "a church organ", "organ chords", "an organist plays")),
    "whistle": Kind(everyday.whistle, ("a whistle", "a referee's whistle", "someone blows a whistle")),
    "morse code": Kind(
        everyday.morse, ("morse code", "dots and dashes", "a telegraph", "a radio operator sends a message")
    ),
}

FORMATS = ("wav", "flac", "ogg")


def synthesise(
    kind: str, rng: np.random.Generator, *, rate: int = 48_000, seconds: float | None = None
) -> tuple[npt.NDArray[np.float32], str]:
    """Make one take of a kind: a mono wave float32 (S,) with a peak of 0.3 to 0.9, and a caption.

    Raises
    ------
    UsageError
        The kind is not in KINDS.
    """
    if kind not in KINDS:
        raise UsageError(f"'{kind}' cannot be synthesised; choose one of {', '.join(KINDS)}")
    length = float(rng.uniform(2.5, 6.0)) if seconds is None else seconds
    wave = KINDS[kind].recipe(length, rate, rng)
    wave = wave / (np.abs(wave).max() + 1e-12)
    wave = wave + 10 ** rng.uniform(-4, -2) * noise(length, rate, rng, float(rng.uniform(0, 5)))  # noise of the room
    wave *= rng.uniform(0.3, 0.9) / (np.abs(wave).max() + 1e-12)
    return wave.astype(np.float32), str(rng.choice(KINDS[kind].captions))


def synthesise_all() -> list[tuple[npt.NDArray[np.float32], int]]:
    """Make one take of every kind, always the same: (wave, rate); some are longer than a clip."""
    rate = 32_000
    return [
        (synthesise(kind, np.random.default_rng((2, i)), rate=rate, seconds=14.0 if i % 8 == 0 else 5.0)[0], rate)
        for i, kind in enumerate(KINDS)
    ]


def write_library(
    folder: Path, *, takes: int = 1, seed: int = 0, rate: int = 44_100, kinds: Iterable[str] = KINDS
) -> list[SynthFile]:
    """Write takes of some kinds as WAV, FLAC and OGG files, with a metadata.csv (file, caption, label) beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[SynthFile] = []
    for number, kind in ((list(KINDS).index(kind), kind) for kind in kinds):
        for take in range(takes):
            wave, caption = synthesise(kind, np.random.default_rng((seed, number, take)), rate=rate)
            path = folder / f"{kind.replace(' ', '_')}_{take + 1:02d}.{FORMATS[(number + take) % len(FORMATS)]}"
            sf.write(path, wave, rate)
            written.append(SynthFile(path, kind, caption))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("file", "caption", "label"))
        table.writerows((item.path.name, item.caption, item.kind) for item in written)
    return written
