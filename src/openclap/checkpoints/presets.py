"""The table of models that have a name.

Scores are published: the zero-shot accuracy on ESC-50 in the README or the file name of a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclap.errors import Hint
from openclap.results import Result

__all__ = ["KNOWN_BAD", "PRESETS", "Preset", "find_preset", "maker_display_name", "name_to_load", "use_maker"]


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


LAION_REPO = "lukewys/laion_clap"

PRESETS: tuple[Preset, ...] = (
    Preset("mini", "small CNN + word vectors; comes with openclap", "Apache-2.0", 0, fingerprint="5f1f2887dd5d762b"),
    Preset(
        "laion/clap-htsat-fused",
        "HTSAT-tiny + RoBERTa, fused; general sounds",
        "Apache-2.0",
        615,
        "laion/clap-htsat-fused",
        esc50=90.5,
    ),
    Preset(
        "laion/clap-htsat-unfused",
        "HTSAT-tiny + RoBERTa; general sounds",
        "Apache-2.0",
        615,
        "laion/clap-htsat-unfused",
        esc50=92.75,
    ),
    Preset(
        "laion/larger_clap_general",
        "HTSAT-base + RoBERTa; general sounds",
        "Apache-2.0",
        776,
        "laion/larger_clap_general",
        esc50=89.98,
    ),
    Preset(
        "laion/larger_clap_music_and_speech",
        "HTSAT-base + RoBERTa; music and speech",
        "Apache-2.0",
        776,
        "laion/larger_clap_music_and_speech",
        esc50=89.25,
    ),
    Preset(
        "laion/larger_clap_music",
        "HTSAT-base + RoBERTa; music",
        "Apache-2.0",
        776,
        "laion/larger_clap_music",
        note="broken copy: use music_audioset_epoch_15_esc_90.14.pt",
    ),
    Preset("630k-best.pt", "HTSAT-tiny + RoBERTa; LAION-Audio-630K", "CC0-1.0", 1863, LAION_REPO, "630k-best.pt"),
    Preset("630k-audioset-best.pt", "the same + AudioSet", "CC0-1.0", 1863, LAION_REPO, "630k-audioset-best.pt", 92.75),
    Preset(
        "630k-fusion-best.pt",
        "HTSAT-tiny + RoBERTa, fused; LAION-Audio-630K",
        "CC0-1.0",
        1863,
        LAION_REPO,
        "630k-fusion-best.pt",
    ),
    Preset(
        "630k-audioset-fusion-best.pt",
        "the same + AudioSet",
        "CC0-1.0",
        1863,
        LAION_REPO,
        "630k-audioset-fusion-best.pt",
        90.5,
    ),
    Preset(
        "music_audioset_epoch_15_esc_90.14.pt",
        "HTSAT-base + RoBERTa; music",
        "CC0-1.0",
        2352,
        LAION_REPO,
        "music_audioset_epoch_15_esc_90.14.pt",
        90.14,
    ),
    Preset(
        "music_speech_epoch_15_esc_89.25.pt",
        "HTSAT-base + RoBERTa; music and speech",
        "CC0-1.0",
        2352,
        LAION_REPO,
        "music_speech_epoch_15_esc_89.25.pt",
        89.25,
    ),
    Preset(
        "music_speech_audioset_epoch_15_esc_89.98.pt",
        "HTSAT-base + RoBERTa; music, speech, AudioSet",
        "CC0-1.0",
        2352,
        LAION_REPO,
        "music_speech_audioset_epoch_15_esc_89.98.pt",
        89.98,
    ),
    Preset(
        "mini-3",
        "mini's third edition, for what was made with it; comes with openclap, 16 MB",
        "Apache-2.0",
        0,
        fingerprint="86b7c91662cc86f7",
    ),
)

KNOWN_BAD = {"laion/larger_clap_music": "music_audioset_epoch_15_esc_90.14.pt"}  # broken copy → what to use instead


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
