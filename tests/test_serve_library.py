"""The routes of the library: what it holds, filtered and counted; its sounds, drawn, played by parts, taken along, tagged."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from fastapi import Request
from fastapi.testclient import TestClient
from server_for_tests import encoded
from starlette.requests import ClientDisconnect

from openclap import CLAP, Library
from openclap.library.uploads import safe_name
from openclap.serve.app import create_app
from openclap.serve.byte_ranges import file_content, ranged_response
from openclap.serve.settings import ServeSettings

RATE = 16_000
ODD = os.fsdecode(b"caf\xe9.wav")  # no UTF-8


def tone(seconds: float, loud: float = 0.5, pitch: float = 440.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (loud * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


@dataclass
class Shelf:
    """A service, its owner's view of it, and where its sounds lie."""

    public: TestClient
    own: TestClient
    sounds: Path


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, clap: CLAP) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("library")
    sounds = folder / "sounds"
    files = {
        "Drums/KickDrum_2.wav": tone(1.0, 0.9), "Drums/KickDrum_10.flac": tone(0.5, 0.4), "Drums/Pack 1/snare.wav": tone(0.7, pitch=900),
        "Weather/Regen über Dach.wav": tone(3.0, 0.1), "Weather/下雨声.wav": tone(2.0, 0.2), "Weather/half.wav": np.concatenate([tone(1.0, 0.0), tone(1.0, 1.0)]),
        "changed.wav": tone(0.6), "gone.wav": tone(0.4, pitch=300), ODD: tone(0.3, pitch=200),
    }  # fmt: skip
    for name, wave in files.items():
        place = sounds / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(wave, RATE, "FLAC" if name.endswith("flac") else "WAV"))
    library = Library.open(folder / "library", model=clap)
    library.add(sounds)
    library.tag(["loud", "one-shot"], sounds / "Drums")
    library.collect("Trailer", sounds / "Weather" / "下雨声.wav")
    library.close()
    (sounds / "changed.wav").write_bytes(encoded(tone(0.7), RATE))
    (sounds / "gone.wav").unlink()
    given: dict[str, Any] = {"library": str(folder / "library"), "roots": (sounds,)}
    apps = [create_app(ServeSettings(**given, manage=manage), clap=clap) for manage in (False, True)]
    public, own = (TestClient(app, base_url="http://localhost") for app in apps)
    with public, own:
        yield Shelf(public, own, sounds)


def test_a_player_that_hangs_up_at_once_leaves_no_file_open(tmp_path: Path) -> None:
    """Its file stayed open: pieces that nobody had asked for were never closed."""
    place = tmp_path / "tone.wav"
    place.write_bytes(encoded(tone(0.1), RATE))
    file = place.open("rb")

    async def hang_up(message: Any) -> None:
        raise OSError

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    response = ranged_response(Request(scope), file_content(file, place.stat().st_size, 0), {})
    with pytest.raises((ClientDisconnect, OSError)):
        asyncio.run(response(scope, None, hang_up))  # type: ignore[arg-type]
    assert file.closed


def answer(client: TestClient, place: str, /, **params: Any) -> dict[str, Any]:
    found = client.get(f"/v1/library{place}", params=params)
    assert found.status_code == 200, found.text
    return dict(found.json())


def refused(found: Any, status: int, code: str) -> str:
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert error["code"] == code
    return str(error["message"])


def names(client: TestClient, **params: Any) -> list[str]:
    return [one["name"] for one in answer(client, "/files", **params)["files"]]


# -- listing ------------------------------------------------------------------------------------------


def test_what_the_library_holds(shelf: Shelf) -> None:
    found = answer(shelf.public, "")
    assert (found["files"], found["model"], found["writable"], found["roots"]) == (9, "mini", False, [])
    assert answer(shelf.own, "")["writable"]
    assert answer(shelf.own, "")["roots"] == ["sounds"]


