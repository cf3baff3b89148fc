"""What the service answers: as the Python API does, to the openai client, to JSON and to forms; the examples of docs/service.md."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import long_wave
from openai import BadRequestError, NotFoundError, OpenAI
from server_for_tests import Running, encoded, running, some_sounds, uri_of

from openclap import CLAP, Library
from openclap.library.moments import moments_in

PAGE = Path(__file__).parents[1] / "docs" / "service.md"
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [
    command
    for kind, block in BLOCKS
    if kind == "bash"
    for command in re.sub(r"\\\n\s*", "", block).splitlines()
    if command.startswith("curl")
]
PROGRAMS = [block for kind, block in BLOCKS if kind == "python"]
SAY = [["dog", "rain"], ["0.0–"], ["'ready'", "'report'", "'heard': 3.0"], ["dog", "rain"]]  # what each program prints
TEXTS = ["a dog barking", "heavy rain on a roof", "雨", "a"]


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clap: CLAP) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("serve")
    for i, sound in enumerate(some_sounds(6)):
        place = folder / "sounds" / ("rain" if i < 3 else "other [x]")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.wav").write_bytes(sound)
    shutil.copy(folder / "sounds" / "rain" / "1.wav", folder / "dog.wav")
    library = Library.open(folder / "library", model=clap)
    library.add(folder / "sounds")
    library.add(folder / "sounds" / "rain", tags=["wet"])
    with running(folder) as server:
        yield server


@pytest.fixture(scope="module")
def sounds() -> list[bytes]:
    """Short, long enough for the fusion, stereo, of another rate, packed."""
    stereo = np.stack([long_wave(2, 44_100), long_wave(2, 44_100, seed=1)], axis=1)
    return [
        encoded(long_wave(1.5, 32_000), 32_000),
        encoded(long_wave(23, 16_000, seed=2), 16_000, "FLAC"),
        encoded(stereo, 44_100, "OGG", "VORBIS"),
        encoded(long_wave(11, 8_000, seed=3), 8_000, "MP3"),
    ]


def post(server: Running, route: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(server.url + route, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server: Running, route: str, status: int, code: str, **request: Any) -> str:
    answer = httpx.post(server.url + route, timeout=60, **request)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["code"] == code
    assert "\n" not in error["message"]
    return str(error["message"])


# -- embeddings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_the_openai_client_gets_the_api_s_numbers(
    server: Running, clap: CLAP, sounds: list[bytes], encoding: Any
) -> None:
    client = OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    options = {} if encoding is None else {"encoding_format": encoding}
    answer = client.embeddings.create(model="mini", input=TEXTS, **options)
    heard = client.embeddings.create(
        model="mini", input=[uri_of(sound) for sound in sounds], extra_body={"modality": "audio"}, **options
    )
    for found, right in ((answer, clap.encode_text(TEXTS)), (heard, clap.encode_audio(sounds))):
        rows = [
            np.frombuffer(base64.b64decode(row.embedding), "<f4") if isinstance(row.embedding, str) else row.embedding
            for row in found.data
        ]
        np.testing.assert_allclose(np.array(rows), right, atol=1e-5)
        assert [row.index for row in found.data] == list(range(len(right)))
    assert answer.model == "mini"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == int(clap.tokenizer(TEXTS)[1].sum())
    assert heard.usage.total_tokens == 0


def test_the_openai_client_gets_its_errors(server: Running) -> None:
    client = OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    with pytest.raises(NotFoundError, match="is not loaded; this server answers with mini") as unknown:
        client.embeddings.create(model="text-embedding-3-small", input="a dog")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(BadRequestError, match="512 numbers and cannot be shortened"):
        client.embeddings.create(model="mini", input="a dog", dimensions=64)
    assert len(client.embeddings.create(model="mini", input="a dog", dimensions=512).data[0].embedding) == 512
    loaded, *_ = client.models.list()
    assert (loaded.id, loaded.object, loaded.loaded) == ("mini", "model", True)  # type: ignore[attr-defined]
    assert client.models.retrieve("default").id == "mini"


def test_texts_and_sounds_keep_their_places(server: Running, clap: CLAP, sounds: list[bytes]) -> None:
    mixed = [TEXTS[0], uri_of(sounds[0]), TEXTS[1], uri_of(sounds[2])]
    found = [row["embedding"] for row in post(server, "/v1/embeddings", {"input": mixed})["data"]]
    right = [*clap.encode_text(TEXTS[:2]), *clap.encode_audio([sounds[0], sounds[2]])]
    np.testing.assert_allclose(found, [right[0], right[2], right[1], right[3]], atol=1e-5)
    said = post(server, "/v1/embeddings", {"input": "data:audio/x,y", "modality": "text"})["data"][0]["embedding"]
    np.testing.assert_allclose(said, clap.encode_text("data:audio/x,y")[0], atol=1e-5)


def test_uploads(server: Running, clap: CLAP, sounds: list[bytes]) -> None:
    files = [("input", ("a.wav", sounds[0])), ("file", ("b", sounds[1]))]
    answer = httpx.post(server.url + "/v1/embeddings", files=files, data={"model": "mini"})
    assert answer.status_code == 200, answer.text
    found = [row["embedding"] for row in answer.json()["data"]]
    np.testing.assert_allclose(found, clap.encode_audio(sounds[:2]), atol=1e-5)


# -- comparing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("upload", [False, True])
def test_classify_and_match(server: Running, clap: CLAP, sounds: list[bytes], upload: bool) -> None:
    labels = ["dog bark", "rain", "siren"]
    if upload:
        classified = httpx.post(
            server.url + "/v1/classify", files={"audio": sounds[1]}, data={"labels": "dog bark, rain，siren"}
        ).json()
        matched = httpx.post(server.url + "/v1/match", files={"file": sounds[1]}, data={"texts": TEXTS}).json()
    else:
        classified = post(server, "/v1/classify", {"audio": uri_of(sounds[1]), "labels": labels})
        matched = post(server, "/v1/match", {"audio": uri_of(sounds[1]), "texts": TEXTS})
    right = [label.to_dict() for label in clap.classify(sounds[1], labels)]
    assert [set(label) for label in classified["labels"]] == [{"label", "score", "similarity"}] * 3
    assert [label["label"] for label in classified["labels"]] == [label["label"] for label in right]
    for name in ("score", "similarity"):
        np.testing.assert_allclose(
            [label[name] for label in classified["labels"]], [label[name] for label in right], atol=1e-4
        )
    assert [match["text"] for match in matched["matches"]] == TEXTS
    scores = [match.score for match in clap.match(sounds[1], TEXTS)]
    np.testing.assert_allclose([match["score"] for match in matched["matches"]], scores, atol=1e-5)


def test_template(server: Running, clap: CLAP, sounds: list[bytes]) -> None:
    body = {"audio": uri_of(sounds[0]), "labels": ["dog", "rain"]}
    found = post(server, "/v1/classify", {**body, "template": "the noise of {}"})["labels"]
    right = clap.classify(sounds[0], ["dog", "rain"], template="the noise of {}")
    np.testing.assert_allclose([x["similarity"] for x in found], [x.similarity for x in right], atol=1e-5)
    assert "must hold {} once" in refused(
        server, "/v1/classify", 400, "invalid_request", json={**body, "template": "no"}
    )


# -- the library --------------------------------------------------------------------------------------


def test_search_by_words_and_sounds(server: Running, clap: CLAP) -> None:
    library = Library.open(server.folder / "library", model=clap)
    sound = server.folder / "sounds" / "other [x]" / "4.wav"
    root = str(server.folder / "sounds") + "/"
    uri = uri_of(sound.read_bytes())
    asked: list[tuple[dict[str, str], Any]] = [
        ({"query": "rain + wind -thunder"}, "rain + wind -thunder"),
        ({"audio": uri}, sound),
        ({"query": "rain", "audio": uri}, ["rain", sound]),
    ]
    for body, query in asked:
        hits = post(server, "/v1/search", {**body, "k": 4})["hits"]
        right = library.search(query, 4)
        assert [hit["path"] for hit in hits] == [hit.path.removeprefix(root) for hit in right]
        for name in ("start", "end", "score", "confidence"):
            np.testing.assert_allclose([hit[name] for hit in hits], [getattr(hit, name) for hit in right], atol=1e-4)
        assert [hit.get("named") for hit in hits] == [
            None if hit.relevance is None else list(hit.named) for hit in right
        ]
    for by in ("sound", "names", "both"):
        hits = post(server, "/v1/search", {"query": "rain", "by": by})["hits"]
        right = library.search("rain", by=by)
        assert [hit["path"] for hit in hits] == [hit.path.removeprefix(root) for hit in right]
        assert all(("relevance" in hit) == (by != "sound") for hit in hits)
    assert post(server, "/v1/search", {"audio": uri, "k": 1})["hits"][0]["path"] == "other [x]/4.wav"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"within": ["rain"]}, {"rain/0.wav", "rain/1.wav", "rain/2.wav"}),
        ({"within": ["other [x]/4.wav", "rain/1.wav"]}, {"other [x]/4.wav", "rain/1.wav"}),
        ({"glob": "*/rain/*"}, {"rain/0.wav", "rain/1.wav", "rain/2.wav"}),
        ({"glob": "1.wav"}, {"rain/1.wav"}),
        ({"glob": "rain/[12].wav"}, {"rain/1.wav", "rain/2.wav"}),
        ({"tags": ["wet"], "glob": "*2.wav"}, {"rain/2.wav"}),
        ({"shortest": 1000}, set()),
        ({"before": 1}, set()),
    ],
)
def test_filters(server: Running, filters: dict[str, Any], found: set[str]) -> None:
    assert {hit["path"] for hit in post(server, "/v1/search", {"query": "rain", **filters})["hits"]} == found


def test_where_the_library_lies_is_not_found_out(server: Running) -> None:
    """A pattern for the whole path would tell, question by question, how the folders above are called."""
    above = server.folder.name[:4]
    for glob in (f"*{above}*", f"*{above}*/sounds/*", "*sounds*"):
        assert post(server, "/v1/search", {"query": "rain", "glob": glob})["hits"] == []
    for filters in ({"glob": "/*"}, {"within": ["/"]}, {"within": [".."]}, {"within": ["rain/../.."]}):
        refused(server, "/v1/search", 400, "invalid_request", json={"query": "rain", **filters})


def test_what_was_understood_is_told(server: Running) -> None:
    rain = [{"text": "Regen", "english": "rain"}]
    for route in ("/v1/search", "/v1/moments"):
        assert post(server, route, {"query": "Regen"})["understood"] == rain
        assert post(server, route, {"query": "rain"})["understood"] == []
    assert post(server, "/v1/moments", {"queries": ["Regen", "rain"]})["understood"] == rain


def test_that_nothing_is_likely_is_told(server: Running, clap: CLAP) -> None:
    """Only whoever knew the model's threshold could tell from the confidences."""
    library = Library.open(server.folder / "library", model=clap)
    for query in ("rain", "a string quartet"):
        found = post(server, "/v1/search", {"query": query, "by": "sound"})["nothing_likely"]
        assert found == library.search(query, by="sound").nothing_likely
        found = post(server, "/v1/moments", {"query": query})["nothing_likely"]
        assert found == library.moments(query, 5).nothing_likely
    nothing = post(server, "/v1/search", {"query": "rain", "path": "*.none"})
    assert nothing == {"hits": [], "nothing_likely": True, "left_out": 0, "unknown": [], "understood": [], "by": "both"}


