"""The models of the page: each is loaded once for all visitors, of whom everyone chooses one. Knows nothing of gradio."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path

from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.weights import count_parameters
from openclap.clap import CLAP
from openclap.errors import ModelError
from openclap.http.loading import LOADING
from openclap.page.strings import InputError
from openclap.store.disk import folder_bytes

__all__ = ["SharedModels"]

STEP = 0.25  # seconds between two looks at a download


class SharedModels:
    """Models by name, for all visitors.

    Parameters
    ----------
    names
        Those that visitors may load; the first is the one that everyone begins with.
    """

    def __init__(self, names: tuple[str, ...], load: Callable[[str], CLAP] = CLAP.from_pretrained) -> None:
        self.names, self._load = names, load
        self._loaded: dict[str, CLAP] = {}
        self._locks = {name: threading.Lock() for name in names}

    def loaded(self, name: str) -> CLAP | None:
        """A model if it is loaded."""
        return self._loaded.get(name)

    def get(self, name: str) -> CLAP:
        """A model, which is loaded if it is not yet.

        Raises
        ------
        InputError
            It is not one of the list.
        ModelError
            It cannot be loaded; `asked` is its name.
        """
        if name not in self._locks:
            raise InputError("error.model_refused", name=str(name)[:100])
        with self._locks[name]:
            if name not in self._loaded:
                try:
                    clap = self._load(name)
                    clap.encode_text("a sound")  # compiles what is needed, and shows what is wrong with it
                except ModelError as error:
                    error.asked = name  # type: ignore[attr-defined]
                    raise
                self._loaded[name] = clap
        return self._loaded[name]

    def load(self, name: str) -> Iterator[float]:
        """Load a model; again and again, give the megabytes that were downloaded since. Raises what `get` raises."""
        before = _downloaded_megabytes(name)
        loading: Future[CLAP] = Future()

        def run() -> None:
            try:
                loading.set_result(self.get(name))
            except BaseException as error:  # it is raised where it was asked for
                loading.set_exception(error)

        threading.Thread(target=run, name=LOADING, daemon=True).start()  # who stops waiting for it does not stop it
        while wait([loading], timeout=STEP).not_done:
            yield _downloaded_megabytes(name) - before
        loading.result()


def describe_model(clap: CLAP) -> tuple[float | None, str]:
    """Millions of parameters, where they are known, and what computes."""
    info = clap.backend.info
    if clap.checkpoint.package is not None:
        return None, f"{info.device.upper()} ({info.engine})"
    return count_parameters(clap.checkpoint.weights) / 1e6, f"{info.device.upper()} ({info.engine})"


def _downloaded_megabytes(name: str) -> float:
    """Megabytes of a preset that are on this machine, of whole files and begun ones."""
    preset = find_preset(name)
    if preset is None or preset.repo is None:
        return 0.0
    from huggingface_hub import constants

    return folder_bytes(Path(constants.HF_HUB_CACHE) / f"models--{preset.repo.replace('/', '--')}" / "blobs") / 1e6