def test_files_are_listed_in_the_order_of_people(shelf: Shelf) -> None:
    whole = answer(shelf.public, "/files")
    assert whole["total"] == 9
    every = names(shelf.public)
    assert every.index("KickDrum_2.wav") < every.index("KickDrum_10.flac")
    assert names(shelf.public, order="desc") == every[::-1]
    assert names(shelf.public, offset=2, limit=3) == every[2:5]
    assert names(shelf.public, offset=100) == []
    lengths = [one["seconds"] for one in answer(shelf.public, "/files", sort="seconds")["files"]]
    assert lengths == sorted(lengths)
    folders = [one["folder"] for one in answer(shelf.public, "/files", sort="folder", order="desc")["files"]]
    assert folders == sorted(folders, reverse=True)
    kick = next(one for one in whole["files"] if one["name"] == "KickDrum_10.flac")
    assert kick["path"] == "Drums/KickDrum_10.flac"
    assert kick["folder"] == "Drums"
    assert (kick["format"], kick["tags"], kick["playable"], kick["why"]) == ("flac", ["loud", "one-shot"], True, None)
    assert kick["modified"] == pytest.approx((shelf.sounds / kick["path"]).stat().st_mtime)
    away = {one["name"]: one["why"] for one in whole["files"] if not one["playable"]}
    assert set(away) == {"changed.wav", "gone.wav"}
    assert "indexed" in away["changed.wav"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"text": "ki"}, {"KickDrum_2.wav", "KickDrum_10.flac"}),
        ({"text": "drum"}, {"KickDrum_2.wav", "KickDrum_10.flac", "snare.wav"}),  # a hump, and a folder
        ({"text": "rum"}, set()),
        ({"text": "LOUD sn"}, {"snare.wav"}),  # a tag and a name
        ({"text": "雨声"}, {"下雨声.wav"}),
        ({"text": "uber da"}, {"Regen über Dach.wav"}),
        ({"text": "trailer"}, {"下雨声.wav"}),
        ({"folder": "Drums"}, {"KickDrum_2.wav", "KickDrum_10.flac", "snare.wav"}),
        ({"folder": "Drums/Pack 1"}, {"snare.wav"}),
        ({"folder": "Drum"}, set()),
        ({"format": ["flac", "mp3"]}, {"KickDrum_10.flac"}),
        ({"tag": ["loud", "one-shot"], "max_seconds": "0.9"}, {"KickDrum_10.flac", "snare.wav"}),
        ({"tag": ["loud", "quiet"]}, set()),
        ({"collection": "Trailer", "min_seconds": ""}, {"下雨声.wav"}),
        ({"path": ["Drums/Pack 1/snare.wav", "no.wav", "../x"]}, {"snare.wav"}),
    ],
)
def test_filters(shelf: Shelf, asked: dict[str, Any], found: set[str]) -> None:
    assert set(names(shelf.public, **asked)) == found


def test_facets_count_what_could_be_chosen_instead(shelf: Shelf) -> None:
    found = answer(shelf.public, "/facets")
    assert found["folders"] == [{"value": "Drums", "count": 3}, {"value": "Drums/Pack 1", "count": 1}, {"value": "Weather", "count": 3}]  # fmt: skip
    assert found["formats"] == [{"value": "wav", "count": 8}, {"value": "flac", "count": 1}]
    assert found["tags"] == [{"value": "loud", "count": 3}, {"value": "one-shot", "count": 3}]
    assert found["collections"] == [{"value": "Trailer", "count": 1}]
    chosen = answer(shelf.public, "/facets", folder="Drums/Pack 1", format="wav")
    assert {one["value"]: one["count"] for one in chosen["folders"]} == {"Drums": 2, "Drums/Pack 1": 1, "Weather": 3}
    assert chosen["formats"] == [{"value": "wav", "count": 1}]


@pytest.mark.parametrize("asked", [{"sort": "size"}, {"limit": "-1"}, {"what": "x"}, {"text": ["a", "b"]}, {"min_seconds": "nan"}])  # fmt: skip
def test_wrong_parameters_are_one_sentence(shelf: Shelf, asked: dict[str, Any]) -> None:
    assert "\n" not in refused(shelf.public.get("/v1/library/files", params=asked), 400, "invalid_request")


# -- sounds -------------------------------------------------------------------------------------------


