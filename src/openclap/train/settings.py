"""The settings of a training run: names, types and defaults; `configuration` reads them, `rules` checks values."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from openclap.checkpoints.load import load_checkpoint
from openclap.config import FORMAT_NAME, FORMAT_VERSION, CLAPConfig
from openclap.errors import OpenClapError, TrainingError

__all__ = ["Augment", "Lora", "Settings", "Source", "dataclass_of"]

# settings that do not change what comes out, or not in a way that a resumed run has to know of
FREE = frozenset(
    {"folder", "out", "threads", "checkpoint_minutes", "workers", "device", "memory_gb", "trackers", "track_steps"}
)


def dataclass_of(hint: Any) -> type[Any] | None:
    """The dataclass of a setting that holds settings of its own, or several; None for other types."""
    options = (hint, *get_args(hint))
    return next((option for option in options if isinstance(option, type) and is_dataclass(option)), None)


@dataclass(frozen=True)
class Source:
    """Described sounds, as `openclap.data.open_manifest` takes them."""

    folder: str  # a folder, a table, tars, or a saved data set
    split: str | None = None  # only the items of this split
    include: tuple[str, ...] = ("*",)  # patterns on the file name
    exclude: tuple[str, ...] = ()  # patterns on the file name that are left out
    repeat: int = 1  # how often each is visited in an epoch


@dataclass(frozen=True)
class Augment:
    """What is done to a clip in training, on its power mel. Each `*_share` is the share of clips it is done to."""

    stretch: float = 0.0  # time is scaled by exp(±stretch)
    pitch_bins: float = 0.0  # the mel axis is moved by up to ± this many bins
    equaliser_db: float = 0.0  # standard deviation of a smooth random frequency response
    gain_db: float = 0.0  # up to ± this much louder; front ends with a dynamic_range level it out
    room_share: float = 0.0  # the reverberation of a room is added
    room_seconds: tuple[float, float] = (0.1, 1.0)  # until it has decayed by 60 dB
    room_db: tuple[float, float] = (-12.0, 3.0)  # power of the reverberation beside that of the sound
    noise_share: float = 0.0  # steady noise is added
    noise_snr_db: tuple[float, float] = (0.0, 30.0)  # signal-to-noise ratio
    mix_share: float = 0.0  # another sound is mixed in, and the captions are joined
    mix_gain_db: tuple[float, float] = (-6.0, 6.0)  # loudness of the second sound beside the first
    under_share: float = 0.0  # another sound, often a steady one, is mixed in, and no caption names it
    under_snr_db: tuple[float, float] = (-6.0, 18.0)  # of the sound over that other one
    time_masks: int = 0  # SpecAugment, after the batch norm: stripes of time that are set to zero
    time_mask_frames: int = 64  # the widest of these stripes
    mel_masks: int = 0  # the same for stripes of mel bins
    mel_mask_bins: int = 8  # the widest of these stripes


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685) for the linear layers of some parts, which are frozen; other parts train."""

    rank: int = 16  # of the adapters: more can learn more
    alpha: float | None = None  # twice the rank when left out
    dropout: float = 0.0  # share of the adapters' inputs that is left out in a step
    parts: tuple[str, ...] = ("audio.", "text.")  # prefixes of names


