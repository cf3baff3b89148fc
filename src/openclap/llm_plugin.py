"""The models of openclap in the command line `llm`: vectors of texts and sounds, for `llm embed` and `llm similar`.

    llm embed-multi sounds --files folder '*.wav' --binary -m clap     sounds ─┐
                                                                               ├─ cosine
    llm similar sounds -c "a dog barking"                              words ──┘

`llm` finds this module by an entry point of `pyproject.toml`; nothing else imports it. A model is loaded when it is
first asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import llm
import numpy as np
import numpy.typing as npt

from openclap.checkpoints.presets import KNOWN_BAD, PRESETS, Preset
from openclap.errors import OpenClapError, SoundError

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["ClapEmbeddings", "register_embedding_models"]

Vector: TypeAlias = npt.NDArray[np.float32]  # (E,)
Vectors: TypeAlias = npt.NDArray[np.float32]  # (N, E)

SHORT = {"mini": ("clap",)}  # other names
CODED = ("RIFF", "RIFX", "RF64", "ID3", "OggS", "fLaC", "FORM", "\0\0\0")  # what files of sounds begin with


class EmbeddingRefused(llm.ModelError, click.ClickException):  # type: ignore[misc]
    """What cannot be embedded, as one sentence: `llm` shows it without a traceback."""

    def __init__(self, sentence: str) -> None:
        click.ClickException.__init__(self, sentence)

    def __str__(self) -> str:
        """The sentence."""
        return self.message


class ClapEmbeddings(llm.EmbeddingModel):  # type: ignore[misc]
    """One model: bytes are sounds, in any format that openclap reads, strings are words.

    Parameters
    ----------
    model_id
        What `llm` calls it, also in the collections that it fills.
    name
        What `CLAP.from_pretrained` calls it.
    """

    supports_binary = True
    batch_size = 8  # sounds in memory at once

    def __init__(self, model_id: str, name: str) -> None:
        self.model_id, self._name = model_id, name
        self._clap: CLAP | None = None

    def embed_batch(self, items: Iterable[str | bytes], *, key: str | None = None) -> Iterator[list[float]]:
        """Unit vectors of E numbers, in the order of the items.

        Raises
        ------
        EmbeddingRefused
            The model is not here, or an item is no sound.
        """
        del key  # no model of ours needs one
        all_items = [bytes(item) if isinstance(item, bytearray | memoryview) else item for item in items]
        for item in all_items:
            if not isinstance(item, bytes | str):
                raise EmbeddingRefused(f"{type(item).__name__} is neither the bytes of a sound nor words")
        try:
            if self._clap is None:
                self._clap = _load(self._name)
            vectors: dict[int, Vector] = {}
            for kind, embed in ((bytes, self._embed_sounds), (str, self._embed_texts)):
                places = [place for place, item in enumerate(all_items) if isinstance(item, kind)]
                if places:
                    vectors.update(zip(places, embed(self._clap, [all_items[place] for place in places]), strict=True))
        except OpenClapError as error:
            raise EmbeddingRefused(_in_words_of_the_shell(error)) from error
        yield from (vectors[place].tolist() for place in range(len(all_items)))

    def _embed_sounds(self, clap: CLAP, sounds: list[Any]) -> Vectors:
        try:
            return clap.encode_audio(sounds, batch_size=self.batch_size)
        except SoundError:
            for sound in sounds:  # which of them is it? `llm` tells no names
                try:
                    clap.encode_audio(sound)
                except SoundError as error:
                    digest = hashlib.md5(sound, usedforsecurity=False).hexdigest()
                    raise EmbeddingRefused(f"a sound of {len(sound)} bytes, MD5 {digest}: {error.cause}") from error
            raise

    def _embed_texts(self, clap: CLAP, texts: list[Any]) -> Vectors:
        for text in texts:
            if "\0" in text[:4096] or text.startswith(CODED):
                raise EmbeddingRefused(
                    "this is a sound that was read as text; give its bytes, at the shell with --binary"
                )
        return clap.encode_text(texts)


@llm.hookimpl  # type: ignore[untyped-decorator]
def register_embedding_models(register: Callable[..., Any]) -> None:
    """Tell `llm` of every model that has a name, and of the one that OPENCLAP_MODEL names."""
    for preset in PRESETS:
        if preset.name not in KNOWN_BAD:
            model_id, *others = _ids(preset)
            register(ClapEmbeddings(model_id, preset.name), aliases=(*others, *SHORT.get(preset.name, ())))
    own = os.environ.get("OPENCLAP_MODEL", "")
    if own and own not in {preset.name for preset in PRESETS}:
        register(ClapEmbeddings(f"openclap/{own}", own))


def _ids(preset: Preset) -> tuple[str, ...]:
    """What a model is called in a collection, and its other names.

    A packaged model gets new weights under its old name: what it made is asked for by its fingerprint, so that vectors
    of one edition never meet those of another.
    """
    name = f"openclap/{preset.name}"
    return (name,) if preset.fingerprint is None else (f"openclap/mini@{preset.fingerprint[:8]}", name)


def _load(name: str) -> CLAP:
    from openclap.clap import CLAP

    return CLAP.from_pretrained(name)


def _in_words_of_the_shell(error: OpenClapError) -> str:
    from openclap.cli.show import HINTS

    return error.say(HINTS)