def test_waveforms(shelf: Shelf) -> None:
    paths = ["Drums/KickDrum_2.wav", "Weather/half.wav", "changed.wav", "no.wav", r"caf\xe9.wav"]
    found = {name: base64.b64decode(one) for name, one in answer(shelf.public, "/peaks", path=paths)["peaks"].items()}
    assert set(found) == {"Drums/KickDrum_2.wav", "Weather/half.wav", r"caf\xe9.wav"}
    assert all(len(one) == 200 for one in found.values())
    assert set(found["Weather/half.wav"][:99]) == {0}
    assert min(found["Weather/half.wav"][101:]) > 250
    assert abs(max(found["Drums/KickDrum_2.wav"]) - 0.9 * 255) < 3
    kept = shelf.sounds / "Drums" / "KickDrum_2.wav"
    moved = kept.rename(kept.with_suffix(".away"))
    try:  # they were kept
        assert answer(shelf.public, "/peaks", path=paths[:1])["peaks"].keys() == {paths[0]}
    finally:
        moved.rename(kept)
    refused(shelf.public.get("/v1/library/peaks"), 400, "invalid_request")


def test_a_sound_is_sent_by_parts(shelf: Shelf) -> None:
    place = "/v1/library/audio"
    asked = {"path": "Drums/KickDrum_2.wav"}
    data = (shelf.sounds / asked["path"]).read_bytes()
    whole = shelf.public.get(place, params=asked)
    assert whole.content == data
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-content-type-options"] == "nosniff"
    tag = whole.headers["etag"]

    def part(range: str, **headers: str) -> Any:
        return shelf.public.get(place, params=asked, headers={"Range": range, **headers})

    for range, first, end in (("bytes=0-9", 0, 10), ("bytes=100-", 100, len(data)), ("bytes=-7", len(data) - 7, len(data)), (f"bytes=5-{10**9}", 5, len(data))):  # fmt: skip
        got = part(range, **{"If-Range": tag})
        assert got.status_code == 206
        assert got.headers["content-range"] == f"bytes {first}-{end - 1}/{len(data)}"
        assert got.content == data[first:end]
    for range in (f"bytes={len(data)}-", "bytes=-0", "bytes=9-2"):
        got = part(range)
        refused(got, 416, "range_not_satisfiable")
        assert got.headers["content-range"] == f"bytes */{len(data)}"
    for range in ("bytes=-", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"):
        assert part(range).status_code == 200
    assert part("bytes=0-9", **{"If-Range": '"another"'}).content == data
    assert shelf.public.get(place, params=asked, headers={"If-None-Match": tag}).status_code == 304
    head = shelf.public.head(place, params=asked)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
    assert shelf.public.get(place, params={"path": "Drums/KickDrum_10.flac"}).headers["content-type"] == "audio/flac"


def test_a_sound_is_decoded_from_any_place_on(shelf: Shelf) -> None:
    asked = {"path": "Drums/KickDrum_10.flac", "as": "wav"}
    whole = shelf.public.get("/v1/library/audio", params=asked)
    wave, rate = sf.read(io.BytesIO(whole.content), dtype="int16")
    assert (rate, wave.shape) == (44_100, (22_050,))
    assert abs(int(np.abs(wave).max()) - 0.4 * 32767) < 400
    for first, last in ((0, 10), (40, 60), (44, 45), (1001, 20_000), (30_000, len(whole.content) - 1)):
        got = shelf.public.get("/v1/library/audio", params=asked, headers={"Range": f"bytes={first}-{last}"})
        assert got.status_code == 206
        assert got.content == whole.content[first : last + 1]
    assert (
        whole.headers["etag"] != shelf.public.get("/v1/library/audio", params={"path": asked["path"]}).headers["etag"]
    )


def test_downloads_have_the_names_of_files(shelf: Shelf) -> None:
    for path, coded in (
        ("Weather/Regen über Dach.wav", "Regen%20%C3%BCber%20Dach.wav"),
        (r"caf\xe9.wav", "caf%5Cxe9.wav"),
    ):
        got = shelf.public.get("/v1/library/audio", params={"path": path, "download": "true"})
        said = got.headers["content-disposition"]
        assert said.startswith('attachment; filename="')
        assert said.endswith(f"filename*=utf-8''{coded}")


@pytest.mark.parametrize(
    "path", ["../secret.wav", "/etc/passwd", "Drums/../../secret.wav", "Drums", "", "a\0b", "Drums//KickDrum_2.wav", "x" * 5000, "secret.wav", "./Drums/KickDrum_2.wav"]
)  # fmt: skip
def test_nothing_but_the_library_is_sent(shelf: Shelf, path: str) -> None:
    (shelf.sounds.parent / "secret.wav").write_bytes(encoded(tone(0.1), RATE))
    got = shelf.public.get("/v1/library/audio", params={"path": path})
    assert got.status_code in (400, 404), got.text
    assert str(shelf.sounds.parent) not in got.text


def test_what_has_changed_is_withheld(shelf: Shelf) -> None:
    for path, status, code in (("changed.wav", 403, "withheld_sound"), ("gone.wav", 404, "sound_not_found")):
        message = refused(shelf.public.get("/v1/library/audio", params={"path": path}), status, code)
        assert message.startswith(f"{path}: ")
    kept = shelf.sounds / "Drums" / "KickDrum_2.wav"
    away = kept.rename(kept.with_suffix(".away"))
    kept.symlink_to(away)
    try:
        refused(shelf.public.get("/v1/library/audio", params={"path": "Drums/KickDrum_2.wav"}), 403, "withheld_sound")
    finally:
        kept.unlink()
        away.rename(kept)


# -- as one file --------------------------------------------------------------------------------------


def export(client: TestClient, kind: str, *paths: str) -> Any:
    got = client.post("/v1/library/export", json={"paths": paths, "format": kind})
    assert got.status_code == 200, got.text
    assert got.headers["content-disposition"].startswith(f'attachment; filename="openclap.{kind}"')
    return got


def test_a_zip_of_files(shelf: Shelf) -> None:
    twin = shelf.sounds / "Weather" / "snare.wav"
    shutil.copy(shelf.sounds / "Drums" / "Pack 1" / "snare.wav", twin)
    paths = ["Drums/Pack 1/snare.wav", "Weather/下雨声.wav", "gone.wav", "no.wav"]
    with zipfile.ZipFile(io.BytesIO(export(shelf.public, "zip", *paths).content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["snare.wav", "下雨声.wav", "left out.txt"]
        assert all(one.compress_type == zipfile.ZIP_STORED for one in archive.infolist())
        assert archive.read("snare.wav") == twin.read_bytes()
        assert "gone.wav" in archive.read("left out.txt").decode()
    twin.unlink()
    refused(shelf.public.post("/v1/library/export", json={"paths": ["no.wav"]}), 404, "sound_not_found")


def test_an_archive_by_its_address(shelf: Shelf) -> None:
    got = shelf.public.get("/v1/library/export", params={"path": ["Drums/KickDrum_2.wav", "Weather/下雨声.wav"]})
    assert got.status_code == 200
    assert set(zipfile.ZipFile(io.BytesIO(got.content)).namelist()) == {"KickDrum_2.wav", "下雨声.wav"}
    refused(shelf.public.get("/v1/library/export"), 400, "invalid_request")
    refused(shelf.public.get("/v1/library/export", params={"path": ["no.wav"]}), 404, "sound_not_found")


def test_a_playlist_and_a_table(shelf: Shelf) -> None:
    lines = export(shelf.public, "m3u8", "Drums/KickDrum_2.wav", r"caf\xe9.wav").text.splitlines()
    assert lines[:3] == ["#EXTM3U", "#EXTINF:1,KickDrum_2", "Drums/KickDrum_2.wav"]
    own = export(shelf.own, "m3u8", "Drums/KickDrum_2.wav").text.splitlines()
    assert own[2] == str(shelf.sounds / "Drums" / "KickDrum_2.wav")
    table = list(csv.DictReader(io.StringIO(export(shelf.public, "csv", "Drums/KickDrum_2.wav").text)))
    assert (table[0]["path"], table[0]["tags"], table[0]["seconds"]) == (
        "Drums/KickDrum_2.wav",
        "loud, one-shot",
        "1.0",
    )


# -- tags ---------------------------------------------------------------------------------------------


def test_the_owner_tags(shelf: Shelf) -> None:
    path = "Weather/下雨声.wav"

    def tag(*paths: str, **tags: list[str]) -> int:
        got = shelf.own.post("/v1/library/tags", json={"paths": paths, **tags})
        assert got.status_code == 200, got.text
        return int(got.json()["changed"])

    assert tag(path, "Drums/KickDrum_2.wav", "no.wav", add=["favourite"]) == 2
    assert tag(path, add=["favourite"]) == 0
    for client in (shelf.own, shelf.public):  # the other one sees what somebody else has changed
        assert set(names(client, tag="favourite")) == {"下雨声.wav", "KickDrum_2.wav"}
        assert set(names(client, text="favour")) == {"下雨声.wav", "KickDrum_2.wav"}
    assert {"value": "favourite", "count": 2} in answer(shelf.own, "/facets")["tags"]
    assert tag(path, "Drums/KickDrum_2.wav", remove=["favourite", "nothing"]) == 2
    assert names(shelf.own, tag="favourite") == names(shelf.public, tag="favourite") == []
    assert names(shelf.own, collection="Trailer") == ["下雨声.wav"]
    refused(shelf.own.post("/v1/library/tags", json={"paths": ["no.wav"], "add": ["x"]}), 404, "sound_not_found")
    refused(shelf.own.post("/v1/library/tags", json={"paths": [path], "add": ["collection:x"]}), 400, "invalid_request")


def test_the_owner_collects(shelf: Shelf) -> None:
    path = "Drums/KickDrum_2.wav"

    def change(**asked: list[str]) -> int:
        got = shelf.own.post("/v1/library/tags", json={"paths": [path, "Weather/下雨声.wav"], **asked})
        assert got.status_code == 200, got.text
        return int(got.json()["changed"])

    assert change(collect=["Trailer"]) == 1  # the other one was in it already
    assert names(shelf.public, collection="Trailer") == ["KickDrum_2.wav", "下雨声.wav"]
    assert {"value": "Trailer", "count": 2} in answer(shelf.own, "/facets")["collections"]
    assert change(collect=["New  one"], add=["x"]) == 2
    assert set(names(shelf.own, collection="New one", tag="x")) == {"KickDrum_2.wav", "下雨声.wav"}
    assert change(uncollect=["New one", "not there"], remove=["x"]) == 2
    got = shelf.own.post("/v1/library/tags", json={"paths": [path], "uncollect": ["Trailer"]})
    assert got.json() == {"changed": 1}
    assert {"value": "Trailer", "count": 1} in answer(shelf.public, "/facets")["collections"]
    refused(shelf.own.post("/v1/library/tags", json={"paths": [path], "collect": [" "]}), 400, "invalid_request")
    refused(shelf.public.post("/v1/library/tags", json={"paths": [path], "collect": ["x"]}), 403, "not_allowed")


def test_visitors_change_nothing(shelf: Shelf) -> None:
    got = shelf.public.post("/v1/library/tags", json={"paths": ["Drums/KickDrum_2.wav"], "add": ["x"]})
    assert "owner" in refused(got, 403, "not_allowed")


# -- what is like it ----------------------------------------------------------------------------------


def search(shelf: Shelf, **asked: Any) -> list[dict[str, Any]]:
    got = shelf.public.post("/v1/search", json=asked)
    assert got.status_code == 200, got.text
    return list(got.json()["hits"])


def test_more_like_a_file_of_the_library(shelf: Shelf) -> None:
    path = "Drums/Pack 1/snare.wav"
    hits = search(shelf, like=path, k=20)
    assert path not in [hit["path"] for hit in hits]
    assert len(hits) > 2
    assert {"score", "confidence"} <= set(hits[0])
    assert [hit["path"] for hit in search(shelf, like=path, format=["FLAC"])] == ["Drums/KickDrum_10.flac"]
    assert search(shelf, like=path, query="rain", collections=["Trailer"])[0]["path"] == "Weather/下雨声.wav"
    refused(shelf.public.post("/v1/search", json={"like": "../secret.wav"}), 404, "sound_not_found")
    refused(shelf.public.post("/v1/search", json={}), 400, "invalid_request")


def test_a_journey_through_the_library(shelf: Shelf) -> None:
    asked = {"from": "Drums/Pack 1/snare.wav", "to": "Weather/下雨声.wav", "n": 4}
    got = shelf.public.post("/v1/journey", json=asked)
    assert got.status_code == 200, got.text
    steps = got.json()["steps"]
    assert (steps[0]["path"], steps[-1]["path"]) == (asked["from"], asked["to"])
    assert (steps[0]["position"], steps[-1]["position"]) == (0, 1)
    assert "similarity" in steps[1]
    assert shelf.public.post("/v1/journey", json={**asked, "to": "heavy rain"}).status_code == 200
    for wrong in ({"from": "x"}, {**asked, "n": 1}, {**asked, "what": 1}):
        refused(shelf.public.post("/v1/journey", json=wrong), 400, "invalid_request")


def test_a_map_of_what_is_there(shelf: Shelf) -> None:
    found = answer(shelf.public, "/map")
    assert len(found["points"]) == 9
    assert all(0 <= one["x"] <= 1 and 0 <= one["y"] <= 1 for one in found["points"])
    assert sum(one["count"] for one in found["clusters"]) == 9
    assert all(one["name"] == one["names"]["en"] for one in found["clusters"])
    assert all(one["names"]["zh"].strip() and not one["names"]["zh"].isascii() for one in found["clusters"])
    drums = answer(shelf.public, "/map", folder="Drums")["points"]
    assert [one["path"] for one in drums] == [
        one["path"] for one in found["points"] if one["path"].startswith("Drums/")
    ]
    assert all(one in found["points"] for one in drums)


# -- filling it ---------------------------------------------------------------------------------------


@dataclass
class Fresh:
    """The owner's service with a library that is empty at first, and its folders."""

    client: TestClient
    root: Path
    uploads: Path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, clap: CLAP) -> Iterator[Fresh]:
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "sounds" / "Animals" / "Birds").mkdir(parents=True)
    (folder / "sounds" / ".hidden").mkdir()
    (folder / "other").mkdir()
    (folder / "other" / "secret.wav").write_bytes(encoded(tone(0.2), RATE))
    (folder / "sounds" / "link").symlink_to(folder / "other")
    for i, name in enumerate(("Animals/dog.wav", "Animals/Birds/owl.wav")):
        (folder / "sounds" / name).write_bytes(encoded(tone(0.3 + i / 10), RATE))
    (folder / "sounds" / "Animals" / "broken.wav").write_bytes(b"RIFF")
    settings = ServeSettings(
        library=str(folder / "library"), roots=(folder / "sounds", folder / "uploads"), uploads=folder / "uploads",
        manage=True, upload_bytes=200_000, kept_bytes=300_000,
    )  # fmt: skip
    with TestClient(create_app(settings, clap=clap), base_url="http://localhost") as client:
        yield Fresh(client, folder / "sounds", folder / "uploads")


def index(fresh: Fresh, **request: Any) -> list[dict[str, Any]]:
    got = fresh.client.post("/v1/library/index", **request)
    assert got.status_code == 200, got.text
    assert got.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in got.text.splitlines()]


