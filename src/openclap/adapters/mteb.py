"""Runs openclap's models in mteb's audio benchmarks; mteb 2.x is not installed with openclap.

Source of mteb: https://github.com/embeddings-benchmark/mteb

    import mteb
    from openclap.adapters import MTEBModel

    mteb.evaluate(MTEBModel("laion/clap-htsat-fused"), mteb.get_tasks(modalities=["audio"]))

Sounds are resampled and cut by openclap: torchaudio is not needed, and nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from openclap.adapters.inputs import check_long, embed_texts
from openclap.audio.clips import load_model_wave
from openclap.clap import CLAP, Long
from openclap.errors import MissingExtra, UsageError
from openclap.normalization import Vectors, normalize_rows

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MTEBModel"]


class MTEBModel:
    """An encoder of mteb 2.x (`mteb.models.EncoderProtocol`) for texts, sounds, and sounds with texts.

    Parameters
    ----------
    model_name
        A CLAP, or what `CLAP.from_pretrained` takes, with its `options`.
    revision
        What mteb files results under; by default the fingerprint.
    long
        How recordings longer than a clip are embedded, as in `CLAP.encode_audio`. mteb's own wrapper of transformers'
        CLAP takes the first 10 s of them for models without fusion: "head".
    quantise
        "int16": samples are rounded to 16 bits, as mteb's wrapper does for every model; None: as the model says.
    """

    def __init__(
        self,
        model_name: str | CLAP = "mini",
        revision: str | None = None,
        *,
        device: str | None = None,
        long: Long = "auto",
        quantise: Literal["int16"] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(model_name, CLAP):
            self.clap = model_name
        else:
            self.clap = CLAP.from_pretrained(model_name, device=device or "auto", **options)
        check_long(self.clap, long)
        self._long = long
        self._front_end = self.clap.front_end
        if quantise is not None:
            self._front_end = replace(self._front_end, quantise=quantise)
            self._front_end.check()
        self._revision = revision or self.clap.fingerprint

    @cached_property
    def mteb_model_meta(self) -> Any:
        """A `mteb.ModelMeta` with name, revision and embedding size; the licence is left open.

        Raises
        ------
        MissingExtra
            mteb is not installed.
        """
        try:
            from mteb.models import ModelMeta
        except ImportError:
            raise MissingExtra("this needs mteb 2.x:  pip install mteb") from None
        name = self.clap.name
        return ModelMeta(
            loader=MTEBModel,
            name=name if "/" in name else f"openclap/{name}",
            revision=self._revision,
            release_date=None,
            languages=["eng-Latn"],
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=self.clap.config.embedding,
            license=None,
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["OpenVINO" if self.clap.backend.info.engine == "openvino" else "PyTorch"],
            similarity_fn_name="cosine",
            use_instructions=False,
            training_datasets=None,
            modalities=["audio", "text"],
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **options: Any,
    ) -> Vectors:
        """Embed batches → float32 (N, E).

        A batch has "text" (a list of strings), "audio" (a list of {"array", "sampling_rate"}, or other sounds) or both;
        then the vectors are added and brought to unit length. An empty text has a row of zeros. Of the options,
        `batch_size` is used.

        Raises
        ------
        UsageError
            A batch has neither, or there is none.
        """
        size = int(options.get("batch_size") or 8)
        rows = [self._encode_batch(batch, size) for batch in inputs]
        if not rows:
            raise UsageError("there is nothing to encode")
        return np.concatenate(rows)

    def _encode_batch(self, batch: Mapping[str, Any], size: int) -> Vectors:
        parts = []
        if "text" in batch:
            parts.append(embed_texts(self.clap, list(batch["text"]), size))
        if "audio" in batch:
            parts.append(self._encode_sounds(list(batch["audio"]), size))
        if not parts:
            raise UsageError(f"a batch of {', '.join(map(str, batch)) or 'nothing'}; text or audio is expected")
        return parts[0] if len(parts) == 1 else normalize_rows(parts[0] + parts[1])

    def _encode_sounds(self, sounds: list[Any], size: int) -> Vectors:
        front_end = self._front_end
        if front_end != self.clap.front_end:  # it rounds where the model does not
            sounds = [(load_model_wave(sound, front_end), front_end.sampling_rate) for sound in sounds]
        return self.clap.encode_audio(sounds, batch_size=size, long=self._long)

    def similarity(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Tensor:
        """Cosines of every row (N, E) with every row (M, E) → (N, M), a tensor, as mteb expects."""
        return _as_tensor(self.clap.similarity(embeddings1, embeddings2))

    def similarity_pairwise(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Tensor:
        """Cosines of rows with those at the same place, (N, E) and (N, E) → (N,), a tensor."""
        left, right = (normalize_rows(np.atleast_2d(np.asarray(x, np.float32))) for x in (embeddings1, embeddings2))
        return _as_tensor(np.clip((left * right).sum(axis=1), -1.0, 1.0))


def _as_tensor(cosines: Vectors) -> Tensor:
    import torch  # which mteb needs as well

    return torch.from_numpy(cosines)
