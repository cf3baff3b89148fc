"""What every test shares: no network, a home of its own, one rule for randomness, processes beside each other, small models."""

from __future__ import annotations

import logging
import os
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from libraries_for_tests import place  # noqa: F401  a fixture
from slow_for_tests import leave_out_slow, note_slow
from tools_for_tests import pytest_addoption as add_no_skips
from tools_for_tests import pytest_configure as declare_needs
from tools_for_tests import (  # noqa: F401  these are hooks
    pytest_make_collect_report,
    pytest_runtest_makereport,
)
from tools_for_tests import pytest_runtest_setup as skip_what_needs_more
from tools_for_tests import pytest_terminal_summary as tell_what_was_skipped

# nothing is remembered from other runs, nor left behind in the user's home; before anything that asks for a home is imported
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # what failed is kept there, to be looked at
_home = tempfile.TemporaryDirectory(prefix="openclap-", dir=os.environ["PYTEST_DEBUG_TEMPROOT"], ignore_cleanup_errors=True)  # fmt: skip
for _name, _folder in {
    "HOME": "", "USERPROFILE": "", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state", "TMPDIR": "t", "TEMP": "t", "TMP": "t",
}.items():  # fmt: skip
    os.environ[_name] = str(Path(_home.name, _folder))
Path(os.environ["TMPDIR"]).mkdir()
tempfile.tempdir = None  # to be asked for anew
for _name in [name for name in os.environ if name.startswith("OPENCLAP_") or name in ("HF_HOME", "HF_HUB_CACHE")]:
    del os.environ[_name]  # the user's settings
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(
        _name, "1"
    )  # several processes with threads for all cores wait for each other longer than they compute
os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported: no test may reach a network
os.environ["TOKENIZERS_PARALLELISM"] = "false"


_asked = socket.getaddrinfo


def _this_machine_alone(host: Any, *args: Any, **kwargs: Any) -> Any:
    if os.fsdecode(host or "") != "localhost" and not os.fsdecode(host or "").startswith("127."):
        raise AssertionError(f"a test reached for the network: {host!r}")
    return _asked(host, *args, **kwargs)


socket.getaddrinfo = _this_machine_alone  # the environment alone would only ask for it


# -- hooks of pytest ----------------------------------------------------------------------------------------

A_WORKER = 3 << 30  # bytes of memory that torch, transformers, a model and a browser take together
MOST_WORKERS = 8  # each starts its own servers and models: more would repeat more than they share


def pytest_addoption(parser: pytest.Parser) -> None:
    add_no_skips(parser)
    parser.addoption("--quick", action="store_true", help="leave out what is in tests/slow.txt or needs a program")
    parser.addoption("--note-slow", action="store_true", help="write tests/slow.txt anew from this run")


def pytest_configure(config: pytest.Config) -> None:
    declare_needs(config)
    config.option.randomly_reset_seed = False  # the order is random, what a test draws is not: see below


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: the cores that this process may use, as far as the memory goes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2 * A_WORKER
    return min(_cores(), max(1, memory // A_WORKER), MOST_WORKERS)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out_slow(config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    skip_what_needs_more(item)
    _draw_anew()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    _draw_anew()


def _draw_anew() -> None:
    """Whatever is drawn without a generator is the same in any order; the tests before drew a different number of times."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  what libraries draw from
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if isinstance(seed := getattr(config.option, "randomly_seed", None), int):
        terminalreporter.write_line(f"in random order; --randomly-seed={seed} gives it again")
    tell_what_was_skipped(terminalreporter)
    if config.getoption("note_slow"):
        note_slow(terminalreporter.stats)


# -- what tests share ---------------------------------------------------------------------------------------

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


@pytest.fixture(scope="session", autouse=True)
def _sounds_are_made_once() -> Iterator[None]:
    """The sounds of the banks of each new model are always the same, and making them takes longer than hearing them."""
    from openclap import synth

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synth, "synthesise_all", cache(synth.synthesise_all))
        yield


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
