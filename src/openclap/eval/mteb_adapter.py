"""Runs openclap's models in mteb's audio benchmarks; mteb 2.x is not installed with openclap.

Source of mteb: https://github.com/embeddings-benchmark/mteb

    import mteb
    from openclap.eval.mteb_adapter import MTEBModel

    mteb.evaluate(MTEBModel("laion/clap-htsat-fused"), mteb.get_tasks(modalities=["audio"]))

Sounds are resampled and cut by openclap: torchaudio is not needed, and nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openclap.errors import MissingExtra, UsageError
from openclap.normalization import normalize_rows

if TYPE_CHECKING:
    from openclap.clap import CLAP

__all__ = ["MTEBModel"]

Vectors = npt.NDArray[np.float32]


class MTEBModel:
    """An encoder of mteb 2.x (`mteb.models.EncoderProtocol`) for texts, sounds, and sounds with texts."""

    def __init__(
        self, model_name: str | CLAP = "mini", revision: str | None = None, *, device: str | None = None, **options: Any
    ) -> None:
        """Load a model.

        `model_name` is a CLAP, or what `CLAP.from_pretrained` takes, with its options. mteb files results under
        `revision`, by default the fingerprint.
        """
        from openclap.clap import CLAP

        if isinstance(model_name, CLAP):
            self.clap = model_name
        else:
            self.clap = CLAP.from_pretrained(model_name, device=device or "auto", **options)
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
            parts.append(self._encode_texts(list(batch["text"]), size))
        if "audio" in batch:
            parts.append(self.clap.encode_audio(list(batch["audio"]), batch_size=size))
        if not parts:
            raise UsageError(f"a batch of {', '.join(map(str, batch)) or 'nothing'}; text or audio is expected")
        return parts[0] if len(parts) == 1 else normalize_rows(parts[0] + parts[1])

    def _encode_texts(self, texts: list[str], size: int) -> Vectors:
        rows = np.zeros((len(texts), self.clap.config.embedding), np.float32)
        not_empty = [i for i, text in enumerate(texts) if text.strip()]
        rows[not_empty] = self.clap.encode_text([texts[i] for i in not_empty], batch_size=size)
        return rows

    def similarity(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Vectors:
        """Cosines of every row (N, E) with every row (M, E) → (N, M)."""
        return self.clap.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Vectors:
        """Cosines of rows with those at the same place, (N, E) and (N, E) → (N,)."""
        left, right = (normalize_rows(np.atleast_2d(np.asarray(x, np.float32))) for x in (embeddings1, embeddings2))
        return np.clip((left * right).sum(axis=1), -1.0, 1.0)
