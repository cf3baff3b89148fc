"""What each audio encoder is; `encoders.AUDIO` says how it is built."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from openclap.config.activations import ACTIVATIONS
from openclap.config.checks import check_positive
from openclap.config.front_end import FrontEnd
from openclap.errors import UsageError
from openclap.plurals import count_noun

__all__ = [
    "AudioConfig",
    "Fusion",
    "HTSATConfig",
    "InvertedResidual",
    "MobileNetConfig",
    "NoAudioConfig",
    "PANNConfig",
]

Fusion: TypeAlias = Literal["daf_1d", "aff_1d", "iaff_1d", "daf_2d", "aff_2d", "iaff_2d", "channel_map"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
FUSIONS_2D: tuple[Fusion, ...] = ("daf_2d", "aff_2d", "iaff_2d")


class AudioConfig:
    """What the configuration of every audio encoder has; it is a frozen dataclass that derives from this class.

    `kind`, a field with its default, and `output`, the width of what the tower gives, are its own to define.
    """

    kind: str
    output: int
    fusions: ClassVar[tuple[Fusion, ...]] = ()  # that it can be built with
    is_missing: ClassVar[bool] = False  # whether the model has no audio tower

    def check(self, front: FrontEnd) -> None:
        """Raise UsageError where no such tower can be built, or where it cannot take the mels of this front end."""

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes; None, any number."""
        return 1, None

    def facts(self) -> dict[str, Any]:
        """What changes an embedding but not the names and shapes of the weights; part of the model's fingerprint."""
        return {"audio_fields": vars(self)}


