"""Check the values of settings; each rule has the words that the error message uses for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields

from openclap.backends import MOST_THREADS
from openclap.errors import TrainingError
from openclap.train.settings import Settings

__all__ = ["check", "check_weights", "refuse_unused", "require"]

AMOUNTS = (
    "stretch",
    "pitch_bins",
    "equaliser_db",
    "gain_db",
    "time_masks",
    "time_mask_frames",
    "mel_masks",
    "mel_mask_bins",
)
RANGES = ("noise_snr_db", "mix_gain_db", "under_snr_db", "room_db", "room_seconds")


def check(settings: Settings, where: str) -> None:
    """Refuse values that no run can have; the message begins with `where`.

    Raises
    ------
    TrainingError
        The message names the first wrong setting, its value and what it must be.
    """
    rules = {
        "sources": (bool(settings.sources), "name at least one folder"),
        "epochs": (settings.epochs >= 1, "1 or more"),
        "batch_size": (
            settings.batch_size >= 2,
            "2 or more: a contrastive loss needs another clip to tell apart",
        ),
        "crop_seconds": (settings.crop_seconds > 0, "more than 0"),
        "learning_rate": (settings.learning_rate > 0, "more than 0"),
        "warmup_share": (0 <= settings.warmup_share < 1, "from 0 to below 1"),
        "pieces": (settings.pieces is None or settings.pieces >= 1, "1 clip or more, or left out"),
        "clip_gradient": (settings.clip_gradient is None or settings.clip_gradient > 0, "more than 0, or left out"),
        "weight_decay": (settings.weight_decay >= 0, "0 or more"),
        "template_share": (0 <= settings.template_share <= 1, "from 0 to 1"),
        "own_share": (0 <= settings.own_share <= 1, "from 0 to 1"),
        "extra_texts": (settings.extra_texts >= 0, "0 or more"),
        "seed": (0 <= settings.seed < 2**63, "from 0 to below 2**63"),
        "threads": (
            settings.threads is None or 1 <= settings.threads <= MOST_THREADS,
            f"from 1 to {MOST_THREADS}, or left out",
        ),
        "betas": (
            len(settings.betas) == 2 and all(0 <= b < 1 for b in settings.betas),
            "two numbers from 0 to below 1",
        ),
        "memory_gb": (settings.memory_gb >= 0, "0 or more"),
        "workers": (settings.workers >= 1, "1 or more"),
        "most_broken": (0 <= settings.most_broken < 1, "from 0 to below 1"),
        "longer_share": (0 <= settings.longer_share <= 1, "from 0 to 1"),
        "longer_from": (settings.longer_from >= 1, "1 or more crops"),
        "lengthen": (
            settings.lengthen is None or settings.lengthen > settings.longer_from,
            "more than longer_from, or left out",
        ),
        "augment: every share": (
            all(
                0 <= getattr(settings.augment, name) <= 1
                for name in ("noise_share", "mix_share", "under_share", "room_share")
            ),
            "from 0 to 1",
        ),
        f"augment: each of {', '.join(AMOUNTS)}": (
            all(getattr(settings.augment, name) >= 0 for name in AMOUNTS),
            "0 or more",
        ),
        f"augment.{', '.join(RANGES)}": (
            all(len(r) == 2 and r[0] <= r[1] for r in (getattr(settings.augment, name) for name in RANGES))
            and settings.augment.room_seconds[0] > 0,
            "two numbers each, the lower one first, seconds more than 0",
        ),
        "sources.repeat": (all(source.repeat >= 1 for source in settings.sources), "1 or more"),
        "shard": (
            not (settings.shard and settings.precision == "float16"),
            "false with precision float16; bfloat16 shards",
        ),
        "track_steps": (settings.track_steps >= 1, "1 or more"),
        "lora": (
            settings.lora is None
            or (settings.lora.rank >= 1 and 0 <= settings.lora.dropout < 1 and bool(settings.lora.parts)),
            "with a rank of 1 or more, a dropout from 0 to below 1, and parts",
        ),
        "average": (settings.average is None or 0 < settings.average < 1, "between 0 and 1, or left out"),
        "templates": (
            all(t.count("{}") == 1 for t in settings.templates) and bool(settings.templates),
            "each with {} once",
        ),
    }
    require(rules, settings, f"{where}: ")


def require(rules: Mapping[str, tuple[bool, str]], of: object, begin: str) -> None:
    """Refuse the first setting of `of` that breaks its rule: whether it is kept, and its words; `begin` comes first.

    Raises
    ------
    TrainingError
        The message gives the name, the value where there is one, and the rule.
    """
    for name, (fine, rule) in rules.items():
        if not fine:
            value = getattr(of, name, None)
            raise TrainingError(f"{begin}{name}{'' if value is None else f' is {value!r}'}; it must be {rule}")


def check_weights(of: object, names: tuple[str, ...], part: str) -> None:
    """Refuse weights of a loss below 0, and a loss all of whose weights are 0; `part` is the setting that holds them.

    Raises
    ------
    TrainingError
        The message names them.
    """
    weights = {name: getattr(of, name) for name in names}
    wrong = next((name for name, weight in weights.items() if not weight >= 0), None)
    if wrong is not None or not any(weights.values()):
        said = f"{part}.{wrong} is {weights[wrong]!r}" if wrong else f"all parts of {part} have weight 0"
        raise TrainingError(f"{said}; weights are 0 or more, and one of {', '.join(weights)} is more")


def refuse_unused(settings: Settings, names: tuple[str, ...], verb: str) -> None:
    """Refuse settings that a task would not use.

    Raises
    ------
    TrainingError
        One of `names` has another value than its default.
    """
    defaults = {
        f.name: f.default_factory() if f.default_factory is not MISSING else f.default for f in fields(Settings)
    }
    set_ = [name for name in names if getattr(settings, name) != defaults[name]]
    if set_:
        raise TrainingError(f"{', '.join(set_)}: not for {verb}, which would not look at it; leave it out")