def test_moments(server: Running, clap: CLAP, sounds: list[bytes]) -> None:
    found = post(server, "/v1/moments", {"query": "rain", "audio": uri_of(sounds[1]), "k": 3})["moments"]
    right = [moment.to_dict() for moment in moments_in(clap, sounds[1], "rain", 3)]
    assert [set(moment) for moment in found] == [{"start", "end", "score", "confidence"}] * len(right)
    for name in ("start", "end", "score", "confidence"):
        np.testing.assert_allclose([m[name] for m in found], [m[name] for m in right], atol=1e-4)
    both = post(server, "/v1/moments", {"queries": ["rain", "a siren"], "audio": uri_of(sounds[1]), "k": 3})["moments"]
    assert [{**moment, "query": "rain"} for moment in found] == [m for m in both if m["query"] == "rain"]
    assert {moment["query"] for moment in both} == {"rain", "a siren"}
    refused(server, "/v1/moments", 400, "invalid_request", json={"queries": ["rain", " "], "audio": uri_of(sounds[1])})
    inside = post(server, "/v1/moments", {"query": "rain"})["moments"]
    assert inside
    assert all((server.folder / "sounds" / moment["path"]).is_file() for moment in inside)


# -- about itself -------------------------------------------------------------------------------------


def test_openapi_describes_every_route_with_examples(server: Running) -> None:
    described = httpx.get(server.url + "/openapi.json").json()
    for route in ("embeddings", "classify", "describe", "match", "search", "moments"):
        post = described["paths"][f"/v1/{route}"]["post"]
        assert post["requestBody"]["content"]["application/json"]["examples"], route
        assert "multipart/form-data" in post["requestBody"]["content"]
        assert "$ref" in post["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in post["responses"]["429"]["content"]["application/json"]["schema"]
    assert httpx.get(server.url + "/docs").status_code == 200


def test_metrics_health_and_logs(server: Running) -> None:
    post(server, "/v1/embeddings", {"input": ["seven", "texts"]})
    counted = httpx.get(server.url + "/metrics").text
    assert 'openclap_requests_total{route="/v1/embeddings",status="200"}' in counted
    assert 'openclap_request_seconds_count{route="/v1/embeddings"}' in counted
    assert 'openclap_batch_size_bucket{lane="text",le="2.0"}' in counted
    assert 'openclap_queue{lane="audio"} 0.0' in counted
    assert httpx.get(server.url + "/health").json() == {"status": "ok"}
    assert httpx.get(server.url + "/ready").json() == {"status": "ready"}
    server.log_file.seek(0)
    lines = [json.loads(line) for line in server.log_file]
    asked = [line for line in lines if line.get("route") == "/v1/embeddings"]
    assert {"method": "POST", "status": 200}.items() <= asked[-1].items()
    assert not any("seven" in json.dumps(line) for line in lines)


def test_nothing_else_imports_what_serving_needs(tmp_path: Path) -> None:
    """Without the extra, every other verb works, and serve says what to install."""
    code = (
        "import sys; sys.modules['fastapi'] = sys.modules['uvicorn'] = None; "
        "import openclap.cli.app as door; sys.argv = ['openclap', *{!r}]; door.main()"
    )
    done = [
        subprocess.run([sys.executable, "-c", code.format(verb)], capture_output=True, text=True, check=False)
        for verb in (["models"], ["serve"])
    ]
    assert done[0].returncode == 0, done[0].stderr
    assert done[1].returncode == 2
    assert "install openclap's extra 'serve'" in done[1].stderr
    assert "Traceback" not in done[1].stderr


# -- the page of documentation ------------------------------------------------------------------------


def test_there_are_examples() -> None:
    assert len(COMMANDS) == 9
    assert len(PROGRAMS) == len(SAY)


@pytest.mark.needs("curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_examples_for_curl(server: Running, command: str) -> None:
    here = command.replace("http://127.0.0.1:8000", server.url)
    done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=True, cwd=server.folder)
    answer = json.loads(done.stdout)
    assert any(answer.get(name) for name in ("data", "labels", "sentence", "matches", "hits", "moments")), answer


@pytest.mark.parametrize(("program", "says"), [*zip(PROGRAMS, SAY, strict=True)])
def test_examples_in_python(server: Running, program: str, says: list[str]) -> None:
    here = program.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
    done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, cwd=server.folder, check=False)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in says), done.stdout