def test_folders_to_choose_from(fresh: Fresh, shelf: Shelf) -> None:
    assert answer(fresh.client, "")["roots"] == ["sounds"]
    assert answer(fresh.client, "/folders") == {"folders": ["sounds"]}
    assert answer(fresh.client, "/folders", inside="sounds") == {"folders": ["sounds/Animals"]}
    assert answer(fresh.client, "/folders", inside="sounds/Animals") == {"folders": ["sounds/Animals/Birds"]}
    for inside in ("sounds/..", "sounds/link", "other", "/", "sounds/../other", "sounds/\0", "sounds/Animals/dog.wav"):
        refused(fresh.client.get("/v1/library/folders", params={"inside": inside}), 404, "folder_not_found")
        refused(fresh.client.post("/v1/library/index", json={"folder": inside}), 404, "folder_not_found")
    refused(shelf.public.get("/v1/library/folders"), 403, "not_allowed")
    refused(shelf.public.post("/v1/library/index", json={"folder": "sounds"}), 403, "not_allowed")
    refused(shelf.public.post("/v1/library/index", files={"files": b"x"}), 403, "not_allowed")


def test_a_folder_is_indexed_step_by_step(fresh: Fresh) -> None:
    *steps, report = index(fresh, json={"folder": "sounds/Animals"})
    assert steps[-1]["done"] == steps[-1]["total"] >= 1  # what is there already, by another test, is no step
    assert (report["added"] + report["unchanged"], len(report["failed"])) == (2, 1)
    assert report["failed"][0]["path"] == "Animals/broken.wav"
    assert str(fresh.root.parent) not in json.dumps(report)
    assert {"dog.wav", "owl.wav"} <= set(names(fresh.client))
    (error,) = index(fresh, json={"folder": "sounds"})[-1:]  # it holds a link that leads outside
    assert error["error"]["code"] == "withheld_sound"