@dataclass(frozen=True)
class Settings:
    """One run. Sizes are in clips and steps, and paths are relative to the YAML file."""

    out: str  # the folder that the model is written to
    sources: tuple[Source, ...]  # what is learnt from
    model: dict[str, Any] = field(default_factory=dict)  # a config.json; left out, that of `init`
    tokenizer: str | None = None  # a tokenizer.json; left out, that of `init` or `init_text`
    init: str | None = None  # any checkpoint, or safetensors with some or all weights, in openclap's names
    init_text: str | None = None  # a transformer for the text tower: a Hub id such as roberta-base, or a folder
    lora: Lora | None = None  # adapters are trained instead of all weights
    phrases: tuple[str, ...] = ()  # CSV files: label,phrase
    families: str | None = None  # CSV file: family,concept; concepts of one family are no negatives of each other
    # share of the visits whose text is a caption of the sounds; at the others `phrases` may be drawn as well
    own_share: float = 0.0
    templates: tuple[str, ...] = ("{}",)  # sentences around a caption, {} is the caption
    template_share: float = 0.5  # share of the captions that are put into a template
    augment: Augment = field(default_factory=Augment)  # what is done to sounds in training
    epochs: int = 45  # times through all recordings
    batch_size: int = 64  # clips of a step, for all processes together
    crop_seconds: float = 10.0  # length of the part of a recording that is heard at a visit
    extra_texts: int = 0  # captions of other concepts added to each batch as negatives
    learning_rate: float = 1e-4  # the highest of the run
    betas: tuple[float, float] = (0.9, 0.999)  # of AdamW: how long it remembers gradients, and their squares
    weight_decay: float = 0.0  # of AdamW
    warmup_share: float = 0.05  # share of the steps in which the learning rate rises; then it falls as a cosine to 0
    clip_gradient: float | None = None  # the largest norm of the gradient of a step
    average: float | None = None  # decay of the moving average of the weights that is saved
    freeze: tuple[str, ...] = ()  # prefixes of parameters that stay as they are
    train_only: tuple[str, ...] = ()  # prefixes of the only parameters that change; all that are not frozen when empty
    longer_share: float = 0.5  # of the recordings longer than `longer_from` crops: shown whole, through the fusion
    longer_from: float = 2.0  # length in crops from which a recording counts as long
    lengthen: float | None = None  # shorter recordings are repeated to up to this many crops, so that they are long too
    freeze_norms: bool = False  # batch norms keep the statistics they have
    loss: Literal["infonce", "sigmoid"] = "infonce"  # the paper's, or SigLIP's
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the towers' arithmetic; weights stay float32
    pieces: int | None = None  # clips a rank computes at a time (gradient cache); left out, its part of the batch
    device: str = "auto"  # auto, cpu, cuda or cuda:N
    workers: int = 1  # threads that make batches ahead
    # share of the recordings that may be unreadable or undescribed: they are named and left out
    most_broken: float = 0.0
    memory_gb: float = 4.0  # for decoded recordings, of each process; what does not fit is decoded at every visit
    seed: int = 0  # decides all random numbers
    threads: int | None = None  # threads of the processor; left out, torch chooses
    checkpoint_minutes: float = 2.0  # minutes between two saved states of the run
    shard: bool = False  # weights and optimiser state are spread over the processes (FSDP) instead of copied to each
    trackers: tuple[str, ...] = ("tensorboard",)  # accelerate's: tensorboard, wandb, mlflow, …
    track_steps: int = 10  # steps between two points of a curve
    folder: Path = field(default=Path(), compare=False)  # the folder of the YAML file

    def resolve(self, path: str) -> Path:
        """Make a path of the YAML file absolute; it is relative to the file, and $VARIABLES are filled in."""
        expanded = os.path.expandvars(path)
        if "$" in expanded:
            raise TrainingError(f"{path}: the variable is not set; export it, or write the path")
        return (self.folder / Path(os.path.expanduser(expanded))).resolve()

    @property
    def init_is_bare(self) -> bool:
        """Whether `init` is a file of weights without a configuration."""
        path = self.resolve(self.init or "")
        return path.suffix == ".safetensors" and not (path.parent / "config.json").exists()

    def initial(self) -> str:
        """The checkpoint that `init` names: a path on this machine, or a name."""
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
            raise TrainingError(f"init: {error.args[0]}", *error.args[1:]) from error

    def to_dict(self) -> dict[str, Any]:
        """The settings that decide the weights.

        Two runs whose dictionaries, files, number of processes, device and threads are equal give equal weights.
        """
        return {k: v for k, v in asdict(self).items() if k not in FREE}
