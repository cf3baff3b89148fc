"""The table of models that have a name: what each is, and which to take.

`openclap models`, the service, the page and docs/models.md show it. Scores are published ones, by `source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openclap.errors import Hint, UsageError
from openclap.results import Result

__all__ = [
    "ADVICE",
    "KNOWN_BAD",
    "PRESETS",
    "Preset",
    "advise",
    "find_preset",
    "maker_display_name",
    "name_to_load",
    "use_maker",
]


@dataclass(frozen=True)
class Preset(Result):
    """A named model: `repo` is a Hub repository (None: packaged), `file` one file of it (None: all of it)."""

    name: str
    what: str
    licence: str
    megabytes: int  # to download
    repo: str | None = None
    file: str | None = None
    esc50: float | None = None  # published zero-shot accuracy, percent
    note: str = ""
    fingerprint: str | None = None  # of a packaged model: identifies what was made with it
    tokenizer: str | None = None  # the Hub repository with the tokenizer that `file` comes without
    parameters: float = 153.5  # millions, of what is used
    rate: int = 48_000  # Hz, at which it hears
    clip: float = 10.0  # seconds that it hears at once
    languages: str = "English"
    trained_on: str = ""
    source: str = ""  # where its scores are printed


LAION_REPO = "lukewys/laion_clap"
LAION_README = "README of LAION-AI/CLAP"
LAION_NAME = "the name of LAION's file"
TOKENIZER_OF_LAION = "laion/clap-htsat-unfused"  # RoBERTa's, which all released files of LAION need
GENERAL, WITH_AUDIOSET = "LAION-Audio-630K", "LAION-Audio-630K and AudioSet"
MUSIC, MUSIC_SPEECH = "music, with AudioSet and LAION-Audio-630K", "music, speech and LAION-Audio-630K"
BASE = {"parameters": 193.9}


def _laion(file: str, what: str, trained_on: str, esc50: float | None = None, **more: Any) -> Preset:
    """One of LAION's own files."""
    megabytes = 2352 if "HTSAT-base" in what else 1863
    source = "" if esc50 is None else LAION_NAME if "esc" in file else LAION_README
    facts = {"tokenizer": TOKENIZER_OF_LAION, "trained_on": trained_on, "source": source, **more}
    return Preset(file, what, "CC0-1.0", megabytes, LAION_REPO, file, esc50, **facts)


def _converted(name: str, what: str, trained_on: str, esc50: float | None = None, **more: Any) -> Preset:
    """One of LAION's models as a folder of transformers."""
    megabytes = 776 if "HTSAT-base" in what else 615
    source = "" if esc50 is None else LAION_README if megabytes == 615 else LAION_NAME
    facts = {"trained_on": trained_on, "source": source, **more}
    return Preset(name, what, "Apache-2.0", megabytes, name, esc50=esc50, **facts)


def _microsoft(year: int, what: str, megabytes: int, esc50: float, **more: Any) -> Preset:
    file = f"CLAP_weights_{year}.pth"
    return Preset(
        f"microsoft/msclap-{year}", what, "MS-PL", megabytes, "microsoft/msclap", file, esc50, rate=44_100, **more
    )