def test_uploads_are_kept_and_indexed(fresh: Fresh) -> None:
    data = encoded(tone(0.4, pitch=700), RATE)
    files = [("files", (name, data)) for name in ("Pack/kick.wav", "../../evil.wav", "kick.wav")]
    report = index(fresh, files=[*files, ("files", ("note.txt", b"no sound"))])[-1]
    assert [one["path"] for one in report["failed"]] == ["note.txt"]
    kept = {str(path.relative_to(fresh.uploads)) for path in fresh.uploads.rglob("*") if path.is_file()}
    assert kept == {"Pack/kick.wav", "evil.wav", "kick.wav"}
    again = index(fresh, files=files[2:] * 2)[-1]
    assert (again["added"], again["unchanged"]) == (0, 1)
    other = index(fresh, files=[("files", ("kick.wav", encoded(tone(0.2), RATE)))])[-1]
    assert other["added"] == 1
    assert (fresh.uploads / "kick_2.wav").is_file()
    sound = next(one for one in answer(fresh.client, "/files", text="kick 2")["files"])
    assert sound["playable"]
    large = encoded(tone(7), RATE)
    refused(fresh.client.post("/v1/library/index", files={"files": ("long.wav", large)}), 413, "body_too_large")
    refused(fresh.client.post("/v1/library/index", files={}, data={}), 400, "invalid_request")


