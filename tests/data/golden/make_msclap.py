"""Ask Microsoft's own code for `msclap.npz` and `msclap_shapes.json`: run it where msclap 1.3.4 lies unpacked.

    pip download --no-deps msclap==1.3.4; unzip -d oracle msclap-*.whl
    pip install --target oracle --no-deps librosa torchlibrosa numba llvmlite lazy_loader msgpack pooch audioread decorator joblib
    PYTHONPATH=oracle:src python tests/data/golden/make_msclap.py
    PYTHONPATH=oracle:src python tests/data/golden/make_msclap.py --full FOLDER

torchaudio, which it reads and resamples sounds with, is stood in for: the recordings are arrays at its rate. Its towers are
made small. With `--full` they are not; their weights are written to FOLDER as released, loaded by openclap and compared.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import re
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import transformers
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # tests: the rule that fills weights
FROZEN = ("spectrogram_extractor", "logmel_extractor", "relative_position_index", "attn_mask", "num_batches_tracked", "position_ids")  # fmt: skip
UNUSED = ("tscam_conv", "htsat.head", "fc_audioset", "pooler", ".attn.bias", ".attn.masked_bias")


def import_msclap() -> Any:
    """Its `CLAPWrapper`, without torchaudio."""
    sys.modules["torchaudio"] = sys.modules["torchaudio.transforms"] = MagicMock()
    return importlib.import_module("msclap.CLAPWrapper")


def make_wrapper(module: Any, year: str, place: Path, *, full: bool) -> Any:
    """Its wrapper of a year, with weights by the rule of the README; nothing is downloaded."""
    audio, clap, config, htsat = (
        importlib.import_module(f"msclap.models.{name}") for name in ("audio", "clap", "config", "htsat")
    )
    from msclap_for_tests import write_tokenizer

    kind = "gpt2" if year == "2023" else "bert"
    wrapper = module.CLAPWrapper.__new__(module.CLAPWrapper)
    settings = (Path(module.__file__).parent / "configs" / f"config_{year}.yml").read_text()
    wrapper.args = args = wrapper.read_config_as_args(settings, is_config_str=True)
    wrapper.np_str_obj_array_pattern = re.compile(r"[SaUO]")
    wrapper.use_cuda = False
    wrapper.token_keys = ["input_ids", *(["token_type_ids"] if kind == "bert" else []), "attention_mask"]
    file = write_tokenizer(place / "tokenizer.json", kind, 50_257 if full else 0)
    wrapper.tokenizer = make_tokenizer(file, kind)
    size = {} if full else {"vocab_size": len(wrapper.tokenizer)}
    clap.AutoModel.from_pretrained = lambda _: make_text(kind, size, full=full)
    if not full:
        args.transformer_embed_dim, args.d_proj, args.out_emb = 128, 48, 32
    model = clap.CLAP(args.audioenc_name, args.sampling_rate, args.window_size, args.hop_size, args.mel_bins, args.fmin,
                      args.fmax, args.num_classes, args.out_emb, args.text_model, args.transformer_embed_dim, args.d_proj)  # fmt: skip
    base = model.audio_encoder.base
    if not full and year == "2023":
        sizes = {"embed_dim": 8, "depths": [2, 1, 1], "num_heads": [2, 4, 4]}
        base.htsat = htsat.HTSAT_Swin_Transformer(config=config, **sizes)
    elif not full:
        widths = (1, 8, 8, 16, 16, 32, 32)
        for i in range(6):
            setattr(base, f"conv_block{i + 1}", audio.ConvBlock(widths[i], widths[i + 1]))
        base.fc1, base.fc_audioset = nn.Linear(32, 32), nn.Linear(32, args.num_classes)
    wrapper.clap = model.eval()
    return wrapper


def make_tokenizer(file: Path, kind: str) -> Any:
    """What `AutoTokenizer` gives, with the pad token that the wrapper adds."""
    if kind == "gpt2":
        tokenizer = transformers.GPT2TokenizerFast(tokenizer_file=str(file))
        tokenizer.add_special_tokens({"pad_token": "!"})
    else:
        tokenizer = transformers.BertTokenizerFast(tokenizer_file=str(file))
    type(tokenizer).encode_plus = lambda self, text, **how: self(text, **how)  # removed in transformers 5
    return tokenizer


def make_text(kind: str, size: dict[str, int], *, full: bool) -> Any:
    """A random GPT-2 or BERT, as `AutoModel.from_pretrained` gives it."""
    if kind == "gpt2":
        small = {} if full else {"n_embd": 128, "n_layer": 2, "n_head": 2, "n_positions": 128}
        return transformers.GPT2Model(transformers.GPT2Config(**size, **small))
    small = (
        {} if full else {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    )
    return transformers.BertModel(transformers.BertConfig(**size, **small))


def fill(model: nn.Module) -> dict[str, list[int]]:
    """Fill all weights that matter by the rule → their shapes by name."""
    from test_golden import weight

    state = model.state_dict()
    names = [name for name in state if not any(part in name for part in (*FROZEN, *UNUSED))]
    shapes = {name: list(state[name].shape) for name in names}
    model.load_state_dict({name: weight(name, shape) for name, shape in shapes.items()}, strict=False)
    return shapes


def embed(wrapper: Any, module: Any) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of the recordings and texts, as the wrapper makes them; of long recordings it takes the first crop."""
    from msclap_for_tests import RATE, TEXTS, recordings

    waves = recordings()
    module.torchaudio.load = lambda name: (torch.from_numpy(waves[name])[None], RATE)
    random.randrange = lambda *_: 0
    rows = wrapper.get_audio_embeddings(list(waves)), wrapper.get_text_embeddings(TEXTS)
    audio, text = (torch.nn.functional.normalize(row, dim=-1).numpy() for row in rows)
    return audio, text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=Path)
    folder = parser.parse_args().full
    module = import_msclap()
    shapes: dict[str, dict[str, list[int]]] = {}
    numbers: dict[str, Any] = {}
    for year in ("2022", "2023"):
        place = HERE if folder is None else folder / year
        place.mkdir(parents=True, exist_ok=True)
        wrapper = make_wrapper(module, year, place, full=folder is not None)
        if folder is None:
            (place / "tokenizer.json").unlink()
        shapes[year] = fill(wrapper.clap)
        audio, text = embed(wrapper, module)
        numbers |= {f"{year}/audio": audio, f"{year}/text": text}
        bank = next(
            value for name, value in wrapper.clap.state_dict().items() if name.endswith("logmel_extractor.melW")
        )
        check_bank(year, bank.numpy())
        if folder is not None:
            compare(wrapper.clap, place / f"CLAP_weights_{year}.pth", audio, text)
    if folder is None:
        (HERE / "msclap_shapes.json").write_text(json.dumps(shapes, indent=0) + "\n")
        np.savez_compressed(HERE / "msclap.npz", allow_pickle=False, **numbers)


