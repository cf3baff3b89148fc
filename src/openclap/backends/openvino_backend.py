"""The towers in OpenVINO on the CPU, without torch: the default backend, and the fastest exact one.

Each tower is built when it is first needed. The first few texts are embedded by numpy, which needs no engine; for more
the text graph is built.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from openclap.audio.mel import apply_dynamic_range, log_mel
from openclap.backends import compile_cache, numpy_text
from openclap.backends.graphs import code_digest
from openclap.backends.outputs import TowerOutput, no_output
from openclap.checkpoints.weights import Array, Weights, entries_from_arrays
from openclap.config import AUDIO, TEXT, CLAPConfig, FrontEnd
from openclap.errors import UsageError
from openclap.results import BackendInfo

__all__ = ["OpenVINOBackend"]

Vectors = npt.NDArray[np.float32]
HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
FEW_TEXTS = 12  # embedded by numpy before the graph would be compiled (measured)


class OpenVINOBackend:
    """Runs graphs over the mapped weights of a checkpoint, in float32 or with the audio tower in fewer bits."""

    takes_waves = False
    batch = 1

    def __init__(
        self, config: CLAPConfig, weights: Weights | Mapping[str, Array], *, threads: int | None, why: str
    ) -> None:
        self.info = BackendInfo("openvino", "cpu", "float32", why)
        self._config = config
        self._encoder = AUDIO[config.audio.kind]
        self.weights = weights if isinstance(weights, Weights) else Weights(entries_from_arrays(weights))
        self._threads = threads
        self._audio: dict[str, Any] = {}  # what was compiled, by name
        self._int8 = False
        self._mapped: list[Any] = []  # compiled graphs of the cache, which those that were made of them use
        self._text: dict[TowerOutput, Any] = {}
        self._texts_seen = 0  # how many texts were embedded so far
        self._lock = threading.Lock()
        self._cache_name: str | None = None  # folder of the compiled audio graphs in the cache

    def set_fingerprint(self, fingerprint: str) -> None:
        """Cache the compiled audio graph under this name: 125 MB for HTSAT-tiny, ready in less than half the time at the next start."""
        self._cache_name = fingerprint

    def weights_state(self) -> object:
        """None: a mapped checkpoint does not change."""
        return None

    def encode_audio(
        self, mel: npt.NDArray[np.float32], longer: npt.NDArray[np.bool_], output: TowerOutput = "unit"
    ) -> Vectors:
        """Mels (B, V, T, F), longer (B,) → (B, E) unit rows, or what `Backend.encode_audio` says."""
        if self._int8 and output != "unit":
            raise UsageError("in int8 the audio tower gives unit rows alone; load the model in float32")
        fused = longer.any() or not self._has_short_graph()
        inputs = self._inputs(mel, longer) if fused else [np.ascontiguousarray(mel[:, :1])]
        name = ("audio" if fused else "audio of short clips") + ("" if output == "unit" else f", {output}")
        with self._lock:
            if name not in self._audio:
                build = partial(self._audio_graph, fused=bool(fused), output=output)
                self._audio[name] = self._compile(build, cache_as=name, hint=HINTS[self.info.dtype])
            return self._run(self._audio[name], inputs)

    def encode_waves(self, waves: Vectors, front_end: FrontEnd, output: TowerOutput = "unit") -> Vectors:
        """Padded waves (B, S) → as `encode_audio`."""
        mel = apply_dynamic_range(log_mel(waves, front_end), front_end)[:, None]
        return self.encode_audio(mel, np.zeros(len(mel), np.bool_), output)

    def use_int8(self, key: str, clips: Callable[[], list[tuple[Vectors, npt.NDArray[np.bool_]]]]) -> None:
        """Run the audio tower in int8 from now on; `clips` gives mels (1, V, T, F) and `longer` (1,) to calibrate with.

        Raises
        ------
        MissingExtra, ModelError
            See `openclap.backends.int8.load_or_quantise`.
        """
        from openclap.backends.int8 import Clips, load_or_quantise

        def run(model: object, clips_to_run: Clips) -> Vectors:
            request = self._compile(lambda: model)
            return np.concatenate([self._run(request, inputs) for inputs in clips_to_run])

        key = f"{key} {code_digest(self._encoder.load('graph'))}"
        graph, name = load_or_quantise(self._audio_graph, lambda: [self._inputs(*clip) for clip in clips()], key, run)
        with self._lock:
            self._audio, self._int8 = {"audio": self._compile(lambda: graph, cache_as=name)}, True
            self.info = replace(self.info, dtype="int8")

    def use_half(self, half: str, key: str, clips: Callable[[], list[tuple[Vectors, npt.NDArray[np.bool_]]]]) -> None:
        """Run the audio tower in "bfloat16" or "float16" from now on; `clips` gives mels and `longer` to check it with.

        Raises
        ------
        ModelError
            Its vectors differ too much from those of float32.
        """
        from openclap.backends.half import check_half

        key = f"{key} {code_digest(self._encoder.load('graph'))}"
        check_half(lambda: self._worst_cosine(half, clips()), half, key)
        self._set_dtype(half)

    def _worst_cosine(self, half: str, clips: list[tuple[Vectors, npt.NDArray[np.bool_]]]) -> float:
        """The lowest cosine of a clip's vectors in float32 and in `half`."""
        rows = []
        for dtype in ("float32", half):
            self._set_dtype(dtype)
            rows.append(np.concatenate([self.encode_audio(*clip) for clip in clips]))
        self._set_dtype("float32")
        return float((rows[0] * rows[1]).sum(1).min())

    def _set_dtype(self, dtype: str) -> None:
        with self._lock:
            self._audio = {}  # compiled anew at the next call
            self.info = replace(self.info, dtype=dtype)

    def _inputs(self, mel: Vectors, longer: npt.NDArray[np.bool_]) -> list[npt.NDArray[Any]]:
        """The inputs of the audio graph."""
        inputs = [mel[:, :1]] if self._config.fusion is None else [_as_four_views(mel), longer]
        return [np.ascontiguousarray(x) for x in inputs]

    def encode_text(
        self, ids: npt.NDArray[np.int64], mask: npt.NDArray[np.int64], output: TowerOutput = "unit"
    ) -> Vectors:
        """Token ids and mask (B, L) → (B, E) unit rows, or what `Backend.encode_text` says."""
        text = self._config.text
        embed_tokens, graph_mask = (TEXT[text.kind].load(part) for part in ("embed_tokens", "graph_mask"))
        if embed_tokens is None and output == "frames":
            raise no_output(text.kind, "text", output)
        if embed_tokens is None:
            return numpy_text.encode(self._config, self.weights, ids, mask, output)
        with self._lock:
            self._texts_seen += len(ids)
            if output not in self._text and self._texts_seen <= FEW_TEXTS and output != "frames":
                return numpy_text.encode(self._config, self.weights, ids, mask, output)
            if output not in self._text:
                self._text[output] = self._compile(partial(self._text_graph, output))
            second = mask.astype(np.float32) if graph_mask is None else graph_mask(text, ids, mask)
            return self._run(self._text[output], [embed_tokens(text, self.weights, ids), second])

    def _has_short_graph(self) -> bool:
        """Whether short clips have a graph of their own; in int8 all clips have one, as it was calibrated."""
        # a channel map has no part of its own that short clips could do without
        fusion = self._config.fusion
        return fusion not in (None, "channel_map") and not self._int8 and self._encoder.short_graph

    def _audio_graph(self, *, fused: bool = True, output: TowerOutput = "unit") -> Any:
        config = self._config if fused else replace(self._config, fusion=None)
        return _build(self._encoder.load("graph"), self.weights, config, output, self._encoder.kind, "audio")

    def _text_graph(self, output: TowerOutput) -> Any:
        kind = self._config.text.kind
        return _build(TEXT[kind].load("graph"), self.weights, self._config, output, kind, "text")

    def _compile(self, build: Callable[[], Any], *, cache_as: str | None = None, hint: str = "f32") -> Any:
        """Compile a graph → an inference request; `cache_as` names the compiled graph in the cache on disk."""
        from openclap.backends.graphs.engine import ov

        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint, "NUM_STREAMS": "1"}
        if self._threads is not None:
            options["INFERENCE_NUM_THREADS"] = str(self._threads)
            # else all processes with few threads share the first cores while others idle
            options["ENABLE_CPU_PINNING"] = False
        core = ov.Core()
        if cache_as is None or self._cache_name is None:
            return core.compile_model(build(), "CPU", options).create_infer_request()
        facts = (
            code_digest(self._encoder.load("graph")),
            cache_as,
            ov.get_version(),
            core.get_property("CPU", "FULL_DEVICE_NAME"),
            sorted(options.items()),
        )
        name = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
        place = user_cache_path("openclap") / "compiled" / self._cache_name / f"{name}.blob"
        content = compile_cache.map_cached(place)
        if content is not None:
            mapped = ov.Tensor(content, shared_memory=True)
            with contextlib.suppress(RuntimeError):  # the engine refuses it: compile it again
                request = core.import_model(mapped, "CPU", options).create_infer_request()
                self._mapped.append(mapped)  # the engine reads its weights there
                return request
        compiled = core.compile_model(build(), "CPU", options)
        compile_cache.write_cached(place, compiled.export_model().getbuffer())
        return compiled.create_infer_request()

    @staticmethod
    def _run(request: Any, inputs: list[npt.NDArray[Any]]) -> Vectors:
        return np.array(request.infer(inputs)[0], np.float32)


def _build(
    graph: Callable[..., Any], weights: Weights, config: CLAPConfig, output: TowerOutput, kind: str, what: str
) -> Any:
    """The graph of a tower, with another output than unit rows where that is asked for."""
    from openclap.backends.graphs.engine import ov
    from openclap.backends.graphs.ops import Graph

    g = Graph(weights)
    whole = graph(g, config)
    if output == "unit":
        return whole
    if output not in g.marked:
        raise no_output(kind, what, output)
    return ov.Model([g.marked[output]], whole.get_parameters(), f"{what}, {output}")


def _as_four_views(mel: Vectors) -> Vectors:
    """Repeat a single view four times; for short clips the fusion uses the first alone."""
    return np.broadcast_to(mel, (len(mel), 4, *mel.shape[2:])) if mel.shape[1] == 1 else mel
