"""Small models with random weights, as folders on disk or as objects."""

from __future__ import annotations

from pathlib import Path

from openclap import CLAP, CLAPConfig
from openclap.config import AUDIO, TEXT, FrontEnd, HTSATConfig, MobileNetConfig, PANNConfig, TextConfig, WordsConfig

HTSAT_SMALL = HTSATConfig(width=8, depths=(1, 2, 1), heads=(2, 2, 4))
PANN_SMALL = PANNConfig(
    widths=(8, 8, 16), convs=1, pools=((2, 2),) * 3, output=16, dropout=0.0, head_dropout=0.0, output_dropout=0.0
)
MOBILENET_SMALL = MobileNetConfig(width=0.25, depths=(1, 1, 2, 1, 1, 1), output=16, dropout=0.0)
WORDS = WordsConfig(vocabulary=64, width=16)
AUDIO_KINDS, TEXT_KINDS = (
    [kind for kind, encoder in table.items() if not encoder.config.is_missing] for table in (AUDIO, TEXT)
)


def text_config(kind: str) -> TextConfig:
    small = {"vocabulary": 64, "width": 16, "layers": 2, "heads": 2, "intermediate": 32}
    ids = {"begin_id": 0, "end_id": 63 if kind == "clip" else 2, "pad_id": 1}
    return TextConfig(**{**vars(TextConfig.preset(kind)), **small, **ids})


def small_config(
    *,
    fusion: str | None = "aff_2d",
    audio: str = "pann",
    name: str = "small",
    dynamic_range: float | None = 80.0,
) -> CLAPConfig:
    front = FrontEnd(sampling_rate=16_000, n_fft=512, hop=320, f_max=7000.0, dynamic_range=dynamic_range)
    return CLAPConfig(
        audio=PANN_SMALL if audio == "pann" else HTSAT_SMALL,
        text=WORDS,
        front_end=front,
        fusion=fusion,  # type: ignore[arg-type]
        embedding=24,
        name=name,
    )


def small_clap(tokenizer: Path | None = None, **options: object) -> CLAP:
    seed = options.pop("seed", 0)
    assert isinstance(seed, int)
    return CLAP.from_config(small_config(**options), tokenizer=tokenizer, seed=seed)  # type: ignore[arg-type]
