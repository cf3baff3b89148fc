"""What every test shares: no network, one rule for randomness, small models."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test may reach a network
os.environ["TOKENIZERS_PARALLELISM"] = "false"


_asked = socket.getaddrinfo


def _this_machine_alone(host: Any, *args: Any, **kwargs: Any) -> Any:
    if os.fsdecode(host or "") != "localhost" and not os.fsdecode(host or "").startswith("127."):
        raise AssertionError(f"a test reached for the network: {host!r}")
    return _asked(host, *args, **kwargs)


socket.getaddrinfo = _this_machine_alone  # the environment alone would only ask for it


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing is remembered from other runs, nor left behind in the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


WORDS = [
    "a",
    "the",
    "sound",
    "of",
    "this",
    "is",
    "dog",
    "cat",
    "rain",
    "bark",
    "barking",
    "siren",
    "heavy",
    "violin",
    "solo",
    "an",
    "engine",
    "starting",
    "people",
    "laughing",
    "glass",
    "breaking",
]


def write_tokenizer(path: Path, specials: tuple[str, ...] = ("<s>", "<pad>", "</s>", "<unk>")) -> Path:
    """A word-level tokenizer.json with the special tokens at RoBERTa's ids 0-3."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {word: i for i, word in enumerate((*specials, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=specials[-1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def long_wave(seconds: float, rate: int = 48_000, seed: int = 0) -> np.ndarray:
    """Noise whose loudness and colour change, so that no two windows are alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    sweep = np.sin(2 * np.pi * (200 + 90 * t) * t) * 0.3
    wave: np.ndarray = (sweep + rng.standard_normal(len(t)) * 0.05 * (1 + np.sin(t))).astype(np.float32)
    return wave


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of a bucket of an S3 server on loopback, which the environment names."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment(f"http://{host}:{port}").items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="sounds")
        yield "s3://sounds"
    server.stop()


def s3_environment(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "knows", "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint,
    }  # fmt: skip
