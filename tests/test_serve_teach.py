"""Teaching over HTTP: examples of every kind, one by one the next to mark; drafts and detectors, kept, asked for, changed, refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi.testclient import TestClient
from server_for_tests import encoded, some_sounds, uri_of

from openclap import CLAP, Detector, Library, blas_threads
from openclap.detector import detectors_folder
from openclap.example_store import count_examples
from openclap.serve.app import create_app
from openclap.serve.settings import ServeSettings
from openclap.synth import synthesise
from openclap.teach import counter_examples, fit, teaching
from openclap.teach.evaluation import cross_validate

KINDS = ("doorbell", "church bells", "rain", "dog bark", "siren", "wind", "cricket", "thunder")
LINES = {"Accept": "application/x-ndjson"}
RATE = 32_000


@dataclass
class Shelf:
    """A service with a library, its owner's view of it, and where the sounds lie."""

    public: TestClient
    own: TestClient
    sounds: Path
    library: Library


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, clap: CLAP) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("teach")
    sounds = folder / "sounds"
    sounds.mkdir()
    for number, kind in enumerate(KINDS):
        for take in range(2 if "bell" in kind else 1):
            wave, *_ = synthesise(kind, np.random.default_rng((number, take)), rate=RATE, seconds=2.0)
            sf.write(sounds / f"{kind.replace(' ', '_')}_{take}.wav", wave, RATE)
    library = Library.open(folder / "library", model=clap)
    library.add(sounds)
    given: dict[str, Any] = {"library": str(folder / "library"), "roots": (sounds,), "body_bytes": 4 << 20}
    apps = [create_app(ServeSettings(**given, manage=manage), clap=clap) for manage in (False, True)]
    public, own = (TestClient(app, base_url="http://localhost") for app in apps)
    with public, own:
        yield Shelf(public, own, sounds, library)
    library.close()


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    yield
    shutil.rmtree(detectors_folder(), ignore_errors=True)


