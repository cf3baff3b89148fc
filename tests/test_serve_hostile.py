"""What means harm gets one sentence, costs little, and breaks nothing. bench/hostile.py does this for longer."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from conftest import long_wave
from hostile_sounds import mutations, silence
from server_for_tests import Running, encoded, running, uri_of

MUTATIONS = 150
BODY = 1 << 20  # bytes that the server takes
GOOD = encoded(long_wave(0.5, 16_000))
TRICKS = ("Traceback", 'File "', "/home/", "site-packages", "openclap/serve")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(
        tmp_path_factory.mktemp("hostile"),
        settings={"body_bytes": "1 MiB", "audio_seconds": 60, "items": 8, "results": 50},
    ) as server:
        yield server
        assert httpx.post(server.url + "/v1/embeddings", json={"input": "still here"}).status_code == 200
        assert server.stop() == 0
        assert not any("traceback" in line for line in server.log), "something was not expected"


def checked(server: Running, answer: httpx.Response, *statuses: int) -> str:
    """The sentence of an error that tells nothing about the server."""
    assert answer.status_code in statuses, answer.text
    message = str(answer.json()["error"]["message"])
    assert message
    assert "\n" not in message
    assert len(message) < 500
    assert not any(trick in answer.text for trick in (*TRICKS, str(server.folder)))
    return message


def refused(server: Running, body: Any, *statuses: int, route: str = "match") -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/{route}", content=data, headers=kind, timeout=30)
    return checked(server, answer, *(statuses or (400,)))


# -- bodies -------------------------------------------------------------------------------------------


def test_ten_gigabytes_are_refused_before_they_are_read(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(
            b"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n"
        )
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 413
        assert answer.headers["Connection"] == "close"
        assert "larger than the 1 MiB" in json.loads(answer.read())["error"]["message"]


def test_who_is_still_sending_is_told_what_was_wrong(server: Running) -> None:
    """The connection was closed while a browser was sending, and the page said that the server cannot be reached."""
    size = 16 << 20
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(
            f"POST /v1/match HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        client.sendall(bytes(size))  # it fails where nobody reads
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 413
        assert "send less at once" in json.loads(answer.read())["error"]["message"]


def test_pieces_that_grow_too_large(server: Running) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)

    try:
        answer = httpx.post(server.url + "/v1/match", content=pieces(), headers={"content-type": "application/json"})
        checked(server, answer, 413)
    except httpx.TransportError:  # the connection was closed while more was on its way
        pass
    assert sent < 64 * BODY


def test_a_form_that_is_too_large_or_broken(server: Running) -> None:
    url = server.url + "/v1/match"
    checked(server, httpx.post(url, files={"audio": bytes(2 * BODY)}, data={"texts": "a"}), 413)
    many = [("texts", (None, "a"))] * 1000
    checked(server, httpx.post(url, files=[("audio", GOOD), *many]), 400)
    checked(server, httpx.post(url, files=[("other", GOOD), ("texts", (None, "a"))]), 400)
    for kind, body in (
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=a", b"nothing of that kind"),
        (
            "multipart/form-data; boundary=a",
            b'--a\r\nContent-Disposition: form-data; name="audio"; filename="x"\r\n\r\nno end',
        ),
    ):
        checked(server, httpx.post(url, content=body, headers={"content-type": kind}), 400)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "audio/wav"):
        checked(server, httpx.post(url, content=b"{}", headers={"content-type": kind}), 415)
    packed = {"content-type": "application/json", "content-encoding": "gzip"}
    checked(server, httpx.post(url, content=b"\x1f\x8b", headers=packed), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"input": "\xff\xff"}', b'{"input": "\\ud800"}', b'{"input": "a", "input2": 1}',
        b"[" * 100_000, b'{"input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"input": ""}', b'{"input": []}', b'{"input": [""]}', b'{"input": "  "}', b'{"input": 7}', b'{"input": [[1, 2, 3]]}',
        b'{"input": null}', b'{"input": {}}', b'{"input": ["a", 3]}', b'{"input": "a", "dimensions": 1e400}',
        b'{"input": "a", "dimensions": 0}', b'{"input": "a", "encoding_format": "hex"}', b'{"input": "a", "modality": "smell"}',
        json.dumps({"input": ["a"] * 9}).encode(), json.dumps({"input": "a" * 10_000}).encode(),
        json.dumps({"input": "a dog", "modality": "audio"}).encode(), json.dumps({"x" * 1000: 1}).encode(),
    ],
    ids=lambda body: repr(body[:30]),
)  # fmt: skip
def test_bodies_that_are_none(server: Running, body: bytes) -> None:
    refused(server, body, route="embeddings")


def test_numbers_that_are_none(server: Running) -> None:
    for k in (0, -1, 51, 10**30, 1.5, "many", None):
        refused(server, {"query": "a", "k": k}, route="search")
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        refused(server, f'{{"query": "a", "shortest": {value}}}'.encode(), route="search")
    refused(server, {"query": "a", "glob": "a\0b"}, 400, 409, route="search")


# -- sounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "audio",
    [
        "/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "~/.ssh/id_rsa", "dog.wav", "C:\\dog.wav", "", "\0", "data:", "data:,",
        "data:audio/wav,plain", "data:audio/wav;base64", "data:audio/wav;base64,%%%", "data:audio/wav;base64,abc",
        "data:audio/wav;base64,ab=c", "data:audio/wav;base64,AAAA\nAAAA", "data:audio/wav;base64,声", "data:text/plain,AAAA",
        "http://127.0.0.1/x.wav", "http://localhost/x.wav", "https://example.org/x.wav", "ftp://example.org/x.wav", "pipe:0", "concat:a|b",
    ],
)  # fmt: skip
def test_strings_that_are_no_sounds(server: Running, audio: str) -> None:
    """No path of the server is opened, no URL fetched."""
    for route, more in (("match", {"texts": ["a"]}), ("search", {}), ("moments", {"query": "a"})):
        refused(server, {"audio": audio, **more}, 400, 403, 503, route=route)
    refused(server, {"input": [audio], "modality": "audio"}, 400, 403, route="embeddings")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"no sound at all", "not a sound"),
        (GOOD[:44], "no samples"),
        (encoded(np.full(1000, np.nan), subtype="FLOAT"), "NaN"),
        (encoded(np.full(1000, 1e30), subtype="DOUBLE"), "full scale"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a sound"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 1 RTP/AVP 0\n", "not a sound"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "not a sound"),
        (struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 40, b"WAVE", b"fmt ", 16, 1, 1, 1, 2, 2, 16, b"data", 4) + b"abcd", "1 Hz"),
    ],
)  # fmt: skip
def test_files_that_are_no_sounds(server: Running, data: bytes, says: str) -> None:
    told = refused(server, {"input": ["a dog", uri_of(data)]}, 400, 422, route="embeddings")
    assert says in told
    assert "input[1]" in told
    answer = httpx.post(server.url + "/v1/match", files={"audio": data}, data={"texts": "a"})
    assert says in checked(server, answer, 422)


@pytest.mark.parametrize(("kind", "hours"), [("FLAC", 2.0), ("OPUS", 8.0)])
def test_hours_in_a_few_kilobytes(server: Running, kind: str, hours: float) -> None:
    """The limit counts what is decoded, while it is decoded: memory holds seconds of it."""
    bomb = silence(kind, hours)
    assert len(bomb) < BODY
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    for route, data in (("match", {"texts": "a"}), ("moments", {"query": "a"}), ("embeddings", {})):
        answer = httpx.post(f"{server.url}/v1/{route}", files={"file": bomb}, data=data, timeout=30)
        assert "longer than the 60 s" in checked(server, answer, 413)
    highest = max(int(line.split()[1]) * 1024 for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))  # fmt: skip
    assert highest - before < 200e6  # all of it would be 700 MB and more


def test_mutations_of_every_format(server: Running) -> None:
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for what, data in mutations(MUTATIONS):
            answer = client.post("/v1/embeddings", files={"input": data})
            if answer.status_code != 200:
                checked(server, answer, 413, 422)
            else:
                row = answer.json()["data"][0]["embedding"]
                assert abs(np.linalg.norm(row) - 1) < 1e-4, what
            statuses[answer.status_code] += 1
    assert statuses[200] > 20
    assert statuses[422] > 20


# -- strangers ----------------------------------------------------------------------------------------


def test_pages_of_other_sites_and_names_made_to_mean_this_machine(server: Running) -> None:
    for headers in (
        {"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"},
        {"host": ""}, {"host": "[::1"}, {"origin": "http://[::1"},
    ):  # fmt: skip
        for answer in (
            httpx.get(server.url + "/v1/models", headers=headers),
            httpx.post(server.url + "/v1/embeddings", headers=headers, json={"input": "a"}),
        ):
            checked(server, answer, 403)
    for host in (f"localhost:{server.port}", f"127.0.0.1:{server.port}"):
        own = {"host": host, "origin": f"http://{host}"}
        assert httpx.get(server.url + "/v1/models", headers=own).status_code == 200


def test_routes_that_are_none(server: Running) -> None:
    for path in (
        "/v1/x",
        "/../../etc/passwd",
        "/v1/models/../../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/" + "a" * 3000,
    ):
        answer = httpx.get(server.url + path)
        assert answer.status_code == 404
        assert "root:" not in answer.text
        if path.startswith("/v1") and ".." not in path:  # of the others the page says so
            checked(server, answer, 404)
    checked(server, httpx.get(server.url + "/v1/match"), 405)
    checked(server, httpx.post(server.url + "/v1/nothing", json={}), 404)
    counted = httpx.get(server.url + "/metrics").text
    assert "aaaa" not in counted
