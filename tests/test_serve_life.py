"""How a server lives: signals, kills, too many at once, keys, addresses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
from conftest import long_wave
from server_for_tests import Running, encoded, running, some_sounds, uri_of

from openclap import CLAP, Library
from openclap.errors import UsageError
from openclap.http.hosts import is_loopback
from openclap.serve.settings import ServeSettings, read_keys

KEY = "a-key-that-is-long-enough"


def at_once(server: Running, count: int, body: dict[str, object]) -> list[httpx.Response]:
    start, answers = threading.Barrier(count), []

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            client.get("/health")  # connected
            start.wait()
            answers.append(client.post("/v1/embeddings", json=body))

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_ten_times_the_queue_and_then_a_signal_under_load(tmp_path: Path) -> None:
    """429 with Retry-After for what does not fit, then as before; on SIGTERM every accepted request is answered."""
    audio = uri_of(encoded(long_wave(20, 16_000)))
    with running(tmp_path, settings={"queue": 4}) as server:
        answers = at_once(server, 40, {"input": audio})
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 4
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["Retry-After"] == "1"
        assert refused.json()["error"]["type"] == "rate_limit_error"
        taken = statuses[200] + 1
        assert httpx.post(server.url + "/v1/embeddings", json={"input": audio}).status_code == 200

        told: Counter[str] = Counter()
        busy = threading.Semaphore(0)

        def ask_for_ever() -> None:
            with httpx.Client(base_url=server.url, timeout=60) as client:
                while True:
                    try:
                        told[str(client.post("/v1/embeddings", json={"input": ["a dog", audio]}).status_code)] += 1
                    except httpx.TransportError as error:
                        told[type(error).__name__] += 1
                        return
                    busy.release()

        threads = [threading.Thread(target=ask_for_ever) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            busy.acquire()
        assert server.stop() == 0
        for thread in threads:
            thread.join()
        assert set(told) <= {"200", "ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}
        stopped = server.log[-1]
        assert stopped["message"] == "stopped"
        assert stopped["accepted"] == stopped["answered"] == told["200"] + taken


def test_kill_9_and_start_again(tmp_path: Path) -> None:
    """The library is whole, and answers as before."""
    clap = CLAP.from_pretrained("mini")
    (tmp_path / "sounds").mkdir()
    for i, sound in enumerate(some_sounds(4)):
        (tmp_path / "sounds" / f"{i}.wav").write_bytes(sound)
    library = Library.open(tmp_path / "library", model=clap)
    library.add(tmp_path / "sounds")
    hits = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        with running(tmp_path) as server:
            hits.append(httpx.post(server.url + "/v1/search", json={"query": "rain"}, timeout=60).json()["hits"])
            # a running server sees what others add
            (tmp_path / "sounds" / f"{number}.wav").write_bytes(encoded(long_wave(1, seed=number), 48_000))
            library.add(tmp_path / "sounds")
            more = httpx.post(server.url + "/v1/search", json={"query": "rain"}, timeout=60).json()["hits"]
            assert f"{number}.wav" in {hit["path"] for hit in more}
            assert server.stop(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert library.verify().whole
    assert [hit for hit in hits[1] if hit["path"] != f"{signal.SIGKILL}.wav"] == hits[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])
def test_addresses_that_others_reach_need_a_key(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(UsageError, match="there is no key"):
        ServeSettings(host=host)
    ServeSettings(host=host, keys=(KEY,))
    ServeSettings(host=host, insecure=True)
    for own in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        ServeSettings(host=own)


def test_wrong_use_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve = [sys.executable, "-m", "openclap", "serve", "--library", str(tmp_path / "library")]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for options, says in (
            (["--host", "0.0.0.0"], "there is no key"),
            (["--port", str(taken.getsockname()[1])], "cannot be listened on"),
            (["--model", str(tmp_path / "none")], "is not a model"),
        ):
            done = subprocess.run([*serve, *options], capture_output=True, text=True, check=False)
            assert done.returncode == 2, done
            assert says in done.stderr
            assert "Traceback" not in done.stderr
            assert "Warning" not in done.stderr
    for text in ("", "# none\n"):
        (tmp_path / "keys").write_text(text)
        with pytest.raises(UsageError, match="holds no key"):
            read_keys(tmp_path / "keys")
    monkeypatch.setenv("OPENCLAP_KEYS", "short")
    with pytest.raises(UsageError, match="fewer than 16"):
        ServeSettings(keys=read_keys())
    for wrong in ({"queue": 0}, {"body_bytes": -1}, {"audio_seconds": float("inf")}, {"request_seconds": np.nan}):
        with pytest.raises(UsageError, match=r"it must be (greater than 0|a finite number|a size)"):
            ServeSettings(**wrong)
    assert KEY not in repr(ServeSettings(keys=(KEY,)))
