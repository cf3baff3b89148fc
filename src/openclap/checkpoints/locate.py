"""The name of a model → a file or folder on this machine, downloaded from the Hub where it is missing.

Nothing that is already on this machine is downloaded, and nothing at import.
"""

from __future__ import annotations

import difflib
import os
import re
from importlib.resources import files
from pathlib import Path

from openclap.checkpoints.native import read_json
from openclap.checkpoints.plugged_models import find_plugged
from openclap.checkpoints.presets import PRESETS, Preset, find_preset
from openclap.config import CustomModel
from openclap.errors import Hint, ModelNotHere, UnknownModel, UsageError

__all__ = ["is_available", "locate", "packaged_folder", "pull"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SMALL_FILES = (
    "config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
)
WEIGHT_FILES = ("model.safetensors", "model*.safetensors*", "pytorch_model*.bin*")


def locate(name_or_path: str | os.PathLike[str], *, fetch: bool = True) -> Path:
    """Find a model, and download it where that is needed and allowed.

    Raises
    ------
    UnknownModel
        The name is no preset, no path that exists and no Hub id.
    ModelNotHere
        The model is not on this machine, and cannot be downloaded now, or may not be (`fetch=False`).
    UsageError
        It is the model of a package that computes it by itself, and has no files.
    """
    name = os.fspath(name_or_path)
    path = Path(os.path.expanduser(name))
    if not name:
        raise UnknownModel("the model's name is empty", "give a name, a folder or a file", Hint("models"))
    preset = find_preset(name)
    if preset is not None and preset.repo is None:
        return packaged_folder(name)
    plugged = find_plugged(name_or_path)
    if plugged is not None:
        made = plugged.load()
        if isinstance(made, CustomModel):
            raise UsageError(
                f"{name} is computed by {plugged.package}, which hands out no weights; choose another model"
            )
        return made
    if path.exists():
        return path
    if preset is not None:
        return _from_hub(str(preset.repo), preset.file, name, fetch=fetch)
    if (
        HUB_ID.fullmatch(name)
        and not name.startswith(".")
        and path.suffix not in (".pt", ".pth", ".safetensors", ".bin")
    ):
        return _from_hub(name, None, name, fetch=fetch)
    names = [p.name for p in PRESETS]
    similar = difflib.get_close_matches(name, names, 1, 0.5)
    known = f" (did you mean {similar[0]}?)" if similar else ""
    raise UnknownModel(
        f"'{name}' is not a model{known}",
        f"choose one of {', '.join(names[:4])}, …",
        Hint("models"),
        "give a folder or file that exists",
    )


def packaged_folder(name: str) -> Path:
    """The folder of a model that comes with openclap."""
    return Path(str(files("openclap") / "weights" / name))


def is_available(preset: Preset) -> bool:
    """Whether a preset can be loaded without a network."""
    try:
        locate(preset.name, fetch=False)
    except ModelNotHere:
        return False
    return True


def pull(name: str) -> Path:
    """Download a model, with its progress on stderr, and for a single file the tokenizer, which it does not contain.

    Files that are on this machine already are not downloaded again.

    Raises
    ------
    UsageError
        A package brings it, so there is nothing to download.
    """
    plugged = find_plugged(name)
    if plugged is not None:
        raise UsageError(f"{name} comes with {plugged.package}, so there is nothing to fetch; use it as it is")
    path = locate(name)
    preset = find_preset(name)
    if preset is not None and preset.tokenizer is not None:
        _from_hub(preset.tokenizer, "tokenizer.json", name, fetch=True)
    return path


def _from_hub(repo: str, file: str | None, name: str, *, fetch: bool) -> Path:
    found = _find_cached(repo, file)
    if found is not None:
        return found
    if not fetch:
        raise ModelNotHere(f"{name} is not on this machine", Hint("pull", name=name))
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    advice = (
        Hint("carry", name=name, cache=constants.HF_HUB_CACHE),
        "download the files to a folder and give that folder as the model; where the Hub is blocked, HF_ENDPOINT names"
        " a mirror",
    )
    if constants.HF_HUB_OFFLINE:
        raise ModelNotHere(f"{name} is not on this machine and HF_HUB_OFFLINE forbids to fetch it", *advice)
    try:
        if file is not None:
            return Path(hf_hub_download(repo, file))
        present = set(HfApi().list_repo_files(repo))
        weights = (
            "model.safetensors"
            if "model.safetensors" in present
            else WEIGHT_FILES[1]
            if any(f.endswith(".safetensors") for f in present)
            else WEIGHT_FILES[2]
        )
        return Path(snapshot_download(repo, allow_patterns=[*SMALL_FILES, weights, f"{weights}.index.json"]))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UnknownModel(
            f"'{name}' is no model on the Hub and no file here", "check the spelling", Hint("models")
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelNotHere(f"{name} is not on this machine and the Hub cannot be reached", *advice) from error
    except Exception as error:
        # the Hub client's HTTP library has its own tree of connection errors, which differs between versions
        if type(error).__module__.split(".")[0] not in (
            "httpx",
            "httpcore",
            "httpx2",
            "httpcore2",
            "requests",
            "urllib3",
        ):
            raise
        raise ModelNotHere(f"{name} is not on this machine and the Hub cannot be reached", *advice) from error


def _find_cached(repo: str, file: str | None) -> Path | None:
    """The file, or the folder of a complete model, in the Hub's cache; None where it is not there."""
    from huggingface_hub import try_to_load_from_cache

    if file is not None:
        found = try_to_load_from_cache(repo, file)
        return Path(found) if isinstance(found, str) else None
    config = try_to_load_from_cache(repo, "config.json")
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    indices = [*folder.glob("*.safetensors.index.json"), *folder.glob("*.bin.index.json")]
    if indices:  # a download may have stopped between two shards
        parts = set(read_json(indices[0]).get("weight_map", {}).values())
        return folder if parts and all((folder / part).is_file() for part in parts) else None
    return folder if any(any(folder.glob(pattern)) for pattern in WEIGHT_FILES) else None
