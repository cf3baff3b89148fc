"""The audio graph in bfloat16 or float16: the same graph and weights, multiplied in two bytes by CPUs that are made for it.

It is refused where a vector differs too much from the one of float32. The result is kept on disk by checkpoint, engine
and processor, as the comparison takes a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from platformdirs import user_cache_path

from openclap.backends import compile_cache
from openclap.errors import ModelError

__all__ = ["WORST_COSINE", "check_half"]

WORST_COSINE = 0.9995  # with float32, over the clips of the check


def check_half(compare: Callable[[], float], half: str, key: str) -> None:
    """Refuse `half` where `compare`, which gives the worst cosine with float32, gives too little.

    Parameters
    ----------
    key
        Differs between checkpoints and between versions of the graph's code.

    Raises
    ------
    ModelError
        The vectors are too different from those of float32.
    """
    from openclap.backends.graphs.engine import ov

    facts = (key, half, ov.get_version(), ov.Core().get_property("CPU", "FULL_DEVICE_NAME"))
    name = hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
    file = user_cache_path("openclap") / "half" / f"{name}.cosine"
    content = compile_cache.map_cached(file)
    worst = compare() if content is None else float(content.tobytes())
    if content is None:
        compile_cache.write_cached(file, repr(worst).encode())
    if not worst >= WORST_COSINE:
        raise ModelError(
            f"{half} was refused: the worst cosine of its vectors with those of float32 is {worst:.5f}, and at least"
            f" {WORST_COSINE} is asked for; use float32"
        )
