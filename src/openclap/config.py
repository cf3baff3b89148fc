"""What a model is, as frozen data: front end, towers, fusion, projection. Knows nothing of torch.

A checkpoint stores this as `config.json`; everything that builds, loads or feeds a model reads it from here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from openclap.coercion import coerce_fields
from openclap.errors import BadCheckpoint, UsageError
from openclap.plurals import count_noun

__all__ = [
    "ACTIVATIONS",
    "AUDIO",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "MAX_LOGIT_SCALE",
    "TEXT",
    "AnyTextConfig",
    "AudioConfig",
    "CLAPConfig",
    "ConfidenceCurves",
    "FrontEnd",
    "Fusion",
    "HTSATConfig",
    "InvertedResidual",
    "MobileNetConfig",
    "PANNConfig",
    "TextConfig",
    "WordsConfig",
]

FORMAT_NAME = "openclap"
FORMAT_VERSION = 1
FINGERPRINT = re.compile(r"[0-9a-f]{16}")
MOST_SAID = 300  # characters that say what something was fitted on
STEEPEST = 1000.0  # of a curve: 0 or 1, whatever is heard
MAX_LOGIT_SCALE = 100.0  # the most that multiplies cosines: the paper clamps exp(logit_scale)
# what transformers calls an activation → which one it is
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
# fields that most models do not set: left out of config.json there, so that older versions read it
RARE = {
    "audio": (
        "head_widths",
        "mlp_rows",
        "activation",
        "layer_norm_eps",
        "qkv_bias",
        "patch_norm",
        "fusion_reduction",
        "expanded",
    ),
    "text": ("head_width",),
    "front_end": ("quantise",),
}

Padding: TypeAlias = Literal["repeatpad", "repeat", "pad"]
Fusion: TypeAlias = Literal["daf_1d", "aff_1d", "iaff_1d", "daf_2d", "aff_2d", "iaff_2d", "channel_map"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
FUSIONS_2D: tuple[Fusion, ...] = ("daf_2d", "aff_2d", "iaff_2d")
Facts: TypeAlias = dict[
    str, Any
]  # what of a tower changes an embedding and does not show in names and shapes of weights


@dataclass(frozen=True)
class FrontEnd:
    """How a wave becomes a log-mel (reference: arXiv 2211.06687 §3, and the released feature extractors).

    The released checkpoints differ in `mel_scale` and `mel_norm` alone: unfused ones use Slaney/Slaney,
    fused ones HTK/None. The two banks are 15-28 dB apart, so they travel with the checkpoint.
    """

    sampling_rate: int = 48_000  # Hz
    clip_seconds: float = 10.0
    n_fft: int = 1024  # samples, also the length of the periodic Hann window
    hop: int = 480  # samples
    mel_bins: int = 64  # F
    f_min: float = 50.0  # Hz
    f_max: float = 14_000.0  # Hz
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_norm: Literal["slaney"] | None = None
    padding: Padding = "repeatpad"  # what fills a clip after a shorter sound: see audio/clips.py
    dynamic_range: float | None = None  # dB; None: absolute dB, else dB below the clip's loudest bin, clamped
    quantise: Literal["int16"] | None = None  # of samples, after cutting them to [-1, 1]: as LAION does (audio/mel.py)

    @property
    def clip_samples(self) -> int:
        """Samples of one clip: 480_000 at 48 kHz."""
        return round(self.clip_seconds * self.sampling_rate)

    @property
    def clip_frames(self) -> int:
        """Frames of one clip, T: 1001 at 48 kHz and hop 480 (centred: one more than clip_samples // hop)."""
        return self.clip_samples // self.hop + 1


@dataclass(frozen=True)
class HTSATConfig:
    """Hierarchical token-semantic audio transformer: a swin transformer over the folded mel."""

    width: int = 96  # D of the first stage; doubles at each of the following ones
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 8  # patches
    patch: int = 4  # pixels
    image: int = 256  # pixels; mel_bins * folds == image
    mlp_ratio: float = 4.0
    drop_path: float = 0.1
    head_widths: tuple[int, ...] | None = None  # of every head, a stage; None: the stage's width / its heads
    mlp_rows: tuple[int, ...] | None = None  # hidden rows of the MLPs, a stage; None: the stage's width * mlp_ratio
    activation: str = "gelu"  # of the MLPs: a name of ACTIVATIONS
    layer_norm_eps: float = 1e-5  # of the norms within blocks; all others have 1e-5
    qkv_bias: bool = True
    patch_norm: bool = True  # a layer norm after the patches
    fusion_reduction: int = 4  # r: channels are squeezed by this inside a 2-D fusion's attention
    kind: Literal["htsat"] = "htsat"

    title: ClassVar[str] = "HTSAT"
    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS

    def check(self, front: FrontEnd) -> None:
        """UsageError for what cannot be built, or cannot hear what the front end gives."""
        _check_positive("HTSAT", width=self.width, window=self.window, patch=self.patch, image=self.image)
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
        _check_positive("HTSAT", fusion_reduction=self.fusion_reduction, layer_norm_eps=self.layer_norm_eps)
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

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes; None, any number."""
        return 1, self.image // front.mel_bins * self.image

    def facts(self) -> Facts:
        """What changes an embedding and does not show in the weights; a field that came later only where it is not usual."""
        usual = HTSATConfig()
        later = ("head_widths", "activation", "layer_norm_eps", "qkv_bias", "patch_norm", "fusion_reduction")
        changed = {name: getattr(self, name) for name in later if getattr(self, name) != getattr(usual, name)}
        return {"window": self.window, "heads": self.heads, "image": self.image, **changed}

    @property
    def output(self) -> int:
        """Width of the tower's output: 768 for tiny."""
        return self.width << (len(self.depths) - 1)

    def head_width(self, stage: int) -> int:
        """Numbers of one head of a stage, counted from 0; a pruned tower keeps those of the whole one."""
        return (self.width << stage) // self.heads[stage] if self.head_widths is None else self.head_widths[stage]

    def mlp_width(self, stage: int) -> int:
        """Hidden rows of the MLPs of a stage."""
        return int((self.width << stage) * self.mlp_ratio) if self.mlp_rows is None else self.mlp_rows[stage]

    @classmethod
    def preset(cls, name: str) -> HTSATConfig:
        """`tiny`, `base` or `large` of the paper."""
        presets = {
            "tiny": cls(),
            "base": cls(width=128, depths=(2, 2, 12, 2)),
            "large": cls(width=256, depths=(2, 2, 12, 2)),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not an HTSAT size; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class PANNConfig:
    """Pretrained audio neural network (arXiv 1912.10211): convolution blocks, then pooling over time."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)  # channels of each block
    convs: int = 2  # convolutions a block
    kernel: int = 3
    pools: tuple[tuple[int, int], ...] = (
        (2, 2),
        (2, 2),
        (2, 2),
        (2, 2),
        (2, 2),
        (1, 1),
    )  # (time, mel) a block
    output: int = 2048
    dropout: float = 0.2  # after each block
    head_dropout: float = 0.5  # before the last layer
    output_dropout: float = 0.5  # after it
    kind: Literal["pann"] = "pann"

    title: ClassVar[str] = "PANN"
    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS_2D

    def check(self, front: FrontEnd) -> None:
        """UsageError for what cannot be built."""
        _check_positive(
            "PANN", convs=self.convs, kernel=self.kernel, output=self.output, width=min(self.widths, default=0)
        )
        if len(self.pools) != len(self.widths):
            raise UsageError(
                f"PANN has {count_noun(len(self.widths), 'block')} and {count_noun(len(self.pools), 'pooling')}; give"
                " one a block"
            )

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes: what its pooling leaves something of."""
        return math.prod(time for time, _ in self.pools), None

    def facts(self) -> Facts:
        """What changes an embedding and does not show in the weights."""
        return {"pools": self.pools}

    @classmethod
    def preset(cls, name: str) -> PANNConfig:
        """`14`, `10` or `6` of the paper."""
        four = ((2, 2),) * 4
        presets = {
            "14": cls(),
            "10": cls(widths=(64, 128, 256, 512, 1024), pools=((2, 2),) * 5, output=1024),
            "6": cls(widths=(64, 128, 256, 512), convs=1, kernel=5, pools=four, output=512),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not a PANN; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class InvertedResidual:
    """One block of a MobileNet, in channels."""

    inner: int
    expanded: int
    outer: int
    kernel: int
    stride: int
    squeezed: int  # 0: without squeeze-and-excitation
    swish: bool  # hard swish, else ReLU
    widened: bool  # by a 1 x 1 convolution; else the channels inside are those that come in


@dataclass(frozen=True)
class MobileNetConfig:
    """MobileNetV3 (arXiv 1905.02244): its "large" table, scaled in width and depth.

    Small and quick, slow to train on a CPU.
    """

    width: float = 1.0  # times the channels of every layer of the table, rounded to eights
    depths: tuple[int, ...] = (1, 2, 3, 4, 2, 3)  # blocks of each stage; further ones are like its last
    output: int = 1280
    dropout: float = 0.2  # after the last layer
    expanded: tuple[int, ...] | None = None  # channels inside every block; None: those of the table
    kind: Literal["mobilenet"] = "mobilenet"

    # channels, kernel, stride of the first block, squeeze-and-excitation, hard swish; channels inside each block
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
    WIDEN: ClassVar[int] = 6  # the last convolution makes so many times the channels of the last block

    title: ClassVar[str] = "MobileNet"
    fusions: ClassVar[tuple[Fusion, ...]] = FUSIONS_2D

    def check(self, front: FrontEnd) -> None:
        """UsageError for what cannot be built."""
        _check_positive("MobileNet", width=self.width, output=self.output)
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

    def frames(self, front: FrontEnd) -> tuple[int, int | None]:
        """The fewest and the most mel frames that it takes: its convolutions pad."""
        return 1, None

    def facts(self) -> Facts:
        """What changes an embedding and does not show in the weights."""
        return {}

    @property
    def stem(self) -> int:
        """Channels of the first convolution."""
        return self._scale_channels(self.STEM)

    @property
    def blocks(self) -> tuple[InvertedResidual, ...]:
        """Every block, in order."""
        found: list[InvertedResidual] = []
        inner = self.stem
        for depth, (channels, kernel, stride, squeeze, swish, inside) in zip(self.depths, self.STAGES, strict=True):
            outer = self._scale_channels(channels)
            for i in range(depth):
                whole = self._scale_channels(inside[min(i, len(inside) - 1)])
                wide = whole if self.expanded is None else self.expanded[len(found)]
                squeezed = _round_to_eights(whole // self.SQUEEZE) if squeeze else 0
                steps = stride if i == 0 else 1
                found.append(
                    InvertedResidual(inner, wide, outer, kernel, steps, squeezed, swish, widened=whole != inner)
                )
                inner = outer
        return tuple(found)

    @property
    def features(self) -> int:
        """Channels of the last convolution: what is averaged over time and mel."""
        return self.WIDEN * self._scale_channels(self.STAGES[-1][0])

    @classmethod
    def preset(cls, name: str) -> MobileNetConfig:
        """`mn04`, `mn10`, `mn20`, `mn30` of EfficientAT: the paper's table at 0.4, 1, 2 and 3 times its width."""
        widths = {"mn04": 0.4, "mn10": 1.0, "mn20": 2.0, "mn30": 3.0}
        if name not in widths:
            raise UsageError(f"'{name}' is not a MobileNet; choose one of {', '.join(widths)}")
        return cls(width=widths[name], output=_round_to_eights(1280 * widths[name]))

    def _scale_channels(self, channels: int) -> int:
        return _round_to_eights(channels * self.width)


def _round_to_eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and never less than nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


AudioConfig: TypeAlias = HTSATConfig | PANNConfig | MobileNetConfig
# every audio encoder: what it is. How it is built lies by the same kinds in models/clap (torch), backends/graphs
# (OpenVINO),
# checkpoints/shapes (names of weights) and train/pruning/units (what can be cut); tests/test_encoders.py holds the
# tables equal
AUDIO: dict[str, type[AudioConfig]] = {"htsat": HTSATConfig, "pann": PANNConfig, "mobilenet": MobileNetConfig}


@dataclass(frozen=True)
class TextConfig:
    """A transformer text tower. RoBERTa and BERT give the pooler's output, CLIP the end-of-text token.

    "sbert" is Sentence-BERT (arXiv 1908.10084), of which all-MiniLM-L6-v2 is one: a BERT without pooler that gives the
    mean over its tokens.
    """

    kind: Literal["roberta", "bert", "clip", "sbert"] = "roberta"
    vocabulary: int = 50_265
    width: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    positions: int = 514
    token_types: int = 1
    max_tokens: int = 77
    begin_id: int = 0
    end_id: int = 2
    pad_id: int = 1
    layer_norm_eps: float = 1e-5
    activation: str = "gelu"
    dropout: float = 0.1
    head_width: int | None = None  # numbers of a head; None: width / heads

    least_tokens: ClassVar[int] = 3  # begin, end, and one between

    def check(self) -> None:
        """UsageError for what cannot be built."""
        if self.kind not in FIRST_POSITION:
            raise UsageError(f"'{self.kind}' is not a transformer for text; choose one of {', '.join(FIRST_POSITION)}")
        _check_positive("the text tower", heads=self.heads, intermediate=self.intermediate)
        if min(self.max_tokens, self.most_tokens) < self.least_tokens:
            raise UsageError(
                f"a text tower of {self.positions} positions, pad id {self.pad_id} and max_tokens {self.max_tokens} has"
                " no room for a text"
            )
        if self.head_width is None and self.width % self.heads:
            raise UsageError(f"a text tower of width {self.width} cannot have {self.heads} heads: no whole number")
        if self.head_width is not None and (
            self.head_width < 1 or self.width % self.head_width or self.heads * self.head_width > self.width
        ):
            raise UsageError(
                f"a text tower of width {self.width} cannot have {self.heads} heads of {self.head_width}; whole heads"
                " of the width must be left"
            )

    def facts(self) -> Facts:
        """What changes an embedding and does not show in the weights; a field that came later only where it is set."""
        return {
            "text_heads": self.heads,
            "ids": [self.begin_id, self.end_id, self.pad_id],
            "eps": self.layer_norm_eps,
            "activation": self.activation,
            **({} if self.head_width is None else {"text_head_width": self.head_width}),
        }

    @property
    def output(self) -> int:
        """Width of the tower's output."""
        return self.width

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids before and after those of a text."""
        return (self.begin_id,), (self.end_id,)

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations in it."""
        return (self.activation,)

    @property
    def most_tokens(self) -> int:
        """The longest text that the tower has positions for, begin and end included: 512 for RoBERTa, 77 for CLIP."""
        return self.positions - FIRST_POSITION[self.kind](self.pad_id)

    @property
    def head_size(self) -> int:
        """Numbers of one head; a pruned tower keeps those of the whole one."""
        return self.width // self.heads if self.head_width is None else self.head_width

    @classmethod
    def preset(cls, name: str) -> TextConfig:
        """`roberta`, `bert` or `clip` as in the paper; `sbert` as all-MiniLM-L6-v2."""
        presets = {
            "roberta": cls(),
            "bert": cls(
                kind="bert",
                vocabulary=30_522,
                positions=512,
                token_types=2,
                begin_id=101,
                end_id=102,
                pad_id=0,
                layer_norm_eps=1e-12,
            ),
            "clip": cls(
                kind="clip",
                vocabulary=49_408,
                width=512,
                heads=8,
                intermediate=2048,
                positions=77,
                token_types=0,
                begin_id=49_406,
                end_id=49_407,
                pad_id=0,
                activation="quick_gelu",
                dropout=0.0,
            ),
            "sbert": cls(
                kind="sbert",
                vocabulary=30_522,
                width=384,
                layers=6,
                intermediate=1536,
                positions=512,
                token_types=2,
                begin_id=101,
                end_id=102,
                pad_id=0,
                layer_norm_eps=1e-12,
            ),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not a text tower; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class WordsConfig:
    """A text tower without attention: the weighted mean of learnt word vectors. Small enough to ship."""

    vocabulary: int
    width: int = 256
    max_tokens: int = 77
    pad_id: int = 0
    kind: Literal["words"] = "words"

    least_tokens: ClassVar[int] = 1
    most_tokens: ClassVar[int | None] = None
    ends: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = (), ()
    activations: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:
        """UsageError for what cannot be built: nothing but what every tower has (`CLAPConfig`)."""

    def facts(self) -> Facts:
        """What changes an embedding and does not show in the weights."""
        return {}

    @property
    def output(self) -> int:
        """Width of the tower's output."""
        return self.width


# where a transformer's positions begin, by its pad id: RoBERTa counts after it
FIRST_POSITION: dict[str, Callable[[int], int]] = {
    "roberta": lambda pad: pad + 1,
    "bert": lambda _: 0,
    "clip": lambda _: 0,
    "sbert": lambda _: 0,
}
AnyTextConfig: TypeAlias = TextConfig | WordsConfig
# every text encoder: what it is. How it is built lies by the same kinds in models/text (torch), backends/numpy_text,
# backends/graphs/towers (OpenVINO), checkpoints/shapes, load (tokenizers) and compact (int8), and train/pruning/units
TEXT: dict[str, type[AnyTextConfig]] = {
    "roberta": TextConfig,
    "bert": TextConfig,
    "clip": TextConfig,
    "sbert": TextConfig,
    "words": WordsConfig,
}


@dataclass(frozen=True)
class ConfidenceCurves:
    """How likely it is that something is heard, by how unusual its cosine is (`openclap.confidence`): fitted for one model.

    With other curves a model gives the same vectors, so they are no part of its fingerprint, nor of what makes two
    models equal.
    """

    words: tuple[float, ...]  # logit = a + b · deviations from the sounds' bank + c · deviations from the texts'
    sounds: tuple[float, ...]  # logit = a + b · share of the way from what is usual to 1 [+ c · decades nearer to 1]
    fingerprint: str  # of the model that they were fitted for
    fitted_on: str  # which sounds and queries, in words
    unlikely: float = 0.25  # below, "nothing here sounds like that", of words
    evidence: dict[str, float] = field(default_factory=dict)  # a name of AudioSet → what its logit is less, among all
    unlikely_sounds: float | None = None  # the same, of a sound; None: as of words
    # of a watch: logit = a + b · own + c · rise + d · new (`openclap.watch.calibrated_scorer`); a model without one:
    # `openclap.watch.alert_scorer`
    watch: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, counts in (("words", (3,)), ("sounds", (2, 3)), *([("watch", (4,))] if self.watch else [])):
            given = getattr(self, name)
            if len(given) not in counts or not all(abs(x) <= STEEPEST for x in given):
                raise UsageError(
                    f"{name} of the confidence is {given}; give {' or '.join(map(str, counts))} numbers between"
                    f" -{STEEPEST:g} and {STEEPEST:g}"
                )
            if min(given[1:]) < 0 or not any(given[1:]):
                raise UsageError(
                    f"{name} of the confidence is {given}; after the first, none may be below 0, nor all 0"
                )
        for label, less in self.evidence.items():
            if isinstance(less, bool) or not isinstance(less, int | float) or not 0 <= less <= STEEPEST:
                raise UsageError(
                    f"evidence of the confidence for {label!r:.60} is {less!r:.60}; give a number between 0 and"
                    f" {STEEPEST:g}"
                )
        for name in ("unlikely", "unlikely_sounds"):
            least = getattr(self, name)
            if least is not None and not 0 < least < 1:
                raise UsageError(f"{name} of the confidence is {least!r}; it must lie between 0 and 1")
        if not FINGERPRINT.fullmatch(self.fingerprint):
            raise UsageError(
                f"fingerprint of the confidence is {self.fingerprint!r:.60}; 16 digits of 0-9 and a-f are expected"
            )
        if not self.fitted_on.isprintable() or len(self.fitted_on) > MOST_SAID:
            raise UsageError(f"fitted_on of the confidence is no line of at most {MOST_SAID} printable characters")

    def least(self, *, words: bool) -> float:
        """The confidence below which a hit is unlikely, of a query in words or by a sound."""
        return self.unlikely if words or self.unlikely_sounds is None else self.unlikely_sounds


@dataclass(frozen=True)
class CLAPConfig:
    """A whole model: two towers, fusion for recordings longer than a clip, projections to E."""

    audio: AudioConfig = field(default_factory=HTSATConfig)
    text: AnyTextConfig = field(default_factory=TextConfig)
    front_end: FrontEnd = field(default_factory=FrontEnd)
    fusion: Fusion | None = None
    embedding: int = 512  # E
    name: str = "unnamed"
    licence: str = "unknown"
    confidence: ConfidenceCurves | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.fusion is not None and self.fusion not in get_args(Fusion):
            raise UsageError(f"'{self.fusion}' is not a fusion; choose one of {', '.join(get_args(Fusion))}, or None")
        if self.fusion is not None and self.fusion not in self.audio.fusions:
            *most, last = self.audio.fusions
            raise UsageError(f"{self.audio.title} takes the fusions {', '.join(most)} and {last}, not {self.fusion}")
        _check_front_end(self.front_end)
        self.audio.check(self.front_end)
        _check_positive(
            "the model", embedding=self.embedding, vocabulary=self.text.vocabulary, text_width=self.text.width
        )
        self.text.check()

    def with_max_tokens(self, max_tokens: int) -> CLAPConfig:
        """The same model with texts cut after so many tokens instead.

        Raises
        ------
        UsageError
            No number of tokens, or more than the text tower has positions for.
        """
        text = self.text
        least, most = text.least_tokens, text.most_tokens
        whole = isinstance(max_tokens, int) and not isinstance(max_tokens, bool)
        if not whole or max_tokens < least or (most is not None and max_tokens > most):
            range_ = f"{least} or more" if most is None else f"{least} to {most}"
            raise UsageError(
                f"max_tokens is {max_tokens!r}; the text tower of {self.name} takes a whole number, {range_}"
            )
        return replace(self, text=replace(text, max_tokens=max_tokens))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the format's name and version: the content of `config.json`.

        What only some models have is left out of all others, so that older versions read those.
        """
        data = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}
        for part, names in RARE.items():
            usual = {f.name: f.default for f in fields(getattr(self, part))}
            for name in names:
                if name in usual and data[part][name] == usual[name]:
                    del data[part][name]
        if self.confidence is None:
            del data["confidence"]
        else:
            for name in ("evidence", "unlikely_sounds", "watch"):
                if not data["confidence"][name]:
                    del data["confidence"][name]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CLAPConfig:
        """Inverse of `to_dict`; an unknown format, version, kind or field is refused by name.

        What a tower leaves out is as in its preset.
        """
        data = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **data}
        if data["format"] != FORMAT_NAME or data["format_version"] != FORMAT_VERSION:
            raise BadCheckpoint(
                f"config of format {data['format']!r} version {data['format_version']!r}; "
                f"this openclap reads {FORMAT_NAME!r} version {FORMAT_VERSION}: update openclap or convert the file"
            )
        rest = {k: v for k, v in data.items() if k not in ("format", "format_version")}
        parts: dict[str, dict[str, type[Any]]] = {
            "audio": AUDIO,
            "text": TEXT,
        }
        for part, kinds in parts.items():
            values = _mapping(rest.get(part), part)
            kind = values.get("kind")
            if not isinstance(kind, str) or kind not in kinds:
                raise BadCheckpoint(f"{part} tower of kind {kind!r}; this openclap knows {', '.join(kinds)}")
            usual = vars(TextConfig.preset(kind)) if kind in FIRST_POSITION else {}  # "bert" alone is no RoBERTa
            rest[part] = _build(kinds[kind], {**usual, **values})
        rest["front_end"] = _build(FrontEnd, _mapping(rest.get("front_end"), "front_end"))
        if rest.get("confidence") is not None:
            rest["confidence"] = _build(ConfidenceCurves, _mapping(rest["confidence"], "confidence"))
        config: CLAPConfig = _build(cls, rest)
        return config


def _build(cls: type[Any], values: dict[str, Any]) -> Any:
    """A dataclass from JSON values: lists become tuples, unknown fields are refused."""
    unknown = sorted(set(values) - {f.name for f in fields(cls)})
    if unknown:
        raise BadCheckpoint(
            f"{cls.__name__} has no field {', '.join(unknown)}: the checkpoint is newer than this openclap"
        )
    try:
        return cls(**coerce_fields(cls, values))
    except UsageError as error:
        raise BadCheckpoint(f"a model that cannot be: {error}") from error
    except (TypeError, ValueError) as error:
        raise BadCheckpoint(
            f"{cls.__name__}: {str(error).split('__init__() ')[-1]}; the config.json is damaged"
        ) from error


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadCheckpoint(f"{name} is {value!r} in config.json; names and values are expected")
    return dict(value or {})


def _check_positive(where: str, **numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0:
            raise UsageError(f"{name} of {where} is {value!r}; it must be above 0")


def _check_front_end(front: FrontEnd) -> None:
    if front.quantise not in (None, "int16"):
        raise UsageError(f"quantise of the front end is {front.quantise!r}; 'int16' or None is known")
    numbers = ("sampling_rate", "clip_seconds", "n_fft", "hop", "mel_bins", "f_max")
    _check_positive("the front end", **{name: getattr(front, name) for name in numbers})
    if not 0 <= front.f_min < front.f_max <= front.sampling_rate / 2:
        raise UsageError(
            f"the mel bank goes from {front.f_min:g} to {front.f_max:g} Hz at a rate of {front.sampling_rate} Hz; "
            "0 <= f_min < f_max <= half the rate must hold"
        )
