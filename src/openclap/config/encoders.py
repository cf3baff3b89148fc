"""The encoders: which there are, and where the functions that each one needs stand. This is the one table of them.

Those of other packages come by the entry point `openclap.encoders`: its name is the kind, and what it gives is an
`Encoder`. They are looked for when a model asks for a kind that openclap does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from openclap.config.audio_encoders import AudioConfig, HTSATConfig, MobileNetConfig, NoAudioConfig, PANNConfig
from openclap.config.entry_points import find_points, import_point, package_of
from openclap.config.text_encoders import AnyTextConfig, NoTextConfig, TextConfig, WordsConfig
from openclap.errors import BadCheckpoint, ModelError

__all__ = ["AUDIO", "TEXT", "Encoder", "Encoders"]

Function: TypeAlias = str | Callable[..., Any]  # as "module:name" it is imported when it is needed


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """An encoder of sounds or of texts: its configuration, and the functions that build, check and prune its tower.

    `kind`, `config` and `module` must be given. What else is left out cannot be done, and a sentence says so.

        function      of sounds                                   of texts
        ────────────  ──────────────────────────────────────────  ─────────────────────────────────────
        module        (config, FrontEnd, fusion or None)          (config)
                      → a module; forward(mel, longer, augment)   → a module; forward(ids, mask)
                      takes mels (B, V, T, F) in dB → (B, D)      takes (B, L) each → (B, D)
        weights       (config, FrontEnd, fusion or None)          (config) → shapes by name
        graph         (Graph, CLAPConfig) → an OpenVINO model     the same, of embedded tokens (B, L, D)
        numpy                                                     (config, Weights, ids, mask) → (B, D)
        embed_tokens                                              (config, Weights, ids) → (B, L, D)
        graph_mask                                                (config, ids, mask) → float32 (B, L)
        token_graph                                               (Graph, CLAPConfig, ids, mask) → (B, E)
        smaller       (config, Keep) → that of the pruned tower   the same
        units         (config, the pruned one, fusion) → Units    (config, the pruned one) → Units
    """

    kind: str  # its name in config.json
    config: type[Any]  # a frozen dataclass, subclass of AudioConfig or AnyTextConfig
    module: Function  # where `graph` (of sounds) or `numpy` (of texts) is left out, torch alone runs the model
    # names of weights, as in the state dict of CLAPModel, with their shapes; left out, torch tells them by the module
    weights: Function | None = None
    graph: Function | None = None
    # Whether short clips have a graph of their own without the fusion. It saves up to a fifth of their time, but holds
    # the weights twice.
    short_graph: bool = False
    numpy: Function | None = None
    embed_tokens: Function | None = None  # the input of the graph; left out, numpy is fastest for any number of texts
    graph_mask: Function | None = None  # the graph's second input; left out, the mask of the tokens
    token_graph: Function | None = None  # a graph from token ids on, for `CLAP.export_onnx`
    smaller: Function | None = None
    units: Function | None = None  # what can be cut: `train.pruning.units.Units`; left out, the tower stays whole
    packed: tuple[str, ...] = ()  # how names of weights of two dimensions begin that int8 may hold; of texts alone
    tokenizers: tuple[str, ...] = ()  # Hub repositories that have its tokenizer, for files that come without one
    usual: Mapping[str, Any] = field(default_factory=dict)  # values that are not the defaults of `config`
    package: str | None = None  # what brings it, with its version, set when it is loaded; None for openclap's own

    def load(self, part: str) -> Any:
        """The function of a part, which is imported now; None where this encoder has none.

        Raises
        ------
        ModelError
            It cannot be imported; the message names the package that brings it.
        """
        function = getattr(self, part)
        what = f"the encoder {self.kind!r}"
        return import_point(function, what, self.package) if isinstance(function, str) else function


class Encoders(dict[str, Encoder]):
    """Encoders by kind: those of openclap, and those of other packages that were asked for.

    Raises
    ------
    BadCheckpoint
        There is none of the kind.
    ModelError
        The package that brings it is broken.
    """

    def __init__(self, what: str, base: type, *own: Encoder) -> None:
        super().__init__({encoder.kind: encoder for encoder in own})
        self._what, self._base = what, base
        self._own = ", ".join(encoder.kind for encoder in own if not encoder.config.is_missing)

    def __missing__(self, kind: str) -> Encoder:
        for point in find_points("openclap.encoders").select(name=kind):
            package = package_of(point)
            encoder = import_point(point.value, f"the encoder {kind!r}", package)
            of_kind = isinstance(encoder, Encoder) and encoder.kind == kind and isinstance(encoder.config, type)
            if not of_kind or not issubclass(encoder.config, AudioConfig | AnyTextConfig):
                raise ModelError(
                    f"{point.value} of {package} is no Encoder of kind {kind!r} whose configuration derives from"
                    " AudioConfig or AnyTextConfig; update that package"
                )
            if issubclass(encoder.config, self._base):
                return self.setdefault(kind, replace(encoder, package=package))
        raise BadCheckpoint(
            f"made with the {self._what} encoder {kind!r}, which is neither openclap's own ({self._own}) nor of an"
            " installed package; install the package that brings it"
        )


AUDIO = Encoders(
    "audio",
    AudioConfig,
    Encoder(
        kind="htsat",
        config=HTSATConfig,
        module="openclap.models.htsat:make_htsat",
        weights="openclap.checkpoints.weight_shapes:htsat",
        graph="openclap.backends.graphs.htsat:htsat",
        smaller="openclap.train.pruning.units:smaller_htsat",
        units="openclap.train.pruning.units:htsat_units",
    ),
    Encoder(
        kind="pann",
        config=PANNConfig,
        module="openclap.models.pann:make_pann",
        weights="openclap.checkpoints.weight_shapes:pann",
        graph="openclap.backends.graphs.pann:pann",
        smaller="openclap.train.pruning.units:smaller_pann",
        units="openclap.train.pruning.units:pann_units",
        short_graph=True,
    ),
    Encoder(
        kind="mobilenet",
        config=MobileNetConfig,
        module="openclap.models.mobilenet:make_mobilenet",
        weights="openclap.checkpoints.weight_shapes:mobilenet",
        graph="openclap.backends.graphs.mobilenet:mobilenet",
        smaller="openclap.train.pruning.units:smaller_mobilenet",
        units="openclap.train.pruning.units:mobilenet_units",
        short_graph=True,
    ),
    Encoder(
        kind="none",
        config=NoAudioConfig,
        module="openclap.models.clap:NoTower",
        weights="openclap.checkpoints.weight_shapes:none",
    ),
)
TEXT = Encoders(
    "text",
    AnyTextConfig,
    Encoder(
        kind="roberta",
        config=TextConfig,
        module="openclap.models.text:make_roberta",
        weights="openclap.checkpoints.weight_shapes:bert",
        graph="openclap.backends.graphs.bert:bert",
        smaller="openclap.train.pruning.units:smaller_text",
        units="openclap.train.pruning.units:bert_units",
        numpy="openclap.backends.numpy_text:roberta",
        token_graph="openclap.backends.graphs.tokens:roberta",
        embed_tokens="openclap.backends.numpy_text:embed_roberta_tokens",
        packed=("text.tower.",),
        tokenizers=(
            "laion/clap-htsat-unfused",
            "laion/clap-htsat-fused",
            "roberta-base",
            "FacebookAI/roberta-base",
        ),
    ),
    Encoder(
        kind="bert",
        config=TextConfig,
        usual=vars(TextConfig.preset("bert")),
        module="openclap.models.text:make_bert",
        weights="openclap.checkpoints.weight_shapes:bert",
        graph="openclap.backends.graphs.bert:bert",
        smaller="openclap.train.pruning.units:smaller_text",
        units="openclap.train.pruning.units:bert_units",
        numpy="openclap.backends.numpy_text:bert",
        token_graph="openclap.backends.graphs.tokens:bert",
        embed_tokens="openclap.backends.numpy_text:embed_bert_tokens",
        packed=("text.tower.",),
        tokenizers=("bert-base-uncased", "google-bert/bert-base-uncased"),
    ),
    Encoder(
        kind="clip",
        config=TextConfig,
        usual=vars(TextConfig.preset("clip")),
        module="openclap.models.text:make_clip",
        weights="openclap.checkpoints.weight_shapes:clip",
        graph="openclap.backends.graphs.causal_text:clip",
        numpy="openclap.backends.numpy_causal_text:clip",
        embed_tokens="openclap.backends.numpy_causal_text:embed_clip_tokens",
        graph_mask="openclap.backends.numpy_causal_text:clip_end",
        token_graph="openclap.backends.graphs.tokens:clip",
        smaller="openclap.train.pruning.units:smaller_text",
        units="openclap.train.pruning.units:clip_units",
        packed=("text.tower.",),
        tokenizers=("openai/clip-vit-base-patch32",),
    ),
    Encoder(
        kind="sbert",
        config=TextConfig,
        usual=vars(TextConfig.preset("sbert")),
        module="openclap.models.text:make_sbert",
        weights="openclap.checkpoints.weight_shapes:sbert",
        graph="openclap.backends.graphs.bert:sbert",
        smaller="openclap.train.pruning.units:smaller_text",
        units="openclap.train.pruning.units:bert_units",
        numpy="openclap.backends.numpy_text:sbert",
        token_graph="openclap.backends.graphs.tokens:sbert",
        embed_tokens="openclap.backends.numpy_text:embed_bert_tokens",
        packed=("text.tower.",),
        tokenizers=("sentence-transformers/all-MiniLM-L6-v2", "bert-base-uncased", "google-bert/bert-base-uncased"),
    ),
    Encoder(
        kind="gpt2",
        config=TextConfig,
        usual=vars(TextConfig.preset("gpt2")),
        module="openclap.models.text:make_gpt2",
        weights="openclap.checkpoints.weight_shapes:gpt2",
        graph="openclap.backends.graphs.causal_text:gpt2",
        numpy="openclap.backends.numpy_causal_text:gpt2",
        embed_tokens="openclap.backends.numpy_causal_text:embed_gpt2_tokens",
        graph_mask="openclap.backends.numpy_causal_text:gpt2_end",
        token_graph="openclap.backends.graphs.tokens:gpt2",
        packed=("text.tower.",),
        tokenizers=("openai-community/gpt2", "gpt2"),
    ),
    Encoder(
        kind="words",
        config=WordsConfig,
        module="openclap.models.text:WordVectorTower",
        weights="openclap.checkpoints.weight_shapes:words",
        numpy="openclap.backends.numpy_text:words",
        token_graph="openclap.backends.graphs.tokens:words",
        packed=("text.table.",),
    ),
    Encoder(
        kind="none",
        config=NoTextConfig,
        module="openclap.models.clap:NoTower",
        weights="openclap.checkpoints.weight_shapes:none",
    ),
)
