"""The model that a run starts from: its first weights, low-rank adapters, and which parameters train.

random ─┬─ init: a checkpoint, or weights in openclap's names ─┬─ lora ─ freeze, train_only
        └─ init_text: a transformer, for the text tower ───────┘
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from openclap.checkpoints.load import load_checkpoint
from openclap.config import CLAPConfig
from openclap.errors import MissingExtra, ModelWarning, OpenClapError, TrainingError
from openclap.models.clap import CLAPModel
from openclap.plurals import count_noun
from openclap.train.settings import Lora, Settings
from openclap.warn_caller import warn_caller

__all__ = ["InitialModel", "enable_adapter_dropout", "keep_norm_statistics", "train_mode", "training_device"]


class InitialModel:
    """A model at the start of a run.

    Attributes
    ----------
    model : CLAPModel
        On the device, in channels-last order; `requires_grad` says which parameters train.
    tokenizer_file : Path or None
        The tokenizer of the settings, or of what the run starts from.
    """

    def __init__(self, settings: Settings, config: CLAPConfig, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = CLAPModel(config)
            found = _load_init(self.model, settings)
            if settings.init_text is not None:
                found = _load_init_text(self.model, settings.init_text) or found
            self._adapters = None if settings.lora is None else _add_adapters(self.model, settings.lora)
        self.tokenizer_file = found if settings.tokenizer is None else settings.resolve(settings.tokenizer)
        if self.tokenizer_file is not None and not self.tokenizer_file.is_file():
            raise TrainingError(
                f"tokenizer: {self.tokenizer_file} is not there; give a tokenizer.json, or leave it out"
            )
        self.model.to(device)
        self.model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on CPU
        _choose_trainable(self.model, settings)

    def merge_adapters(self) -> CLAPModel:
        """Merge the adapters into the weights and give the model without them; a run does this at its end."""
        if self._adapters is not None:
            self._adapters.merge_and_unload(safe_merge=True)
            self._adapters = None
        return self.model


def training_device(settings: Settings) -> torch.device:
    """The device this process trains on; several processes on one machine use one GPU each."""
    cuda = torch.cuda.is_available()
    name = ("cuda" if cuda else "cpu") if settings.device == "auto" else settings.device
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"device is {settings.device!r}; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not cuda):
        raise TrainingError(f"device is {settings.device!r}, which is not on this machine; choose auto or cpu")
    if settings.precision == "float16" and device.type == "cpu":
        raise TrainingError("precision is float16, which needs a GPU; choose bfloat16 or float32")
    return device


def train_mode(module: nn.Module) -> bool:
    """Set training mode for what trains; frozen batch norms keep their statistics, and frozen layers have no dropout.

    Returns whether all of the module trains. A module without weights, such as a dropout, follows the module around it.
    """
    own = [p.requires_grad for p in module.parameters(recurse=False)]
    parts = [train_mode(child) for child in module.children() if any(True for _ in child.parameters())]
    whole = all(own) and all(parts)
    module.training = any(own) or (whole and bool(parts))
    for child in module.children():
        if not any(True for _ in child.parameters()):
            child.train(whole)
    return whole


def enable_adapter_dropout(model: nn.Module) -> None:
    """Turn on the dropout of adapters, which `train_mode` leaves off because the layers around them are frozen."""
    for name, module in model.named_modules():
        if ".lora_dropout." in name:
            module.train()


def keep_norm_statistics(model: nn.Module) -> None:
    """Let all batch norms keep their statistics."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


# -- starting weights --------------------------------------------------------------------------------


def _load_init(model: CLAPModel, settings: Settings) -> Path | None:
    """Load the weights of `init` → its tokenizer, where it has one. Weights that `init` does not hold stay random.

    `init` is a .safetensors file in openclap's names, all of which must fit, or any model that `CLAP.from_pretrained`
    takes; of such a model, the towers and projections that fit are used.
    """
    if settings.init is None:
        return None
    path = settings.resolve(settings.init)
    tokenizer = None
    if settings.init_is_bare:
        weights = _read_bare_weights(path)
    else:
        weights, tokenizer = _read_checkpoint_weights(settings.initial())
    own = model.state_dict()
    wrong = [k for k, v in weights.items() if k not in own or own[k].shape != v.shape]
    towers = {k.partition(".")[0] for k in wrong}
    if path.suffix == ".safetensors" and wrong:
        raise TrainingError(
            f"init: {path} holds {count_noun(len(wrong), 'weight that does', 'weights that do')} not fit the model, the"
            f" first is {wrong[0]}"
        )
    fitting = {k: v for k, v in weights.items() if k.partition(".")[0] not in towers}
    if not fitting:
        raise TrainingError(f"init: nothing of {settings.init} fits the model; give the same towers in both")
    if towers:
        warn_caller(
            f"init: of {settings.init} {', '.join(sorted(towers))} do not fit and start at random", ModelWarning
        )
    model.load_state_dict(fitting, strict=False)
    return None if "text" in towers else tokenizer


