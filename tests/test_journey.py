"""From one sound to another: equal steps, none backwards, no content twice, ends that are files, words or neither."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from openclap import CLAP, Library
from openclap.cli.app import app
from openclap.errors import EmptySound, UsageError
from openclap.library.journey import choose_chain, points_between
from openclap.normalization import normalize_rows
from openclap.store import File, Recording

SIZE = CLAP.from_pretrained("mini").config.embedding


def on_the_way(degrees: float, off: float = 0.0) -> np.ndarray:
    """A unit vector (E,) at an angle in the plane of the first two axes, `off` of it along the third."""
    at = np.deg2rad(degrees)
    return normalize_rows(np.array([np.cos(at), np.sin(at), off] + [0.0] * (SIZE - 3), np.float32))


def angles(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.rad2deg(np.arccos(np.clip((rows[1:] * rows[:-1]).sum(1), -1, 1)))
    return found


def test_points_lie_at_equal_angles() -> None:
    points = points_between(on_the_way(0), on_the_way(90), 4)
    np.testing.assert_allclose(angles(points), 30, atol=1e-3)
    np.testing.assert_allclose(points[1], on_the_way(30), atol=1e-6)
    with pytest.raises(UsageError, match="sound the same"):
        points_between(on_the_way(0), on_the_way(0.5), 4)


def test_a_chain_by_hand() -> None:
    """Of five near one end the nearest to each point would be taken, with one long step after them; none leads backwards."""
    rows = np.stack([on_the_way(x) for x in (0, 2, 4, 6, 30, 61, 90, 100, -5)])
    assert choose_chain(rows, points_between(rows[0], rows[6], 4), 0, 6) == [0, 4, 5, 6]
    assert choose_chain(rows[[0, 4, 6]], points_between(rows[0], rows[6], 9), 0, 2) == [0, 1, 2], "as many as there are"
    assert choose_chain(rows[[0, 7]], points_between(rows[0], rows[7], 5), 0, 1) == [0, 1]


def test_steps_are_more_equal_than_by_taking_what_is_nearest() -> None:
    rng = np.random.default_rng(0)
    rows = normalize_rows(rng.standard_normal((300, 6)).astype(np.float32) + np.eye(6, dtype=np.float32)[0] * 2)
    ours: list[float] = []
    naive: list[float] = []
    for first, last in rng.choice(300, (20, 2), replace=False):
        points = points_between(rows[first], rows[last], 8)
        chain = choose_chain(rows, points, int(first), int(last))
        assert (chain[0], chain[-1], len(set(chain))) == (first, last, 8)
        taken = [int(first)]
        for point in points[1:-1]:
            cosine = rows @ point
            cosine[[*taken, last]] = -2
            taken.append(int(cosine.argmax()))
        for made, found in ((ours, chain), (naive, [*taken, int(last)])):
            steps = angles(rows[found])
            made.append(steps.max() / steps.mean())
    assert np.mean(ours) < 1.35 < np.mean(naive)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of vectors that are known: every 10 degrees a file, 30 twice, and one that is far off."""
    place = tmp_path_factory.mktemp("journey")
    library = Library.open(place / "library", model=CLAP.from_pretrained("mini"))
    from openclap.library import model_identity

    model_identity.claim_store(library._store, library._need_model())
    where = {f"{degrees:02}.wav": on_the_way(degrees) for degrees in range(0, 91, 10)}
    where |= {"30 copy.wav": on_the_way(30), "far.wav": on_the_way(40, 3.0)}
    recordings = []
    for name, vector in where.items():
        path = place / name
        path.write_bytes(b"")
        now = path.stat()
        file = File(str(path), now.st_size, now.st_mtime_ns, name.split(" ")[0].removesuffix(".wav"), 4.0)
        recordings.append(Recording(file, np.zeros(1), np.full(1, 4.0), vector[None]))
    library._store.put(recordings)
    return place


@pytest.fixture(scope="module")
def library(place: Path) -> Library:
    return Library.open(place / "library", model=CLAP.from_pretrained("mini"))


def names(steps: list) -> list[str]:  # type: ignore[type-arg]
    return [Path(step.path).stem.split(" ")[0] for step in steps]


def test_a_way_through_a_library(library: Library, place: Path) -> None:
    steps = library.journey(place / "00.wav", place / "90.wav", 4)
    assert names(steps) == ["00", "30", "60", "90"]
    assert [step.position for step in steps] == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-2)
    assert [step.similarity for step in steps[1:]] == pytest.approx([np.cos(np.deg2rad(30))] * 3, abs=1e-2)
    assert (steps[0].similarity, steps[0].start, steps[0].end) == (None, 0.0, 4.0)
    assert not steps.nothing_likely
    assert set(steps[0].to_dict()) == {"path", "start", "end", "score", "position"}


def test_no_content_comes_twice_and_there_are_as_many_as_there_are(library: Library, place: Path) -> None:
    steps = library.journey(place / "00.wav", place / "90.wav", 50)
    assert [name for name in names(steps) if name != "far"] == [f"{degrees:02}" for degrees in range(0, 91, 10)]
    assert names(library.journey(place / "00.wav", place / "90.wav", 3, path="*/[67]0.wav"))[0::2] == ["00", "90"]


def test_ends_that_are_no_files_of_the_library(library: Library, place: Path, tmp_path: Path) -> None:
    assert names(library.journey(on_the_way(1), on_the_way(61), 4)) == ["00", "20", "40", "60"]
    words = library.journey("30 copy", place / "90.wav", 3)
    assert len(words) == 3
    assert names(words)[-1] == "90"


def test_a_silent_end_is_refused(library: Library, place: Path) -> None:
    """A file of the library in which nothing is heard was an end like others; outside of it, it was refused."""
    path = place / "silent.wav"
    path.write_bytes(b"")
    now = path.stat()
    file = File(str(path), now.st_size, now.st_mtime_ns, "silent", 4.0)
    level = np.full(1, -90, np.float32)
    library._store.put([Recording(file, np.zeros(1), np.full(1, 4.0), on_the_way(20)[None], level=level)])
    try:
        with pytest.raises(EmptySound, match="nothing is heard in it"):
            library.journey(path, place / "90.wav", 3)
    finally:
        library.forget(path)


@pytest.mark.parametrize("n", [1, 201])
def test_wrong_use(library: Library, place: Path, n: int) -> None:
    with pytest.raises(UsageError, match="it has 2 to 200"):
        library.journey(place / "00.wav", place / "90.wav", n)


def test_the_verb(place: Path, tmp_path: Path) -> None:
    output = tmp_path / "way.m3u8"
    where = ["--library", str(place / "library"), "-q"]
    ends = [str(place / "00.wav"), str(place / "90.wav")]
    done = CliRunner().invoke(app, ["journey", *ends, "-n", "4", "-o", str(output), "--json", *where])
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert output.read_text().splitlines()[1:3] == ["#EXTINF:4,00", str(place / "00.wav")]
    table = CliRunner().invoke(app, ["journey", *ends, "-n", "3", *where]).stdout
    assert "like the last" in table
    assert isinstance(CliRunner().invoke(app, ["journey", *ends, "-o", "x.csv", *where]).exception, UsageError)