def test_one_run_at_a_time_which_ends_when_nobody_listens(fresh: Fresh) -> None:
    indexing = fresh.client.app.state.engine.indexing  # type: ignore[attr-defined]

    async def follow() -> None:
        lines = indexing.index_folder("sounds/Animals")
        refused(fresh.client.post("/v1/library/index", json={"folder": "sounds/Animals"}), 409, "busy")
        assert set(json.loads(await anext(lines))) == {"done", "total"}
        await lines.aclose()
        assert indexing.run.stop.is_set()

    held = threading.Event()
    indexing._thread.submit(held.wait)
    threading.Timer(0.5, held.set).start()
    asyncio.run(follow())
    done = index_when_free(fresh)
    assert done["added"] + done["unchanged"] == 2


def index_when_free(fresh: Fresh) -> dict[str, Any]:
    fresh.client.app.state.engine.indexing._thread.submit(lambda: None).result()  # type: ignore[attr-defined]
    return index(fresh, json={"folder": "sounds/Animals"})[-1]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a/../b.wav", "a/b.wav"), ("/etc/passwd", "etc/passwd"), ("C:\\x\\y.wav", "C_/x/y.wav"), ("...", "sound"), ("\0\n.wav", "__.wav"), (".hidden.wav", "hidden.wav"), ("é" * 200 + ".wav", "é" * 73 + ".wav")],
)  # fmt: skip
def test_names_of_uploads_lead_nowhere(name: str, kept: str) -> None:
    assert safe_name(name) == Path(kept)