def _read_bare_weights(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise TrainingError(f"init: {path} is not there; give a .safetensors file with weights in openclap's names")
    from safetensors.torch import load_file

    try:
        return {k: v.float() for k, v in load_file(path).items()}
    except Exception as error:  # a cut or foreign file
        raise TrainingError(f"init: {path} cannot be read ({error}); give a .safetensors file") from error


def _read_checkpoint_weights(name: str) -> tuple[dict[str, torch.Tensor], Path | None]:
    try:
        checkpoint = load_checkpoint(name)
    except OpenClapError as error:
        raise TrainingError(f"init: {error.args[0]}", *error.args[1:]) from error
    weights = checkpoint.weights
    return {key: torch.from_numpy(np.array(weights[key])).float() for key in weights}, checkpoint.tokenizer_file


def _load_init_text(model: CLAPModel, name: str) -> Path | None:
    """Load the text tower from a transformer (a Hub id such as roberta-base, or a folder) → its tokenizer or None.

    A pooler that the transformer was saved without, as roberta-base was, starts at random.
    """
    from transformers.utils import cached_file, logging

    tower = getattr(model.text, "tower", None)
    if tower is None:
        raise TrainingError(
            "init_text: the model's text tower is no transformer; choose kind roberta, bert, clip or sbert"
        )
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn of the weights of a head that is not used
    try:
        found = type(tower).from_pretrained(name).state_dict()
        tokenizer = cached_file(name, "tokenizer.json", _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TrainingError(f"init_text: {name} cannot be loaded: {reason}") from error
    finally:
        logging.set_verbosity(level)
    own = tower.state_dict()
    found = {k: v for k, v in found.items() if k in own or not k.startswith("pooler.")}  # Sentence-BERT has no pooler
    wrong = sorted({*own} ^ {*found}) + [k for k in own if k in found and own[k].shape != found[k].shape]
    if wrong:
        raise TrainingError(
            f"init_text: {count_noun(len(wrong), f'weight of {name} does', f'weights of {name} do')} not fit the text"
            f" tower, the first is {wrong[0]}; give model.text its sizes"
        )
    tower.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in found.items()})
    return None if tokenizer is None else Path(tokenizer)


# -- what trains -------------------------------------------------------------------------------------


def _add_adapters(model: CLAPModel, lora: Lora) -> Any:
    """Add low-rank adapters (arXiv 2106.09685) to the linear layers of the named parts, which are frozen themselves."""
    try:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
    except ImportError:
        raise MissingExtra("lora needs peft: install openclap's extra 'train' (docs/install.md)") from None
    linear = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and name.startswith(lora.parts)]
    if not linear:
        raise TrainingError(f"lora: no linear layer begins with {', '.join(lora.parts)}; they begin with audio or text")
    chosen = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha or 2.0 * lora.rank, lora_dropout=lora.dropout, target_modules=linear
    )
    before = [p for name, p in model.named_parameters() if not name.startswith(lora.parts)]
    adapters = LoraModel(model, chosen, "default")
    for parameter in before:  # LoraModel froze all but the adapters; other parts train as before
        parameter.requires_grad_(True)
    return adapters


def _choose_trainable(model: CLAPModel, settings: Settings) -> None:
    """Apply `freeze` and `train_only` to what adapters have left to train."""
    names = [name for name, _ in model.named_parameters()]
    for setting in ("freeze", "train_only"):
        for prefix in getattr(settings, setting):
            if not any(name.startswith(prefix) for name in names):
                first = sorted({name.partition(".")[0] for name in names})
                raise TrainingError(f"{setting}: no weight begins with {prefix!r}; they begin with {', '.join(first)}")
    for name, parameter in model.named_parameters():
        wanted = not name.startswith(settings.freeze or ("\0",)) and name.startswith(settings.train_only or ("",))
        parameter.requires_grad_(wanted and parameter.requires_grad)
    if not any(p.requires_grad for p in model.parameters()):
        raise TrainingError("freeze and train_only leave nothing to train; leave something out")
