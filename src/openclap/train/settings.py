"""What a training run is, read from one YAML file and checked before the first step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_type_hints, overload

from openclap.backends import MOST_THREADS
from openclap.checkpoints.load import load_checkpoint
from openclap.config import FORMAT_NAME, FORMAT_VERSION, CLAPConfig, typed
from openclap.errors import MissingExtra, OpenClapError, TrainingError

__all__ = ["Augment", "Lora", "Settings", "Source", "read_settings", "read_yaml", "refuse_unused", "settings_of"]


@dataclass(frozen=True)
class Source:
    """Described sounds, as `openclap.data.open_manifest` takes them: a folder with a metadata.csv, a table, tars, a data set."""

    folder: str
    split: str | None = None
    include: tuple[str, ...] = ("*",)  # patterns on the file name
    exclude: tuple[str, ...] = ()
    repeat: int = 1  # visits an epoch


@dataclass(frozen=True)
class Augment:
    """What is done to a clip in training, on its power mel. Each `*_share` is the share of clips it is done to."""

    stretch: float = 0.0  # time is scaled by exp(±stretch)
    pitch_bins: float = 0.0  # the mel axis is moved by up to ± this many bins
    equaliser_db: float = 0.0  # standard deviation of a smooth random frequency response
    gain_db: float = 0.0  # up to ± this much louder; front ends with a dynamic_range level it out
    room_share: float = 0.0  # the tail of a room behind the sound
    room_seconds: tuple[float, float] = (0.1, 1.0)  # until it has decayed by 60 dB
    room_db: tuple[float, float] = (-12.0, 3.0)  # the tail's power beside that of the sound
    noise_share: float = 0.0
    noise_snr_db: tuple[float, float] = (0.0, 30.0)
    mix_share: float = 0.0  # two sounds played at once, captions joined
    mix_gain_db: tuple[float, float] = (-6.0, 6.0)
    time_masks: int = 0  # SpecAugment, after the batch norm
    time_mask_frames: int = 64
    mel_masks: int = 0
    mel_mask_bins: int = 8


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685) beside the linear layers of some parts; these stay as they are, the rest trains."""

    rank: int = 16
    alpha: float | None = None  # twice the rank when left out
    dropout: float = 0.0
    parts: tuple[str, ...] = ("audio.", "text.")  # prefixes of names