@dataclass(frozen=True)
class HTSATConfig(AudioConfig):
    """Hierarchical token-semantic audio transformer (arXiv 2202.00874): a swin transformer over the folded mel."""

    width: int = 96  # D of the first stage; doubles at each of the following ones
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 8  # patches
    patch: int = 4  # pixels
    image: int = 256  # pixels; mel_bins * folds == image
    mlp_ratio: float = 4.0
    drop_path: float = 0.1
    head_widths: tuple[int, ...] | None = None  # width of the heads of each stage; None: the stage's width / its heads
    mlp_rows: tuple[int, ...] | None = None  # hidden rows of the MLPs of each stage; None: its width * mlp_ratio
    activation: str = "gelu"  # of the MLPs: a name of ACTIVATIONS
    layer_norm_eps: float = 1e-5  # of the norms within blocks; all others have 1e-5
    qkv_bias: bool = True
    patch_norm: bool = True  # a layer norm after the patches
    fusion_reduction: int = 4  # r: channels are squeezed by this inside a 2-D fusion's attention
    kind: Literal["htsat"] = "htsat"

    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS

    def check(self, front: FrontEnd) -> None:
        """Raise UsageError where no such tower can be built, or where it cannot take the mels of this front end."""
        check_positive("HTSAT", width=self.width, window=self.window, patch=self.patch, image=self.image)
        if self.image % front.mel_bins:
            raise UsageError(f"HTSAT folds {front.mel_bins} mel bins into {self.image} pixels: no whole number")
        most = self.image // front.mel_bins * self.image
        if front.clip_frames > most:
            raise UsageError(
                f"a clip has {front.clip_frames} frames, the image of HTSAT holds {most}; raise hop or image"
            )
        if len(self.heads) != len(self.depths) or not self.depths:
            raise UsageError(
                f"HTSAT has {count_noun(len(self.depths), 'stage')} and {count_noun(len(self.heads), 'number')} of"
                " heads; give one a stage"
            )
        if self.activation not in ACTIVATIONS:
            raise UsageError(
                f"'{self.activation}' is not an activation of HTSAT; choose one of {', '.join(ACTIVATIONS)}"
            )
        check_positive("HTSAT", fusion_reduction=self.fusion_reduction, layer_norm_eps=self.layer_norm_eps)
        for name in ("head_widths", "mlp_rows"):
            given = getattr(self, name)
            if given is not None and (len(given) != len(self.depths) or min(given) < 1):
                raise UsageError(
                    f"{name} of HTSAT is {given}; give a number above 0 for each of {len(self.depths)} stages"
                )
        for stage, heads in enumerate(self.heads):
            width, side = self.width << stage, (self.image // self.patch) >> stage
            uneven = self.head_widths is None and heads > 0 and width % heads
            if heads < 1 or uneven or side < 1 or side % min(self.window, side):
                raise UsageError(
                    f"stage {stage + 1} of HTSAT: width {width} by {heads} heads, {side} patches by windows of"
                    f" {self.window}; both must divide"
                )

    @property
    def last_side(self) -> int:
        """Patches along one side of the image in the last stage."""
        return (self.image // self.patch) >> (len(self.depths) - 1)

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes; None, any number."""
        return 1, self.image // front.mel_bins * self.image

    def facts(self) -> dict[str, Any]:
        """What changes an embedding but not the names and shapes of the weights; part of the model's fingerprint.

        Fields that were added later are left out where they have their defaults: older models keep their fingerprints.
        """
        default = HTSATConfig()
        added_later = ("head_widths", "activation", "layer_norm_eps", "qkv_bias", "patch_norm", "fusion_reduction")
        changed = {name: getattr(self, name) for name in added_later if getattr(self, name) != getattr(default, name)}
        return {"window": self.window, "heads": self.heads, "image": self.image, **changed}

    @property
    def output(self) -> int:  # type: ignore[override]  # follows from the other fields
        """Width of the tower's output: 768 for tiny."""
        return self.width << (len(self.depths) - 1)

    def head_width(self, stage: int) -> int:
        """Numbers in one head of a stage, counted from 0; pruning removes whole heads and does not change it."""
        return (self.width << stage) // self.heads[stage] if self.head_widths is None else self.head_widths[stage]

    def mlp_width(self, stage: int) -> int:
        """Hidden rows of the MLPs of a stage."""
        return int((self.width << stage) * self.mlp_ratio) if self.mlp_rows is None else self.mlp_rows[stage]

    @classmethod
    def preset(cls, name: str) -> HTSATConfig:
        """The sizes `tiny`, `base` or `large` of the paper."""
        presets = {
            "tiny": cls(),
            "base": cls(width=128, depths=(2, 2, 12, 2)),
            "large": cls(width=256, depths=(2, 2, 12, 2)),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not an HTSAT size; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class PANNConfig(AudioConfig):
    """Pretrained audio neural network (arXiv 1912.10211): convolution blocks, then pooling over time."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)  # channels of each block
    convs: int = 2  # convolutions in each block
    kernel: int = 3
    pools: tuple[tuple[int, int], ...] = (*((2, 2),) * 5, (1, 1))  # (time, mel) of each block
    output: int = 2048
    dropout: float = 0.2  # after each block
    head_dropout: float = 0.5  # before the last layer
    output_dropout: float = 0.5  # after it
    kind: Literal["pann"] = "pann"
    hidden: bool = True  # a linear layer with ReLU after the pooling over time; without it `output` is the last width

    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS

    def check(self, front: FrontEnd) -> None:
        """UsageError for what cannot be built."""
        check_positive(
            "PANN", convs=self.convs, kernel=self.kernel, output=self.output, width=min(self.widths, default=0)
        )
        if not self.hidden and self.output != self.widths[-1]:
            raise UsageError(
                f"PANN without a hidden layer gives {self.widths[-1]} numbers, not {self.output}; set output to that"
            )
        if len(self.pools) != len(self.widths):
            raise UsageError(
                f"PANN has {count_noun(len(self.widths), 'block')} and {count_noun(len(self.pools), 'pooling')}; give"
                " one a block"
            )

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes; with fewer, its pooling leaves nothing."""
        return math.prod(time for time, _ in self.pools), None

    def facts(self) -> dict[str, Any]:
        """What changes an embedding but not the names and shapes of the weights; part of the model's fingerprint."""
        return {"pools": self.pools}

    @classmethod
    def preset(cls, name: str) -> PANNConfig:
        """The sizes `14`, `10` or `6` of the paper."""
        presets = {
            "14": cls(),
            "10": cls(widths=(64, 128, 256, 512, 1024), pools=((2, 2),) * 5, output=1024),
            "6": cls(widths=(64, 128, 256, 512), convs=1, kernel=5, pools=((2, 2),) * 4, output=512),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not a PANN; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class NoAudioConfig(AudioConfig):
    """No audio tower: the model embeds texts alone."""

    output: int = 0
    kind: Literal["none"] = "none"

    is_missing: ClassVar[bool] = True

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(frozen=True)
class InvertedResidual:
    """One block of a MobileNet; `inner` channels come in, `outer` go out, `expanded` are between."""

    inner: int
    expanded: int
    outer: int
    kernel: int
    stride: int
    squeezed: int  # 0: without squeeze-and-excitation
    swish: bool  # hard swish, else ReLU
    widened: bool  # by a 1 x 1 convolution; else the channels inside are those that come in


@dataclass(frozen=True)
class MobileNetConfig(AudioConfig):
    """MobileNetV3 (arXiv 1905.02244): its "large" table, scaled in width and depth. Small and quick."""

    width: float = (
        1.0  # the channels of every layer of the table are multiplied by this, and rounded to a multiple of 8
    )
    depths: tuple[int, ...] = (1, 2, 3, 4, 2, 3)  # blocks of each stage; those beyond the table are like its last
    output: int = 1280
    dropout: float = 0.2  # after the last layer
    expanded: tuple[int, ...] | None = None  # channels inside every block; None: those of the table
    kind: Literal["mobilenet"] = "mobilenet"

    # of each stage: channels, kernel, stride of the first block, squeeze-and-excitation?, hard swish?, channels inside
    # each block
    STAGES: ClassVar[tuple[tuple[int, int, int, bool, bool, tuple[int, ...]], ...]] = (
        (16, 3, 1, False, False, (16,)),
        (24, 3, 2, False, False, (64, 72)),
        (40, 5, 2, True, False, (72, 120, 120)),
        (80, 3, 2, False, True, (240, 200, 184, 184)),
        (112, 3, 1, True, True, (480, 672)),
        (160, 5, 2, True, True, (672, 960, 960)),
    )
    STEM: ClassVar[int] = 16
    SQUEEZE: ClassVar[int] = 4  # channels are squeezed by this
    WIDEN: ClassVar[int] = 6  # the last convolution multiplies the channels of the last block by this

    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS_2D

    def check(self, front: FrontEnd) -> None:
        """UsageError for what cannot be built."""
        check_positive("MobileNet", width=self.width, output=self.output)
        stages = len(self.STAGES)
        if len(self.depths) != stages or min(self.depths, default=0) < 1:
            raise UsageError(
                f"MobileNet has {count_noun(stages, 'stage')} and the depths {self.depths}; give one a stage, each 1 or"
                " more"
            )
        if self.expanded is not None and (len(self.expanded) != sum(self.depths) or min(self.expanded) < 1):
            raise UsageError(
                f"expanded of MobileNet is {self.expanded}; give a number above 0 for each of {sum(self.depths)} blocks"
            )

    def facts(self) -> dict[str, Any]:
        """Nothing: all that changes an embedding shows in the weights."""
        return {}

    @property
    def stem(self) -> int:
        """Channels of the first convolution."""
        return self._scale_channels(self.STEM)

    @property
    def blocks(self) -> tuple[InvertedResidual, ...]:
        """Every block, in order."""
        blocks: list[InvertedResidual] = []
        inner = self.stem
        for depth, (channels, kernel, stride, squeeze, swish, inside) in zip(self.depths, self.STAGES, strict=True):
            outer = self._scale_channels(channels)
            for i in range(depth):
                unpruned = self._scale_channels(inside[min(i, len(inside) - 1)])
                expanded = unpruned if self.expanded is None else self.expanded[len(blocks)]
                squeezed = _round_to_eights(unpruned // self.SQUEEZE) if squeeze else 0
                block_stride = stride if i == 0 else 1
                blocks.append(
                    InvertedResidual(
                        inner, expanded, outer, kernel, block_stride, squeezed, swish, widened=unpruned != inner
                    )
                )
                inner = outer
        return tuple(blocks)

    @property
    def features(self) -> int:
        """Channels of the last convolution: what is averaged over time and mel."""
        return self.WIDEN * self._scale_channels(self.STAGES[-1][0])

    @classmethod
    def preset(cls, name: str) -> MobileNetConfig:
        """The sizes `mn04`, `mn10`, `mn20`, `mn30` of EfficientAT: the table at 0.4, 1, 2 and 3 times its width."""
        widths = {"mn04": 0.4, "mn10": 1.0, "mn20": 2.0, "mn30": 3.0}
        if name not in widths:
            raise UsageError(f"'{name}' is not a MobileNet; choose one of {', '.join(widths)}")
        return cls(width=widths[name], output=_round_to_eights(1280 * widths[name]))

    def _scale_channels(self, channels: int) -> int:
        return _round_to_eights(channels * self.width)


def _round_to_eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and never less than nine tenths of the number."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
