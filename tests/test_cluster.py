"""Indexing and packing by a Ray cluster, all on loopback: several nodes, and workers that are killed in mid-run."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile as sf
from conftest import long_wave

from openclap import CLAP, Library
from openclap.cluster import _call, _unwrap
from openclap.data import open_manifest
from openclap.data.pack import SIGN, TarTask, _ClusterWork, pack
from openclap.errors import DataError, LibraryError, UsageError
from openclap.library import indexing, ray_cluster
from openclap.library.model_identity import claim_store, model_identity
from openclap.library.ray_cluster import _until_done, spread_with_ray
from openclap.results import AddReport
from openclap.store import Recording, open_store

RATE = 16_000
FILES = 24
packing = importlib.import_module("openclap.data.pack")  # its package has a function of this name


@pytest.fixture(scope="module")
def cluster(bucket: str) -> Iterator[str]:
    """The address of a cluster of two nodes with one worker each, which know the bucket."""
    from ray.cluster_utils import Cluster

    one = {
        "num_cpus": 1,
        "object_store_memory": 80 << 20,
        "node_ip_address": "127.0.0.2",
    }  # Ray takes 127.0.0.1 for the address of the network
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
        patch.setenv("PYTHONWARNINGS", "ignore")
        made = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **one})
        made.add_node(**one)
    yield made.address
    made.shutdown()


@pytest.fixture
def nodes(cluster: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster's address, which the environment names."""
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    return cluster


def workers(at: str = "MapWorker") -> list[int]:
    """The processes that hold a model, or are at other work."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if at in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_with_a_killed_worker(
    nodes: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "SHARDS_EACH", 4)  # each is a commit, of many requests
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for i in range(FILES):
        sf.write(sounds / f"{i:03}.wav", long_wave(1 + i % 13, RATE, seed=i), RATE)
    (sounds / "broken.wav").write_text("no sound")
    sf.write(os.fsencode(sounds / "na\udcffme.wav"), long_wave(2, RATE, seed=99), RATE)
    mini = CLAP.from_pretrained("mini", threads=1)
    place = f"{bucket}/cluster.lance"
    library = Library.open(place, model=mini)
    killed: list[int] = []

    def spread(paths, known, roots):  # type: ignore[no-untyped-def]
        for part in spread_with_ray(place, mini, library._store.model_identity(), paths, known, roots):
            if not killed:
                killed.extend(workers())
                os.kill(killed[0], signal.SIGKILL)
            yield part

    report = indexing.add(
        library._store, mini, [sounds], claim=lambda: claim_store(library._store, mini), tags=["all"], spread=spread
    )
    assert killed
    assert (report.added, report.updated, report.unchanged, report.removed) == (FILES + 1, 0, 0, 0)
    assert [Path(failure.path).name for failure in report.failed] == ["broken.wav"]
    store = library._store
    assert store.check() == []
    alone = Library.open(tmp_path / "alone", model=mini)
    alone.add(sounds)
    here = {recording.file.path: recording for recording in alone._store.scan()}
    there = {recording.file.path: recording for recording in open_store(place).scan()}
    assert here.keys() == there.keys()
    for path, recording in here.items():
        assert recording.file == there[path].file
        assert np.array_equal(recording.start, there[path].start)
        assert np.allclose(recording.embedding, there[path].embedding, atol=1e-5)
        assert there[path].file.tags == ("all",)
    (sounds / "000.wav").rename(sounds / "moved.wav")
    (sounds / "001.wav").unlink()
    again = library.add(sounds, engine="ray")
    assert (again.added, again.updated, again.unchanged, again.removed) == (0, 1, FILES - 1, 1)


def test_what_a_worker_committed_before_it_died_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = CLAP.from_pretrained("mini", threads=1)
    paths = [str(tmp_path / f"{i}.wav") for i in range(4)]
    for i, path in enumerate(paths):
        sf.write(path, long_wave(1, RATE, seed=i), RATE)
    store = open_store(tmp_path / "x.lance")
    store.claim(model_identity(mini))
    commits: list[int] = []
    put = store.put

    def counted(recordings: Sequence[Recording]) -> None:
        commits.append(len(recordings))
        put(recordings)

    monkeypatch.setattr(store, "put", counted)
    first = indexing.add_shard(store, mini, paths, {paths[0]}, [])
    assert (first.added, first.updated, commits) == (3, 1, [4])
    assert indexing.add_shard(store, mini, paths, {paths[0]}, []) == first  # so the report is right whoever returns it
    assert commits == [4]


def test_a_file_that_kills_its_workers_is_told() -> None:
    tries: list[list[str]] = []

    def run(shards: Sequence[list[str]]) -> Iterator[tuple[int, AddReport]]:
        for i, shard in enumerate(shards):
            tries.append(list(shard))
            if "deadly" not in shard:
                yield i, AddReport(added=len(shard))

    done = list(_until_done([["a", "b"], ["c", "deadly", "d"], ["e"]], run))
    assert sum(count for count, _ in done) == 6
    assert sum(report.added for _, report in done) == 5
    assert [failure.path for _, report in done for failure in report.failed] == ["deadly"]
    assert tries == [["a", "b"], ["c", "deadly", "d"], ["e"], ["c"], ["deadly"], ["d"]]


def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mini = CLAP.from_pretrained("mini", threads=1)
    sf.write(tmp_path / "1.wav", long_wave(1, RATE, seed=1), RATE)
    with pytest.raises(UsageError, match="a library on this machine"):
        Library.open(tmp_path / "lib", model=mini).add(tmp_path, engine="ray")
    with pytest.raises(UsageError, match="choose local or ray"):
        Library.open(tmp_path / "lib", model=mini).add(tmp_path, engine="spark")  # type: ignore[arg-type]
    for address in ("127.0.0.1:9", "nonsense"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(UsageError, match="there is no cluster"):
            Library.open(tmp_path / "x.lance", model=mini).add(tmp_path, engine="ray")


# -- packing -----------------------------------------------------------------------------------------


def sounds_to_pack(folder: Path, count: int) -> Path:
    """Sounds with captions in two splits; one is broken."""
    folder.mkdir()
    rows = ["file,caption,split"]
    for i in range(count):
        sf.write(folder / f"{i}.wav", long_wave(1 + i % 3, RATE, seed=i), RATE)
        rows.append(f"{i}.wav,sound {i},{('train', 'test')[i % 4 == 0]}")
    (folder / "3.wav").write_text("no sound")
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_packs_the_same_bytes(nodes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker is killed, and the driver stops once; paths are relative, which workers in other folders would not find."""
    monkeypatch.chdir(tmp_path)
    sounds = Path(sounds_to_pack(tmp_path / "sounds", 24).name)
    alone = pack(open_manifest(sounds), Path("alone"), shard_size=2)
    spread, killed = packing._write_on_cluster, []

    def killing(folder, tasks):  # type: ignore[no-untyped-def]
        for number, part in enumerate(spread(folder, tasks)):
            if number == 0:
                killed.extend(workers("ray::_call")[:1])
                for process in killed:
                    os.kill(process, signal.SIGKILL)
            yield part
            if number == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(packing, "_write_on_cluster", killing)
    with pytest.raises(KeyboardInterrupt):
        pack(open_manifest(sounds), Path("together"), shard_size=2, engine="ray")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", nodes)
    report = pack(open_manifest(sounds), Path("together"), shard_size=2, engine="ray")
    assert (report.shards, report.made) == (alone.shards, alone.made - 5)
    assert [failure.path for failure in report.failed] == [failure.path for failure in alone.failed] == ["3.wav"]
    assert (report.sounds, report.hours) == (alone.sounds, alone.hours)
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert pack(open_manifest(sounds), Path("together"), shard_size=2, engine="ray").made == 0