def taught(client: TestClient, **more: Any) -> dict[str, Any]:
    """Bells, by files of the library."""
    body = {
        "name": "our bell",
        "text": "a bell",
        "yes": [{"path": "doorbell_0.wav"}, {"path": "church_bells_0.wav"}],
        "no": [{"path": "rain_0.wav"}, {"path": "siren_0.wav"}],
        **more,
    }
    answer = client.post("/v1/teach", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def draft(shelf: Shelf) -> str:
    """Of bells, the owner's."""
    return str(taught(shelf.own)["id"])


def kept(client: TestClient, draft: str, name: str = "our bell", **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/detectors", json={"draft": draft, "name": name, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["detector"]
    return found


def rows_of(shelf: Shelf, *files: str) -> np.ndarray:
    rows = [shelf.library.embedding(shelf.sounds / f"{name}.wav") for name in files]
    return np.stack([row for row in rows if row is not None])


def names(client: TestClient) -> list[str]:
    return [one["name"] for one in client.get("/v1/detectors").json()["detectors"]]


def message(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    said: str = answer.json()["error"]["message"]
    return said


def test_a_draft_is_what_python_teaches(shelf: Shelf, clap: CLAP) -> None:
    found = taught(shelf.public)
    yes, no = (rows_of(shelf, *names) for names in (("doorbell_0", "church_bells_0"), ("rain_0", "siren_0")))
    drawn = counter_examples(shelf.library, yes)
    expected = fit(clap, "our bell", yes, no, text="a bell", drawn=drawn)
    content = shelf.public.get(f"/v1/detectors/{found['id']}/file").content
    place = shelf.sounds.parent / "draft.safetensors"
    place.write_bytes(content)
    loaded = Detector.load(place)
    assert np.allclose(loaded.weight, expected.weight, rtol=1e-3, atol=1e-3)
    assert (loaded.name, loaded.text, loaded.model) == ("our bell", "a bell", "mini")
    report = found["detector"]["report"]
    assert (report["judged"], report["yes"], report["no"]) == (True, 2, 2)
    assert report["recall"]["low"] < report["recall"]["value"] or report["recall"]["value"] == 0
    assert {"doorbell_0.wav", "church_bells_0.wav"} <= {hit["path"] for hit in found["hits"][:4]}
    marked = {"doorbell_0.wav", "church_bells_0.wav", "rain_0.wav", "siren_0.wav"}
    assert len(found["next"]) == 5
    assert not marked & {hit["path"] for hit in found["next"]}
    assert found["skipped"] == []
    assert str(shelf.sounds) not in json.dumps(found)


def test_few_examples_are_not_judged_and_said_to_be_few(shelf: Shelf) -> None:
    found = taught(shelf.public, yes=[{"path": "doorbell_0.wav"}], no=[])
    assert found["detector"]["report"]["judged"] is False
    assert "too few" in found["detector"]["report"]["why"]
    assert (found["detector"]["examples"]["yes"], found["detector"]["examples"]["no"]) == (1, 0)


def test_parts_recordings_and_uploads_are_examples_and_bad_ones_are_named(shelf: Shelf) -> None:
    bell, siren = some_sounds(2)
    silence = encoded(np.zeros(RATE, np.float32), RATE)
    id = shelf.public.post("/v1/recordings", params={"name": "our bell.wav"}, content=bell).json()["id"]
    yes = [
        {"recording": id, "start": 0.5, "end": 1.5},
        {"recording": id},
        {"recording": id, "start": 50},
        {"recording": "gone"},
        {"path": "doorbell_1.wav", "start": 0.2, "end": 1.0},
        {"path": "../../etc/passwd"},
        {"path": "doorbell_1.wav", "start": 50},
        {"path": "doorbell_1.wav", "start": 0.5, "end": 9000},
        uri_of(b"RIFF, but no sound"),
        uri_of(silence),
    ]
    found = taught(shelf.public, yes=yes, no=[uri_of(siren)])
    assert found["detector"]["examples"]["yes"] == 3
    said = {(one["of"], one["index"]): (one["name"], one["error"]) for one in found["skipped"]}
    assert list(said) == [("yes", number) for number in (2, 3, 5, 6, 7, 8, 9)]
    assert said["yes", 2] == ("our bell.wav", "ends before this part begins; give an earlier one")
    assert "no such recording" in said["yes", 3][1]
    assert "no such sound" in said["yes", 5][1]
    assert said["yes", 6] == ("doorbell_1.wav", "ends before this part begins; give an earlier one")
    assert "more than 600 s" in said["yes", 7][1]
    assert "nothing is heard" in said["yes", 9][1]
    again = taught(shelf.public, yes=yes, no=[uri_of(siren)])
    assert again["detector"]["report"] == found["detector"]["report"]


def test_files_of_a_form(shelf: Shelf) -> None:
    bell, siren = some_sounds(2)
    files = [("yes", ("bell.wav", bell)), ("yes", ("broken.wav", b"no sound")), ("no", ("siren.wav", siren))]
    answer = shelf.public.post("/v1/teach", data={"name": "bell"}, files=files)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["detector"]["examples"]["yes"], found["detector"]["examples"]["no"]) == (1, 1)
    assert [(one["of"], one["index"]) for one in found["skipped"]] == [("yes", 1)]


def test_progress_is_told_line_by_line(shelf: Shelf) -> None:
    body = {"name": "bell", "yes": [uri_of(some_sounds(1)[0])]}
    lines = [json.loads(line) for line in shelf.public.post("/v1/teach", json=body, headers=LINES).text.splitlines()]
    assert lines[0]["progress"] == 0
    assert lines[-1]["result"]["detector"]["name"] == "bell"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"name": "bell"}, "no example of 'bell' can be used"),
        ({"name": "bell", "yes": [{"path": "none.wav"}]}, "none.wav: the library holds no such sound"),
        ({"name": "  ", "yes": [{"path": "rain_0.wav"}]}, "empty text"),
        ({"name": "bell", "yes": [{"path": "a.wav", "recording": "b"}]}, "give the path of a sound"),
        ({"name": "bell", "yes": [{"path": "rain_0.wav", "start": 2, "end": 1}]}, "end must lie behind start"),
        ({"name": "bell", "yes": ["/etc/passwd"]}, "a path is never opened"),
        ({"name": "bell", "yes": [{"path": "rain_0.wav"}], "no": [{"path": "rain_0.wav"}]}, "say which it is"),
        ({"name": "bell", "yes": [{"path": "rain_0.wav"}], "k": 1001}, "less than or equal to 1000"),
        ({"name": "bell", "yes": [], "noo": []}, "there is no such field"),
    ],
)
def test_what_cannot_be_taught_is_told(shelf: Shelf, body: dict[str, Any], why: str) -> None:
    said = message(shelf.public.post("/v1/teach", json=body), 400)
    assert why in said


