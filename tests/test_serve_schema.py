"""What /docs says is so: every request that fits the schemas is answered, none is a fault of the server, examples work as sent."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from server_for_tests import Running, running, some_sounds, uri_of

from openclap import CLAP, Detector, Library
from openclap.language import has_foreign
from openclap.serve.schemas import WAV

ITEMS, RESULTS, TEXT = 4, 20, 200  # small limits: what is at them is cheap, and tried
ROUTES = ["embeddings", "classify", "describe", "match", "search", "moments"]
GETS = ["/v1/models", "/health", "/ready", "/metrics"]
BOUNDED: dict[str, Any] = {
    "max_examples": 6, "derandomize": True, "database": None, "deadline": None, "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip

# what a format promises and no schema can say: words that can be read, a sound that is one
WORDS = st.text(max_size=40).filter(lambda text: text.strip() and not has_foreign(text) and not text.lower().startswith("data:"))  # fmt: skip


def wav(samples: bytes) -> str:
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", len(samples))  # fmt: skip
    return uri_of(head + samples)


def is_query(words: str) -> bool:
    from openclap.library.query import parse_query

    return bool(parse_query(words)[0])


schemathesis.openapi.format("openclap-text", WORDS)
schemathesis.openapi.format("openclap-query", WORDS.filter(is_query))
schemathesis.openapi.format("openclap-file", st.from_regex(r"[a-z*?]{1,9}(/[a-z.]{1,9})?\Z"))
schemathesis.openapi.format("openclap-name", st.sampled_from(["0.wav", "1.wav"]))
schemathesis.openapi.format("openclap-detector", st.just("our sound"))
schemathesis.openapi.format("openclap-sound", st.binary(min_size=1, max_size=64).map(wav))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("schema")
    for i, sound in enumerate(some_sounds(2)):
        (folder / f"{i}.wav").write_bytes(sound)
    clap = CLAP.from_pretrained("mini")
    Library.open(folder / "library", model=clap).add(sorted(folder.glob("*.wav")))
    weight = np.eye(1, clap.config.embedding, dtype=np.float32)[0]
    taught = Detector("our sound", None, weight, 0.0, clap.name, clap.fingerprint).save(folder / "taught.safetensors")
    options = ("--no-page", "--alias", "text-embedding-3-small", "--detector", str(taught))
    with running(folder, *options, settings={"items": ITEMS, "results": RESULTS}) as server:  # fmt: skip
        yield server
        assert server.stop() == 0
        assert [line for line in server.log if line["level"] == "error"] == []


@pytest.fixture(scope="module")
def described(server: Running) -> dict[str, Any]:
    return httpx.get(server.url + "/openapi.json").json()


def cases(described: dict[str, Any], route: str, mode: GenerationMode) -> Any:
    """A strategy of requests in JSON for one route."""
    one = json.loads(json.dumps(described))
    path = f"/v1/{route}"
    one["paths"] = {path: one["paths"][path]}
    content = one["paths"][path]["post"]["requestBody"]["content"]
    del content["multipart/form-data"]
    return schemathesis.openapi.from_dict(one)[path]["POST"].as_strategy(generation_mode=mode)


@pytest.mark.parametrize("route", ROUTES)
def test_what_fits_the_schema_is_answered(server: Running, described: dict[str, Any], route: str) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:

        @settings(**BOUNDED)
        @given(case=cases(described, route, GenerationMode.POSITIVE))
        def ask(case: Any) -> None:
            answer = client.post(f"/v1/{route}", json=case.body)
            unknown = "recording" in case.body and answer.json().get("error", {}).get("code") == "recording_not_found"
            assert answer.status_code == 200 or unknown, (answer.text, case.body)

        ask()


@pytest.mark.parametrize("route", ROUTES)
def test_what_does_not_is_told_so(server: Running, described: dict[str, Any], route: str) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:

        @settings(**BOUNDED)
        @given(case=cases(described, route, GenerationMode.NEGATIVE))
        def ask(case: Any) -> None:
            body = case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()
            answer = client.post(f"/v1/{route}", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in (200, 400, 404, 413, 422), (answer.text, body)
            assert answer.status_code == 200 or "\n" not in answer.json()["error"]["message"]

        ask()


@pytest.mark.parametrize("path", GETS)
def test_what_is_only_asked_for(server: Running, described: dict[str, Any], path: str) -> None:
    operation = schemathesis.openapi.from_dict(
        described,
    )[path]["GET"]
    case = operation.Case()
    case.call_and_validate(base_url=server.url)


def test_examples_work_as_they_are_sent(server: Running, described: dict[str, Any]) -> None:
    """They held sounds that were cut short to be looked at."""
    tried = 0
    for path, operations in described["paths"].items():
        content = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            answer = httpx.post(server.url + path, json=example["value"], timeout=60)
            assert answer.status_code == 200, (path, answer.text)
            tried += 1
    assert tried >= 9


def test_limits_are_this_server_s(described: dict[str, Any]) -> None:
    def body(route: str) -> dict[str, Any]:
        post = described["paths"][f"/v1/{route}"]["post"]
        return post["requestBody"]["content"]["application/json"]["schema"]

    labels = body("classify")["properties"]["labels"]
    assert (labels["minItems"], labels["maxItems"], labels["items"]["maxLength"]) == (1, ITEMS, 8192)
    assert body("search")["properties"]["k"]["maximum"] == RESULTS
    model = body("match")["properties"]["model"]["anyOf"][0]
    assert model["enum"] == ["mini", "default", "text-embedding-3-small"]
    assert [one["properties"]["modality"]["enum"] for one in body("embeddings")["anyOf"]] == [
        ["auto"],
        ["text"],
        ["audio"],
    ]
    assert "openclap-some" not in json.dumps(described)


# -- what clients of others send ----------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]], [9]])
def test_token_ids_are_told_what_to_set(server: Running, tokens: Any) -> None:
    """langchain's client cuts texts with another model's tokenizer; "input: input should be a valid string" told nobody why."""
    answer = httpx.post(server.url + "/v1/embeddings", json={"input": tokens})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "token_ids"
    assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]


def test_another_name_for_the_model(server: Running) -> None:
    for name, status in (("text-embedding-3-small", 200), ("default", 200), ("text-embedding-3-large", 404)):
        answer = httpx.post(server.url + "/v1/embeddings", json={"input": "rain", "model": name})
        assert answer.status_code == status
        assert httpx.get(f"{server.url}/v1/models/{name}").status_code == status
        if status == 404:
            assert "alias" in answer.json()["error"]["message"]


@pytest.mark.parametrize("uri", ["data:;base64,", "data:;name=a;base64,", "DATA:;BASE64,"])
def test_a_sound_whose_uri_says_no_type(server: Running, uri: str) -> None:
    """RFC 2397 lets the type be left out; such a sound was "no sound", for modality audio as well."""
    bare = uri + WAV.partition(",")[2]
    told = [
        httpx.post(server.url + route, json=body).json()
        for one in (bare, WAV)
        for route, body in (
            ("/v1/embeddings", {"input": one, "modality": "audio"}),
            ("/v1/classify", {"audio": one, "labels": ["rain", "dog"]}),
        )
    ]
    assert told[0]["data"][0]["embedding"] == told[2]["data"][0]["embedding"]
    assert told[1] == told[3]
    assert httpx.post(server.url + "/v1/embeddings", json={"input": bare}).json()["usage"]["total_tokens"] > 0  # a text


@pytest.mark.parametrize(
    "body",
    [b'{"input": [' + b"1.5," * 500_000 + b"1]}", b"{" + b",".join(b'"a%d": 1' % i for i in range(100_000)) + b"}"],
    ids=["numbers", "names"],
)
def test_a_million_faults_are_one(server: Running, body: bytes) -> None:
    """A body of 2 MB took half a minute of the event loop and 2.6 GB, to tell every fault and show one."""
    from pydantic import ValidationError

    from openclap.errors import RequestRefused
    from openclap.serve.inputs import (
        _parse_json,
        describe_fault,
    )
    from openclap.serve.schemas import EmbeddingsRequest

    with pytest.raises((RequestRefused, ValidationError)) as refused:
        _parse_json(body, EmbeddingsRequest)
    if isinstance(refused.value, ValidationError):
        assert refused.value.error_count() < 4
        assert "input" in describe_fault(refused.value)
    assert (
        httpx.post(
            server.url + "/v1/embeddings", content=body, headers={"content-type": "application/json"}
        ).status_code
        == 400
    )