def test_a_machine_that_sees_something_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that does not share the sounds would fill the tars with nothing, and every sound would be called broken."""
    sounds = sounds_to_pack(tmp_path / "sounds", 5)
    tasks: list[TarTask] = []

    def caught(folder: Path, given: Iterator[TarTask]) -> Iterator[object]:
        tasks.extend(given)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(packing, "_write_on_cluster", caught)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        pack(open_manifest(sounds), out, shard_size=4, engine="ray")
    work = _ClusterWork(out, "token")
    with pytest.raises(DataError, match="does not see"):
        work(tasks[0])
    (out / SIGN).write_text("of another cluster")
    with pytest.raises(DataError, match="does not see"):
        work(tasks[0])
    (out / SIGN).write_text("token")
    assert sum(work(task).sounds for task in tasks) == 4
    (sounds / "1.wav").unlink()
    with pytest.raises(DataError, match="sees other sounds"):
        _unwrap(_call(lambda tars: [work(tar) for tar in tars], tasks), LibraryError)


def test_errors_of_workers_keep_their_kind() -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        _unwrap(_call(full, None), DataError)


def test_wrong_use_of_packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = open_manifest(sounds_to_pack(tmp_path / "sounds", 4))
    with pytest.raises(UsageError, match="choose local or ray"):
        pack(manifest, tmp_path / "out", engine="spark")  # type: ignore[arg-type]
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(UsageError, match="there is no cluster"):
        pack(manifest, tmp_path / "out", engine="ray")
    assert pack(manifest, tmp_path / "out").sounds == 3