def test_kept_it_is_asked_for_everywhere(shelf: Shelf, draft: str) -> None:
    own = shelf.own
    fact = kept(own, draft)
    assert (fact["name"], fact["kept"], fact["own"], fact["fits"], fact["model"]) == ("our bell", 4, True, True, "mini")
    hits = own.post("/v1/search", json={"detector": "our bell", "k": 4}).json()["hits"]
    assert {"doorbell_0.wav", "church_bells_0.wav"} <= {hit["path"] for hit in hits}
    assert all(0 <= hit["confidence"] <= 1 for hit in hits)
    both = own.post("/v1/search", json={"query": "a bell", "detector": "our bell", "k": 4})
    assert both.status_code == 200, both.text
    bell = (shelf.sounds / "doorbell_0.wav").read_bytes()
    id = own.post("/v1/recordings", params={"name": "a.wav"}, content=bell).json()["id"]
    for given in ({"recording": id}, {"audio": uri_of(bell)}):
        (heard,) = own.post("/v1/detect", json={"detectors": ["our bell"], **given}).json()["detectors"]
        assert (heard["detector"], heard["heard"]) == ("our bell", heard["probability"] >= 0.5)
        assert heard["probability"] > 0.5
    spans = own.post("/v1/moments", json={"queries": ["rain"], "detectors": ["our bell"], "recording": id}).json()
    assert {(one.get("query"), one.get("detector")) for one in spans["moments"]} == {("rain", None), (None, "our bell")}
    everywhere = own.post("/v1/moments", json={"detectors": ["our bell"], "k": 2}).json()["moments"]
    assert everywhere[0]["path"] in {"doorbell_0.wav", "doorbell_1.wav", "church_bells_0.wav", "church_bells_1.wav"}
    with own.websocket_connect("/v1/watch", headers={"host": "localhost"}) as socket:
        socket.send_json({"detectors": ["our bell"], "rate": 16_000})
        assert socket.receive_json()["type"] == "ready"
        socket.send_json({"type": "end"})


def test_a_draft_is_asked_for_by_its_id(shelf: Shelf) -> None:
    id = taught(shelf.public)["id"]
    assert shelf.public.post("/v1/search", json={"detector": id, "k": 2}).status_code == 200
    assert "has no detector" in message(shelf.public.post("/v1/search", json={"detector": "our bell"}), 404)
    assert "kept no longer" in message(shelf.public.post("/v1/search", json={"detector": "draft:none"}), 404)


