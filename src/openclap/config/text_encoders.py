"""What each text encoder is; `encoders.TEXT` says how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from openclap.config.checks import check_positive
from openclap.errors import UsageError

__all__ = ["AnyTextConfig", "NoTextConfig", "TextConfig", "WordsConfig"]


@dataclass(frozen=True)
class Reading:
    """How a kind of transformer is given a text."""

    first_position: Callable[[int], int] = lambda _: 0  # the position of the first token, by the pad id
    has_begin: bool = True  # whether a token stands before every text
    suffix: str = ""  # what is written after every text, before its end token


READINGS = {
    "roberta": Reading(first_position=lambda pad: pad + 1),
    "bert": Reading(),
    "clip": Reading(),
    "sbert": Reading(),
    # Microsoft's CLAP writes " <|endoftext|>" after a text: GPT-2 reads the space as a token of its own
    "gpt2": Reading(has_begin=False, suffix=" "),
}


class AnyTextConfig:
    """What the configuration of every text encoder has; it is a frozen dataclass that derives from this class."""

    kind: str
    vocabulary: int  # how many token ids there are
    width: int  # of the tower's output
    max_tokens: int  # texts are cut after so many
    pad_id: int  # the token id that fills up short texts
    is_missing: ClassVar[bool] = False  # whether the model has no text tower
    reads_whole_words: ClassVar[bool] = False  # whether the pieces of a word without a vector of its own mean nothing
    reads_characters: ClassVar[bool] = False  # whether its token ids are Unicode's, and it needs no tokenizer file

    @property
    def reads_chinese(self) -> bool:
        """Whether a tower that reads characters was taught Chinese; of others, the tokenizer tells."""
        return False

    @property
    def output(self) -> int:
        """Width of the tower's output."""
        return self.width

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The token ids that stand before and after those of every text."""
        return (), ()

    @property
    def suffix(self) -> str:
        """What is written after every text before it is cut into tokens."""
        return ""

    @property
    def least_tokens(self) -> int:
        """Tokens of the shortest text: one between its ends."""
        return sum(map(len, self.ends)) + 1

    @property
    def most_tokens(self) -> int | None:
        """Tokens of the longest text that the tower has positions for, its ends included; None: any number."""
        return None

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations that the tower uses."""
        return ()

    def check(self) -> None:
        """Raise UsageError where no such tower can be built, beyond what `CLAPConfig` checks of every text tower."""

    def facts(self) -> dict[str, Any]:
        """What changes an embedding but not the names and shapes of the weights; part of the model's fingerprint."""
        return {"text_fields": vars(self)}


@dataclass(frozen=True)
class TextConfig(AnyTextConfig):
    """A text tower that is a transformer.

    RoBERTa and BERT give the output of their pooler, CLIP and GPT-2 the state at the end-of-text token. "sbert" is
    Sentence-BERT (arXiv 1908.10084), all-MiniLM-L6-v2 for example: a BERT without a pooler that gives the mean over its
    tokens.
    """

    kind: Literal["roberta", "bert", "clip", "sbert", "gpt2"] = "roberta"
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
    head_width: int | None = None  # numbers in one head; None: width / heads
    pooler: bool = True  # of RoBERTa and BERT; without it they give the state of the first token

    def check(self) -> None:
        """Raise UsageError where no such tower can be built."""
        if self.kind not in READINGS:
            raise UsageError(f"'{self.kind}' is not a transformer for text; choose one of {', '.join(READINGS)}")
        check_positive("the text tower", heads=self.heads, intermediate=self.intermediate)
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

    def facts(self) -> dict[str, Any]:
        """What changes an embedding but not the names and shapes of the weights; part of the model's fingerprint.

        A field that was added later is left out where it is not set: older models keep their fingerprints.
        """
        return {
            "text_heads": self.heads,
            "ids": [self.begin_id, self.end_id, self.pad_id],
            "eps": self.layer_norm_eps,
            "activation": self.activation,
            **({} if self.head_width is None else {"text_head_width": self.head_width}),
        }

    @property
    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The token ids that stand before and after those of every text."""
        return (self.begin_id,) if READINGS[self.kind].has_begin else (), (self.end_id,)

    @property
    def suffix(self) -> str:
        """What is written after every text before it is cut into tokens."""
        return READINGS[self.kind].suffix

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations that the tower uses."""
        return (self.activation,)

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest text that the tower has positions for, begin and end included: RoBERTa 512, CLIP 77."""
        return self.positions - READINGS[self.kind].first_position(self.pad_id)

    @property
    def head_size(self) -> int:
        """Numbers in one head; pruning removes whole heads and does not change it."""
        return self.width // self.heads if self.head_width is None else self.head_width

    @classmethod
    def preset(cls, name: str) -> TextConfig:
        """The sizes of `roberta`, `bert` or `clip` as in the paper, `sbert` as in all-MiniLM-L6-v2, `gpt2` the small one."""
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
            "gpt2": cls(
                kind="gpt2",
                vocabulary=50_257,
                positions=1024,
                token_types=0,
                begin_id=50_256,
                end_id=50_256,
                pad_id=0,  # "!", which Microsoft's CLAP pads with
                activation="gelu_new",
            ),
        }
        if name not in presets:
            raise UsageError(f"'{name}' is not a text tower; choose one of {', '.join(presets)}")
        return presets[name]


@dataclass(frozen=True)
class WordsConfig(AnyTextConfig):
    """A text tower without attention, small enough to ship: the weighted mean of learnt word vectors."""

    vocabulary: int
    width: int = 256
    max_tokens: int = 77
    pad_id: int = 0
    kind: Literal["words"] = "words"

    reads_whole_words: ClassVar[bool] = True

    def facts(self) -> dict[str, Any]:
        """Nothing: all that changes an embedding shows in the weights."""
        return {}


@dataclass(frozen=True)
class NoTextConfig(AnyTextConfig):
    """No text tower: the model embeds sounds alone."""

    vocabulary: int = 0
    width: int = 0
    max_tokens: int = 77
    pad_id: int = 0
    kind: Literal["none"] = "none"

    is_missing: ClassVar[bool] = True

    def facts(self) -> dict[str, Any]:
        """Nothing."""
        return {}