@dataclass(frozen=True)
class Settings:
    """One run. Sizes are in clips and steps, rates per step; paths are relative to the YAML file."""

    out: str
    sources: tuple[Source, ...]
    model: dict[str, Any] = field(default_factory=dict)  # a config.json; left out, that of `init`
    tokenizer: str | None = None  # a tokenizer.json; left out, that of `init` or `init_text`
    init: str | None = None  # any checkpoint, or safetensors with some or all weights, in openclap's names
    init_text: str | None = None  # a transformer for the text tower: a Hub id such as roberta-base, or a folder
    lora: Lora | None = None
    phrases: tuple[str, ...] = ()  # CSV files: label,phrase
    families: str | None = None  # CSV file: family,concept; concepts of one family are no negatives of each other
    own_share: float = (
        0.0  # of the visits that say what came with the sounds; at the others one of these or of `phrases`
    )
    templates: tuple[str, ...] = ("{}",)
    template_share: float = 0.5  # of the captions that are put into a template
    augment: Augment = field(default_factory=Augment)
    epochs: int = 45
    batch_size: int = 64
    crop_seconds: float = 10.0
    extra_texts: int = 0  # captions of other concepts added to each batch as negatives
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    warmup_share: float = 0.05  # of all steps; then cosine to zero
    clip_gradient: float | None = None
    average: float | None = None  # decay of the moving average of the weights that is saved
    freeze: tuple[str, ...] = ()  # prefixes of parameters that stay as they are
    train_only: tuple[str, ...] = ()  # prefixes of the only parameters that change; all that are not frozen when empty
    longer_share: float = 0.5  # of the recordings longer than `longer_from` crops: shown whole, through the fusion
    longer_from: float = 2.0
    lengthen: float | None = None  # shorter recordings are repeated to up to this many crops, so that they are long too
    freeze_norms: bool = False  # batch norms keep the statistics they have
    loss: Literal["infonce", "sigmoid"] = "infonce"  # the paper's, or SigLIP's
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the towers' arithmetic; weights stay float32
    pieces: int | None = None  # clips a rank computes at a time (gradient cache); None: all of its part of the batch
    device: str = "auto"
    workers: int = 1  # threads that make batches ahead
    most_broken: float = (
        0.0  # share of the recordings that may be unreadable or undescribed: they are named and left out
    )
    memory_gb: float = 4.0  # for decoded recordings, of each process; what does not fit is decoded at every visit
    seed: int = 0
    threads: int | None = None
    checkpoint_minutes: float = 2.0
    shard: bool = False  # weights and optimiser state are spread over the processes (FSDP) instead of copied to each
    trackers: tuple[str, ...] = ("tensorboard",)  # accelerate's: tensorboard, wandb, mlflow, …
    track_steps: int = 10  # between two points of a curve
    folder: Path = field(default=Path(), compare=False)  # of the YAML file

    def resolve(self, path: str) -> Path:
        """A path of this file, relative to the file; $VARIABLES are filled in."""
        expanded = os.path.expandvars(path)
        if "$" in expanded:
            raise TrainingError(f"{path}: the variable is not set; export it, or write the path")
        return (self.folder / Path(os.path.expanduser(expanded))).resolve()

    @property
    def init_is_bare(self) -> bool:
        """Whether `init` is a file of weights alone."""
        path = self.resolve(self.init or "")
        return path.suffix == ".safetensors" and not (path.parent / "config.json").exists()

    def initial(self) -> str:
        """The checkpoint `init` names: a path of this machine, or a name."""
        assert self.init is not None
        path = self.resolve(self.init)
        return str(path) if path.exists() else self.init

    def config(self) -> CLAPConfig:
        """The model's configuration, checked."""
        if not self.model:
            return self._config_of_init()
        try:
            return CLAPConfig.from_dict({"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **self.model})
        except (OpenClapError, TypeError) as error:
            raise TrainingError(f"model in the training configuration: {error}") from error

    def _config_of_init(self) -> CLAPConfig:
        if self.init is None or self.init_is_bare:
            raise TrainingError("model is left out; describe it, or name a checkpoint with init")
        try:
            return load_checkpoint(self.initial()).config
        except OpenClapError as error:
            raise TrainingError(f"init: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """What decides the run: two with equal dictionaries, files, number of processes, device and threads give equal weights."""
        return {
            k: v
            for k, v in asdict(self).items()
            if k
            not in (
                "folder",
                "out",
                "threads",
                "checkpoint_minutes",
                "workers",
                "device",
                "memory_gb",
                "trackers",
                "track_steps",
            )
        }


Kind = TypeVar("Kind", bound=Settings)
OTHERS = {
    "teacher": "openclap distill",
    "distill": "openclap distill",
    "supervised": "openclap finetune",
}  # names that only another verb knows


@overload
def read_settings(path: Path, /, **changes: Any) -> Settings: ...
@overload
def read_settings(path: Path, kind: type[Kind], /, **changes: Any) -> Kind: ...
def read_settings(path: Path, kind: type[Any] = Settings, /, **changes: Any) -> Any:
    """Settings from a YAML file; `changes` replace its top-level values.

    Parameters
    ----------
    kind
        Settings, or a subclass: a task's own names beside these.

    Raises
    ------
    TrainingError
        A file that is missing or no YAML; an unknown, missing or ill-typed value.
    """
    return settings_of({**read_yaml(path), **changes}, path.resolve().parent, str(path), kind)


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of names to values, from a YAML file."""
    try:
        import yaml
    except ImportError:
        raise MissingExtra("training reads YAML: install it with  pip install 'openclap[train]'") from None
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{path}: {error.strerror or error}; give a training configuration (YAML)") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise TrainingError(f"{path}: a mapping of names to values is expected, not {type(data).__name__}")
    if not all(isinstance(key, str) for key in data):
        raise TrainingError(f"{path}: every name must be a word")
    return data


def settings_of(values: Mapping[str, Any], folder: Path, where: str, kind: type[Kind]) -> Kind:
    """Settings from plain values, as a YAML file in `folder` would hold them; `where` begins the messages of errors.

    Raises
    ------
    TrainingError
        An unknown, missing or ill-typed value.
    """
    data = dict(values)
    sources = data.get("sources") or ()
    if not isinstance(sources, list | tuple):
        raise TrainingError(f"{where}: sources is {sources!r}; it must be a list of folders")
    data["sources"] = tuple(_build(Source, s, f"{where}: sources") for s in sources)
    for name, part in _parts(kind).items():
        if data.get(name) is not None or name == "augment":
            data[name] = _build(part, data.get(name) or {}, f"{where}: {name}")
    other = next((name for name in OTHERS if name in data and name not in {f.name for f in fields(kind)}), None)
    if other is not None:
        raise TrainingError(f"{where}: {other} is for  {OTHERS[other]}; run that, or leave it out")
    settings: Kind = _build(kind, {**data, "folder": folder.resolve()}, where)
    _check(settings, where)
    return settings


def _parts(kind: type[Settings]) -> dict[str, type[Any]]:
    """The settings that are mappings of names of their own, such as `augment`."""
    found: dict[str, type[Any]] = {}
    for name, hint in get_type_hints(kind).items():
        options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        part = next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)
        if part is not None:
            found[name] = part
    return found


def _build(cls: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise TrainingError(f"{where}: names and values are expected, not {values!r}")
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise TrainingError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known - {'folder'}))}")
    try:
        return cls(**typed(cls, values))
    except ValueError as error:
        raise TrainingError(f"{where}: {error}") from error
    except TypeError as error:
        raise TrainingError(f"{where}: {str(error).split('__init__() ')[-1]}") from error