def test_renamed_replaced_taken_along_and_forgotten(shelf: Shelf, draft: str) -> None:
    own = shelf.own
    kept(own, draft)
    before = Detector.load("our bell")
    again = own.post("/v1/detectors", json={"draft": draft, "name": "our bell"})
    assert "there is a detector 'our bell' already" in message(again, 409)
    assert kept(own, draft, over=True)["kept"] == 4
    renamed = own.post("/v1/detectors/our bell/rename", json={"name": "门铃"})
    assert renamed.json()["detector"]["name"] == "门铃"
    assert (names(own), renamed.json()["detector"]["kept"], count_examples(before.key)) == (["门铃"], 4, 0)
    file = own.get("/v1/detectors/门铃/file")
    assert "filename" in file.headers["content-disposition"]
    back = own.post("/v1/detectors", files={"file": ("x.safetensors", file.content)}, data={"name": "back"})
    assert (back.json()["detector"]["name"], back.json()["detector"]["kept"]) == ("back", 0)
    assert names(own) == ["back", "门铃"]
    assert [one["name"] for one in own.post("/v1/detectors/门铃/forget").json()["detectors"]] == ["back"]
    assert not any(detectors_folder().glob("examples/*"))


@pytest.mark.parametrize(
    "name", ["../up", "a/b", ".hidden", "a\\b", "c:d", "new\nline", "draft:x", "a" * 101, "\u202eup"]
)
def test_names_that_are_no_files(shelf: Shelf, draft: str, name: str) -> None:
    answer = shelf.own.post("/v1/detectors", json={"draft": draft, "name": name})
    if name == "new\nline":
        assert answer.json()["detector"]["name"] == "new line"
        return
    assert "cannot be a detector's name" in message(answer, 400)
    assert not list(detectors_folder().glob("*"))


@pytest.mark.parametrize("name", ["..%2F..%2Fsecret", "%2Fetc%2Fpasswd", ".", "..%5Csecret", "secret.safetensors"])
@pytest.mark.parametrize("route", ["", "/file"])
def test_no_other_file_is_opened(shelf: Shelf, draft: str, name: str, route: str) -> None:
    kept(shelf.own, draft)
    secret = detectors_folder().parent / "secret.safetensors"
    shutil.copy(detectors_folder() / "our bell.safetensors", secret)
    answer = shelf.own.get(f"/v1/detectors/{name}{route}")
    assert answer.status_code in (200, 404)
    assert "report" not in answer.json() or name == "."  # "." is the list itself
    secret.unlink()


def test_what_only_the_owner_may(shelf: Shelf, draft: str) -> None:
    kept(shelf.own, draft)
    public = shelf.public
    assert public.get("/v1/detectors").json() == {"detectors": [], "failed": [], "writable": False}
    sent = {"file": ("x.safetensors", b"x")}
    for answer in (
        public.post("/v1/detectors", json={"draft": draft, "name": "mine"}),
        public.post("/v1/detectors", files=sent),
        public.post("/v1/detectors/our bell/rename", json={"name": "mine"}),
        public.post("/v1/detectors/our bell/refit"),
        public.post("/v1/detectors/our bell/forget"),
    ):
        assert "only the owner" in message(answer, 403)
    for route in ("", "/file"):
        assert "has no detector" in message(public.get(f"/v1/detectors/our bell{route}"), 404)
    assert names(shelf.own) == ["our bell"]


def test_files_that_are_no_detectors(shelf: Shelf, draft: str) -> None:
    own = shelf.own
    said = message(own.post("/v1/detectors", files={"file": ("x.safetensors", b"no detector")}), 422)
    assert "cannot be read as a detector" in said
    assert "/tmp" not in said
    large = {"file": ("x.safetensors", bytes(3 << 20))}
    assert "larger than 1 MiB" in message(own.post("/v1/detectors", files=large), 413)
    assert "no file" in message(own.post("/v1/detectors", files={"other": ("x", b"x")}), 400)
    kept(own, draft)
    detector = Detector.load("our bell")
    for name, expected in (("../up", 400), ("ok", 200)):
        place = shelf.sounds.parent / "sent.safetensors"
        replace(detector, name=name).save(place)
        answer = own.post("/v1/detectors", files={"file": ("x.safetensors", place.read_bytes())})
        assert answer.status_code == expected, answer.text
    (detectors_folder() / "broken.safetensors").write_bytes(b"no detector")
    listed = own.get("/v1/detectors").json()
    assert [one["name"] for one in listed["detectors"]] == ["ok", "our bell"]
    assert [one["name"] for one in listed["failed"]] == ["broken"]
    assert str(detectors_folder()) not in json.dumps(listed)
    assert "cannot be used" in message(own.post("/v1/search", json={"detector": "broken"}), 409)
    assert own.post("/v1/detectors/broken/forget").json()["failed"] == []