PRESETS: tuple[Preset, ...] = (
    Preset(
        "mini",
        "small CNN + word vectors; comes with openclap, 29 MB",
        "Apache-2.0",
        0,
        fingerprint="3cee14f8f02c6fa3",
        parameters=15.0,
        rate=32_000,
        languages="English, Chinese by a lexicon",
        trained_on="AudioSet's classes, learnt from a tagger",
    ),
    _converted("laion/clap-htsat-fused", "HTSAT-tiny + RoBERTa, fused; general sounds", WITH_AUDIOSET, 90.5),
    _converted("laion/clap-htsat-unfused", "HTSAT-tiny + RoBERTa; general sounds", WITH_AUDIOSET, 92.75),
    _microsoft(
        2023,
        "HTSAT-tiny + GPT-2; general sounds, music and speech",
        690,
        93.9,
        tokenizer="openai-community/gpt2",
        parameters=155.6,
        clip=7.0,
        trained_on="4.6 million sounds with texts",
        source="README of microsoft/CLAP",
    ),
    _microsoft(
        2022,
        "Cnn14 + BERT; general sounds",
        785,
        82.6,
        tokenizer="google-bert/bert-base-uncased",
        parameters=193.6,
        clip=5.0,
        trained_on="FSD50K, Clotho, AudioCaps and MACS",
        source="arXiv 2206.04769",
    ),
    _converted("laion/larger_clap_general", "HTSAT-base + RoBERTa; general sounds", WITH_AUDIOSET, 89.98, **BASE),
    _converted(
        "laion/larger_clap_music_and_speech", "HTSAT-base + RoBERTa; music and speech", MUSIC_SPEECH, 89.25, **BASE
    ),
    _converted(
        "laion/larger_clap_music",
        "HTSAT-base + RoBERTa; music",
        MUSIC,
        note="broken copy: use music_audioset_epoch_15_esc_90.14.pt",
        **BASE,
    ),
    Preset(
        "davidrrobinson/BioLingual",
        "HTSAT-tiny + RoBERTa; birds and other animals",
        "not stated",
        615,
        "davidrrobinson/BioLingual",
        trained_on="AnimalSpeak: Xeno-canto, iNaturalist and others",
    ),
    _laion("630k-best.pt", "HTSAT-tiny + RoBERTa; general sounds", GENERAL),
    _laion("630k-audioset-best.pt", "HTSAT-tiny + RoBERTa; general sounds", WITH_AUDIOSET, 92.75),
    _laion("630k-fusion-best.pt", "HTSAT-tiny + RoBERTa, fused; general sounds", GENERAL),
    _laion("630k-audioset-fusion-best.pt", "HTSAT-tiny + RoBERTa, fused; general sounds", WITH_AUDIOSET, 90.5),
    _laion("music_audioset_epoch_15_esc_90.14.pt", "HTSAT-base + RoBERTa; music", MUSIC, 90.14, **BASE),
    _laion("music_speech_epoch_15_esc_89.25.pt", "HTSAT-base + RoBERTa; music and speech", MUSIC_SPEECH, 89.25, **BASE),
    _laion(
        "music_speech_audioset_epoch_15_esc_89.98.pt",
        "HTSAT-base + RoBERTa; music, speech and general sounds",
        "music, speech, LAION-Audio-630K and AudioSet",
        89.98,
        **BASE,
    ),
    Preset(
        "mini-3",
        "mini's third edition, for what was made with it; comes with openclap, 16 MB",
        "Apache-2.0",
        0,
        fingerprint="86b7c91662cc86f7",
        parameters=11.8,
        rate=32_000,
        languages="English, Chinese by a lexicon",
        trained_on="3 000 recordings and synthesised sounds, with captions",
    ),
)

# What is to be heard → the models to take, the first before the others, and why.
ADVICE: dict[str, tuple[tuple[str, ...], str]] = {
    "effects": (
        ("laion/clap-htsat-fused", "microsoft/msclap-2023", "laion/clap-htsat-unfused", "mini"),
        "the first hears recordings of any length as a whole; the second has the highest published score on short clips",
    ),
    "music": (
        ("music_audioset_epoch_15_esc_90.14.pt", "laion/larger_clap_music_and_speech", "microsoft/msclap-2023"),
        "the first was trained on music above all; the second needs no torch",
    ),
    "speech": (
        ("laion/larger_clap_music_and_speech", "microsoft/msclap-2023"),
        "they know who speaks and how (a child, whispering, anger), not which words: those are for speech recognition",
    ),
    "birds": (
        ("davidrrobinson/BioLingual", "microsoft/msclap-2023"),
        "the first was trained on the species of Xeno-canto and iNaturalist; for one bird of yours, teach a detector",
    ),
}

KNOWN_BAD = {"laion/larger_clap_music": "music_audioset_epoch_15_esc_90.14.pt"}  # broken copy → what to use instead


def advise(purpose: str) -> tuple[tuple[Preset, ...], str]:
    """The models to take for a purpose, a key of `ADVICE`, the best first, and why.

    Raises
    ------
    UsageError
        The purpose is none of them.
    """
    if purpose not in ADVICE:
        raise UsageError(f"{purpose!r} is no purpose; choose one of {', '.join(ADVICE)}")
    names, why = ADVICE[purpose]
    return tuple(preset for name in names for preset in PRESETS if preset.name == name), why


def find_preset(name: str) -> Preset | None:
    """The preset of this name."""
    return next((preset for preset in PRESETS if preset.name == name), None)


def name_to_load(model: str, fingerprint: str, at_work: str = "") -> str | None:
    """The name that loads a model today which was called `model` when something was made with it; None: no known name.

    A packaged model keeps its name when an edition brings new weights: the fingerprint tells which edition it was. A
    model of the Hub does not change; where `at_work`, the name of a loaded model with another fingerprint, is the same
    name, it was another copy.
    """
    preset = find_preset(model)
    if preset is not None and preset.fingerprint is None:
        return model if model != at_work else None
    if preset is not None and preset.fingerprint == fingerprint:
        return model
    return next((preset.name for preset in PRESETS if preset.fingerprint == fingerprint), None)


def use_maker(model: str, fingerprint: str, at_work: str = "") -> Hint:
    """What to do with something that such a model made: load that model, by its name where it has one."""
    loads = name_to_load(model, fingerprint, at_work)
    return Hint("use_model", name=loads) if loads else Hint("same_model")


def maker_display_name(model: str, fingerprint: str, at_work: str = "") -> str:
    """What to call such a model: the name that loads it today, or "another mini" where none does."""
    loads = name_to_load(model, fingerprint, at_work)
    return loads or (f"another {model}" if find_preset(model) is not None else model)