def check_bank(year: str, theirs: np.ndarray) -> None:
    """The mel bank that the small files of the tests come without."""
    from openclap.audio.mel import mel_bank
    from openclap.checkpoints.msclap import OF_2022, OF_2023

    off = np.abs(mel_bank(OF_2022 if year == "2022" else OF_2023) - theirs).max()
    assert off < 1e-7, off
    print(year, "mel bank", off)


def compare(model: nn.Module, file: Path, audio: np.ndarray, text: np.ndarray) -> None:
    """A file of full size as released, through openclap's own door."""
    from msclap_for_tests import RATE, TEXTS, recordings

    from openclap import CLAP

    torch.save({"epoch": 1, "model": model.state_dict()}, file)
    sounds = [(wave, RATE) for wave in recordings().values()]
    for backend in ("openvino", "torch"):
        clap = CLAP.from_pretrained(file, backend=backend)
        off = [np.abs(clap.encode_audio(sounds, long="head") - audio).max()]
        off += [np.abs(clap.encode_text(TEXTS) - text).max(), np.abs(clap.encode_text(TEXTS * 8)[:3] - text).max()]
        print(file.name, f"{file.stat().st_size / 1e6:.0f} MB", clap, "largest differences", off, clap.logit_scale)


if __name__ == "__main__":
    main()