def test_of_another_model_it_is_refused_and_taught_anew(shelf: Shelf, draft: str) -> None:
    own = shelf.own
    kept(own, draft)
    examples, detector = detectors_folder() / "examples", Detector.load("our bell")
    other = replace(detector, model="/srv/models/secret/big.safetensors", fingerprint="0" * 16)
    other.save()
    (examples / detector.key).rename(examples / other.key)
    (fact,) = own.get("/v1/detectors").json()["detectors"]
    assert (fact["fits"], fact["model"], fact["kept"]) == (False, "big.safetensors", 4)
    said = message(own.post("/v1/search", json={"detector": "our bell"}), 409)
    assert "taught on big.safetensors, and this server answers with mini; teach it anew" in said
    assert "/srv" not in said
    anew = own.post("/v1/detectors/our bell/refit")
    assert anew.status_code == 200, anew.text
    assert anew.json()["before"] == fact["report"]
    assert anew.json()["detector"]["examples"]["yes"] == 2
    put = own.post("/v1/detectors", json={"draft": anew.json()["id"], "name": "our bell", "over": True})
    assert (put.json()["detector"]["fits"], put.json()["detector"]["kept"], put.json()["lost"]) == (True, 4, 0)
    assert own.post("/v1/search", json={"detector": "our bell", "k": 2}).status_code == 200
    shutil.rmtree(detectors_folder() / "examples")
    assert "no examples" in message(own.post("/v1/detectors/our bell/refit"), 409)


def test_given_to_the_server_it_is_everybody_s_and_nobody_changes_it(
    shelf: Shelf, draft: str, clap: CLAP, tmp_path: Path
) -> None:
    kept(shelf.own, draft)
    place = Detector.load("our bell").save(tmp_path / "given.safetensors")
    with TestClient(
        create_app(ServeSettings(detectors=(str(place),)), clap=clap), base_url="http://localhost"
    ) as client:
        (fact,) = client.get("/v1/detectors").json()["detectors"]
        assert (fact["name"], fact["own"], fact["fits"]) == ("our bell", False, True)
        assert "not be taken along" in message(client.get("/v1/detectors/our bell/file"), 403)
        heard = client.post("/v1/detect", json={"audio": uri_of(some_sounds(1)[0]), "detectors": ["our bell"]})
        assert heard.status_code == 200
        alone = client.post("/v1/teach", json={"name": "bell", "yes": [uri_of(some_sounds(1)[0])]}).json()
        assert (alone["hits"], alone["next"]) == ([], [])
        assert "no library" in message(client.post("/v1/teach", json={"name": "bell", "yes": [{"path": "a.wav"}]}), 503)


def test_a_fit_has_one_thread_and_gives_the_others_back(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesson of 60 files took 38 s beside other work, and a search waited for 1 s: threads of the BLAS spun."""
    seen: list[int] = []

    def look(*args: Any, **options: Any) -> dict[str, Any]:
        seen.append(blas_threads._inside)  # what it does is in test_teach.py
        return cross_validate(*args, **options)

    monkeypatch.setattr(teaching, "cross_validate", look)
    for _ in range(2):
        taught(shelf.public)
    assert seen == [1, 1]
    assert blas_threads._inside == 0
