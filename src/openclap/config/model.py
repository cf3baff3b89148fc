"""A whole model as data, and its JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from openclap.coercion import coerce_fields
from openclap.config.audio_encoders import AudioConfig, Fusion, HTSATConfig
from openclap.config.checks import check_positive
from openclap.config.confidence_curves import ConfidenceCurves
from openclap.config.encoders import AUDIO, TEXT
from openclap.config.front_end import FrontEnd
from openclap.config.text_encoders import AnyTextConfig, TextConfig
from openclap.errors import BadCheckpoint, UsageError

__all__ = ["FORMAT_NAME", "FORMAT_VERSION", "MAX_LOGIT_SCALE", "CLAPConfig"]

FORMAT_NAME = "openclap"
FORMAT_VERSION = 1
MAX_LOGIT_SCALE = 100.0  # the most that multiplies cosines: the paper clamps exp(logit_scale)
Projection: TypeAlias = Literal["mlp", "residual"]
# Fields that most models do not set. Where they have their defaults they are left out of config.json, so that older
# versions of openclap read it.
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
        "hidden",
    ),
    "text": ("head_width", "pooler"),
    "front_end": ("quantise", "mel_rate"),
}


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
    # from a tower to E. "mlp": linear, ReLU, linear. "residual", of Microsoft's CLAP: y = linear(x), then the layer norm
    # of y + linear(GELU(y)), without biases
    projection: Projection = "mlp"
    max_logit_scale: float | None = MAX_LOGIT_SCALE  # None: exp(logit_scale) is not bounded

    def __post_init__(self) -> None:
        if self.fusion is not None and self.fusion not in get_args(Fusion):
            raise UsageError(f"'{self.fusion}' is not a fusion; choose one of {', '.join(get_args(Fusion))}, or None")
        if self.fusion is not None and self.fusion not in self.audio.fusions:
            taken = f"the fusions {', '.join(self.audio.fusions)}" if self.audio.fusions else "no fusion"
            raise UsageError(f"the audio encoder {self.audio.kind!r} takes {taken}, not {self.fusion}")
        if self.projection not in get_args(Projection):
            raise UsageError(
                f"'{self.projection}' is not a projection; choose one of {', '.join(get_args(Projection))}"
            )
        if self.max_logit_scale is not None:
            check_positive("the model", max_logit_scale=self.max_logit_scale)
        self.front_end.check()
        self.audio.check(self.front_end)
        check_positive("the model", embedding=self.embedding)
        if not self.text.is_missing:
            check_positive("the model", vocabulary=self.text.vocabulary, text_width=self.text.output)
        elif self.audio.is_missing:
            raise UsageError("a model without an audio tower and a text tower embeds nothing; give it one of them")
        self.text.check()

    def with_max_tokens(self, max_tokens: int) -> CLAPConfig:
        """The same model with texts cut after `max_tokens` tokens.

        Raises
        ------
        UsageError
            It is not a whole number, or more than the text tower has positions for.
        """
        text: Any = self.text
        least, most = text.least_tokens, text.most_tokens
        whole = isinstance(max_tokens, int) and not isinstance(max_tokens, bool)
        if not whole or max_tokens < least or (most is not None and max_tokens > most):
            range_ = f"{least} or more" if most is None else f"{least} to {most}"
            raise UsageError(
                f"max_tokens is {max_tokens!r}; the text tower of {self.name} takes a whole number, {range_}"
            )
        return replace(self, text=replace(text, max_tokens=max_tokens))

    def missing_tower(self) -> str | None:
        """What a model of one tower says when it is asked for the other; None: it has both."""
        if self.audio.is_missing:
            return f"{self.name} is a text tower alone, it embeds no sounds; load the whole model"
        return (
            f"{self.name} is an audio tower alone, it embeds no texts; load the whole model"
            if self.text.is_missing
            else None
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the format's name and version: the content of `config.json`.

        Fields that only some models set are left out of all others, so that older versions read those.
        """
        data = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **asdict(self)}
        for part, names in RARE.items():
            usual = {f.name: f.default for f in fields(getattr(self, part))}
            for name in names:
                if name in usual and data[part][name] == usual[name]:
                    del data[part][name]
        if self.projection == "mlp":
            del data["projection"]
        if self.max_logit_scale == MAX_LOGIT_SCALE:
            del data["max_logit_scale"]
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

        Fields that a tower leaves out have the values of its preset.
        """
        data = {"format": FORMAT_NAME, "format_version": FORMAT_VERSION, **data}
        if data["format"] != FORMAT_NAME or data["format_version"] != FORMAT_VERSION:
            raise BadCheckpoint(
                f"config of format {data['format']!r} version {data['format_version']!r}; "
                f"this openclap reads {FORMAT_NAME!r} version {FORMAT_VERSION}: update openclap or convert the file"
            )
        rest = {k: v for k, v in data.items() if k not in ("format", "format_version")}
        parts = {"audio": AUDIO, "text": TEXT}
        for part, encoders in parts.items():
            values = _mapping(rest.get(part), part)
            encoder = encoders[str(values.get("kind"))]
            rest[part] = _build(encoder.config, {**encoder.usual, **values})
        rest["front_end"] = _build(FrontEnd, _mapping(rest.get("front_end"), "front_end"))
        if rest.get("confidence") is not None:
            rest["confidence"] = _build(ConfidenceCurves, _mapping(rest["confidence"], "confidence"))
        return _build(cls, rest)


def _build(cls: type[Any], values: dict[str, Any]) -> Any:
    """Make a dataclass of JSON values: lists become tuples, unknown fields are refused."""
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
