"""Compressed tars are read as plain ones; what lies among tars and is not read is named."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import sys
import tarfile
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from openclap.data import Manifest, decompress, open_manifest
from openclap.data.tars import TarMember
from openclap.errors import DataError, SoundError

ENDINGS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".TAR.XZ": lzma.compress,
}


def tar_of(names: str, size: int = 3000) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name in names:
            for ending, data in (("flac", name.encode() * size), ("json", json.dumps({"text": name}).encode())):
                info = tarfile.TarInfo(f"{name}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def heard(manifest: Manifest) -> list[tuple[str, Any]]:
    return [(item.key, item.read()) for item in manifest]


def failed(manifest: Manifest) -> dict[str, str]:
    list(manifest)
    return {Path(f.path).name: f.error for f in manifest.failed}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_compressed_tar_is_read(tmp_path: Path, ending: str) -> None:
    """In a folder it was skipped in silence; by its name it was refused."""
    place = tmp_path / f"0{ending}"
    place.write_bytes(ENDINGS[ending](tar_of("abc")))
    expected = [(f"{place.name}/{x}", x.encode() * 3000) for x in "abc"]
    for source in (tmp_path, place, [place], str(tmp_path / ("{0..0}" + ending))):
        manifest = open_manifest(source)
        assert heard(manifest) == expected
        assert manifest.failed == []
    items = list(open_manifest(place))
    assert [item.read() for item in reversed(items)] == [data for _, data in reversed(expected)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda item: item.read(), items * 20)) == [data for _, data in expected] * 20
    assert heard(pickle.loads(pickle.dumps(open_manifest(place)))) == expected  # as workers get it


def test_few_unpacked_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "_unpacked", kept := type(decompress._unpacked)())
    for i in range(9):
        (tmp_path / f"{i}.tgz").write_bytes(gzip.compress(tar_of("ab"), mtime=0))
    assert len(heard(open_manifest(tmp_path))) == 18
    assert len(kept) == decompress.MOST_UNPACKED
    first = next(iter(open_manifest(tmp_path)))
    assert first.read() == b"a" * 3000
    (tmp_path / "0.tgz").write_bytes(gzip.compress(tar_of("xyz"), mtime=0))  # another file of this name
    assert [key for key, _ in heard(open_manifest(tmp_path / "0.tgz"))] == ["0.tgz/x", "0.tgz/y", "0.tgz/z"]


def test_zstandard_is_read_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd packed")
    for name in ("compression", "compression.zstd", "backports", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    found = failed(open_manifest(tmp_path))
    assert "unpack it with unzstd" in found["0.tar.zst"]
    zstd = types.ModuleType("compression.zstd")
    zstd.open = lambda path: io.BytesIO(tar_of("a"))  # type: ignore[attr-defined]
    package = types.ModuleType("compression")
    package.zstd = zstd  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compression", package)
    monkeypatch.setitem(sys.modules, "compression.zstd", zstd)
    assert heard(open_manifest(tmp_path)) == [("0.tar.zst/a", b"a" * 3000)]


def test_a_broken_compressed_tar_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(tar_of("abc"))
    (tmp_path / "0.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "1.tgz").write_bytes(gzip.compress(b"no tar" * 200))
    (tmp_path / "2.tgz").write_bytes(whole)
    manifest = open_manifest(tmp_path)
    assert len(list(manifest)) == 3
    found = failed(manifest)
    assert "cut short or broken" in found["0.tgz"]
    assert found["1.tgz"].startswith("is no tar, or broken")
    gone = TarMember(tmp_path / "2.tgz", "a.flac", 512, 3)
    (tmp_path / "2.tgz").unlink()
    with pytest.raises(SoundError, match="not there any more"):
        gone.read()


def test_what_lies_among_tars_and_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(tar_of("ab"))
    (tmp_path / "0.tar.gz").write_bytes(gzip.compress(tar_of("ab")))
    (tmp_path / "1.tar").mkdir()
    for name in ("2.zip", "3.tar.lz4", ".hidden.tar", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sizes.json").write_text('{"0.tar": 5, "9.tar": 1}')
    manifest = open_manifest(tmp_path)
    assert [key for key, _ in heard(manifest)] == ["0.tar/a", "0.tar/b"]
    found = failed(manifest)
    assert found.keys() == {"0.tar.gz", "1.tar", "2.zip", "3.tar.lz4", "9.tar", "sizes.json: 0.tar"}
    assert found["0.tar.gz"].startswith("lies beside a tar of the same name")
    assert found["1.tar"].startswith("is a folder with the name of a tar")
    assert found["sizes.json: 0.tar"].startswith("should hold 5 sounds, and holds 2")
    assert found["9.tar"].startswith("is named in sizes.json and is not there")
    for name in ("0.tar", "0.tar.gz"):
        (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"1\.tar: is a folder"):
        open_manifest(tmp_path)


def test_a_folder_of_archives_alone_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.zip: is an archive of a kind that is not read"):
        open_manifest(tmp_path)