def refuse_unused(settings: Settings, names: tuple[str, ...], verb: str) -> None:
    """One sentence for a setting that a task would not look at.

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
        raise TrainingError(f"{', '.join(set_)}: not for  {verb}, which would not look at it; leave it out")


AMOUNTS = (
    "stretch", "pitch_bins", "equaliser_db", "gain_db", "time_masks", "time_mask_frames", "mel_masks", "mel_mask_bins"
)  # fmt: skip


def _ranges(augment: Augment) -> tuple[tuple[float, float], ...]:
    return augment.noise_snr_db, augment.mix_gain_db, augment.room_db, augment.room_seconds


def _check(settings: Settings, where: str) -> None:
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
        "precision": (settings.precision in ("float32", "bfloat16", "float16"), "float32, bfloat16 or float16"),
        "loss": (settings.loss in ("infonce", "sigmoid"), "infonce or sigmoid"),
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
            all(0 <= getattr(settings.augment, name) <= 1 for name in ("noise_share", "mix_share", "room_share")),
            "from 0 to 1",
        ),
        f"augment: each of {', '.join(AMOUNTS)}": (
            all(getattr(settings.augment, name) >= 0 for name in AMOUNTS),
            "0 or more",
        ),
        "augment.noise_snr_db, mix_gain_db, room_db, room_seconds": (
            all(len(r) == 2 and r[0] <= r[1] for r in _ranges(settings.augment))
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
    for name, (fine, rule) in rules.items():
        if not fine:
            value = getattr(settings, name, None)
            raise TrainingError(f"{where}: {name}{'' if value is None else f' is {value!r}'}; it must be {rule}")
