"""Data sets: every source gives the same items; captions; what check finds; packs that survive a kill."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave

from openclap.audio.load import load
from openclap.data import (
    Item,
    KeywordToCaption,
    caption_from_labels,
    check,
    make_captions,
    make_debiaser,
    open_manifest,
    pack,
)
from openclap.data.keyword_to_caption import is_degenerate
from openclap.data.tars import expand
from openclap.errors import DataError, ModelWarning, SoundError, SoundWarning, UsageError

RATE = 16_000
ROWS = [
    ("dog/1.wav", "a dog, barking", "dog;bark", "train"),
    ("dog/1.wav", "barking in a yard", "dog;bark", "train"),
    ("rain.wav", "heavy rain", "rain", "train"),
    ("cat.wav", "", "cat;animal", "test"),
]


def quote(cell: str) -> str:
    return f'"{cell}"'


def write_csv(path: Path, rows: Sequence[Sequence[str]], header: str = "file,caption,label,split") -> Path:
    path.write_text("\n".join([header, *(",".join(map(quote, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sounds, described."""
    folder = tmp_path / "sounds"
    (folder / "dog").mkdir(parents=True)
    for i, name in enumerate(("dog/1.wav", "rain.wav", "cat.wav")):
        sf.write(folder / name, long_wave(1 + i, RATE, seed=i), RATE)
    write_csv(folder / "metadata.csv", ROWS)
    return folder


def said(item: Item) -> tuple[Any, ...]:
    return item.captions, item.labels, item.split


EXPECTED = [
    (("a dog, barking", "barking in a yard"), ("dog", "bark"), "train"),
    (("heavy rain",), ("rain",), "train"),
    ((), ("cat", "animal"), "test"),
]


def write_tar(path: Path, members: dict[str, bytes | dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, value in members.items():
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def flac(seconds: float = 0.5, seed: int = 0) -> bytes:
    file = io.BytesIO()
    sf.write(file, long_wave(seconds, RATE, seed=seed), RATE, format="FLAC")
    return file.getvalue()


# -- sources ------------------------------------------------------------------------------------------


def as_folder(folder: Path) -> Any:
    return folder


def as_jsonl(folder: Path) -> Any:
    rows = [
        {"file": "dog/1.wav", "caption": ["a dog, barking", "barking in a yard"], "label": ["dog", "bark"], "split": "train"},
        {"file": "./rain.wav", "caption": "heavy rain", "label": "rain", "split": "train"},
        {"file": "cat.wav", "label": "cat; animal", "split": "test"},
    ]  # fmt: skip
    path = folder / "all.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def as_parquet(folder: Path) -> Any:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = dict(zip(("file", "caption", "label", "split"), map(list, zip(*ROWS, strict=True)), strict=True))
    parquet.write_table(pyarrow.table(columns), folder / "all.parquet")
    return folder / "all.parquet"


def as_tars(folder: Path) -> Any:
    pack(open_manifest(folder), folder / "packed", shard_size=1)
    return folder / "packed"


def as_saved(folder: Path) -> Any:
    as_dataset(folder).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def as_dataset(folder: Path) -> Any:
    datasets = pytest.importorskip("datasets")
    parts = {}
    for split, names in (("train", ("dog/1.wav", "rain.wav")), ("test", ("cat.wav",))):
        captions = {"dog/1.wav": ["a dog, barking", "barking in a yard"], "rain.wav": ["heavy rain"], "cat.wav": []}
        labels = {"dog/1.wav": ["dog", "bark"], "rain.wav": ["rain"], "cat.wav": ["cat", "animal"]}
        rows = [
            {
                "audio": {"bytes": (folder / n).read_bytes(), "path": None},
                "captions": captions[n],
                "labels": labels[n],
            }
            for n in names
        ]
        features = datasets.Features(
            audio={"bytes": datasets.Value("binary"), "path": datasets.Value("string")},
            captions=datasets.List(datasets.Value("string")),
            labels=datasets.List(datasets.ClassLabel(names=["rain", "dog", "bark", "cat", "animal"])),
        )
        parts[split] = datasets.Dataset.from_list(rows, features=features).cast_column("audio", datasets.Audio())
    return datasets.DatasetDict(parts)


SOURCES = [as_folder, as_jsonl, as_parquet, as_tars, as_dataset, as_saved]


@pytest.mark.parametrize("make", SOURCES)
def test_every_source_gives_the_same(folder: Path, make: Callable[[Path], Any]) -> None:
    source = make(folder)
    manifest = open_manifest(source)
    order = [labels for _, labels, _ in EXPECTED]
    items = sorted(manifest, key=lambda item: order.index(item.labels))
    expected = (
        EXPECTED if make is not as_tars else [*EXPECTED[:2], (("The sound of cat, and animal",), *EXPECTED[2][1:])]
    )
    assert [said(item) for item in items] == expected
    assert len(manifest) == manifest.count == 3
    assert manifest.failed == []
    assert [item.key for item in manifest] == [item.key for item in open_manifest(source)]
    for item, seconds in zip(items, (1, 2, 3), strict=True):
        assert abs(len(load(item.read(), RATE)) / RATE - seconds) < 0.01
    assert [item.split for item in open_manifest(source, split="test")] == ["test"]
    with pytest.raises(DataError, match=r"split 'nope'.*there are"):
        open_manifest(source, split="nope")


@pytest.mark.parametrize("make", SOURCES)
def test_a_copy_in_a_worker_holds_every_item_once(folder: Path, make: Callable[[Path], Any]) -> None:
    manifest = open_manifest(make(folder))
    copied = pickle.loads(pickle.dumps(manifest))  # as workers get it
    assert [load(item.read(), RATE).sum() for item in copied] == [load(item.read(), RATE).sum() for item in manifest]
    assert len({(item.split, item.key) for item in copied}) == 3


def test_the_items_of_several_tars_come_in_their_order(tmp_path: Path) -> None:
    for t in range(3):
        write_tar(
            tmp_path / f"{t}.tar",
            {f"{t}{i}.{e}": b"x" if e == "flac" else {} for i in range(5) for e in ("flac", "json")},
        )
    manifest = open_manifest(tmp_path)
    assert manifest.count is None
    with pytest.raises(TypeError, match="not known"):
        len(manifest)
    assert [item.key for item in manifest] == [f"{t}.tar/{t}{i}" for t in range(3) for i in range(5)]


def test_tars_as_laion_wrote_them(tmp_path: Path) -> None:
    """`text` is a string or a list, `tag` a list; the augmented texts may be null; keys end at the first dot."""
    members: dict[str, bytes | dict[str, Any]] = {
        "0.flac": flac(), "0.json": {"text": "a dog", "tag": ["dog"], "text_augment_t5": None, "text_augment_all": None},
        "1.json": {"text": ["rain", " rain "], "tag": [], "text_augment_t5": "it rains", "text_augment_all": ["rain", "it rains"]},
        "1.flac": flac(), "2.x.flac": flac(),
    }  # fmt: skip
    write_tar(tmp_path / "train" / "2.tar", members)
    write_tar(tmp_path / "train" / "10.tar", members)
    (tmp_path / "train" / "sizes.json").write_text('{"2.tar": 2, "10.tar": 2}')
    manifest = open_manifest(str(tmp_path / "train" / "{2,10}.tar"))
    assert [(item.key, *said(item)) for item in manifest] == [
        ("2.tar/0", ("a dog",), ("dog",), "train"),
        ("2.tar/1", ("rain", "it rains"), (), "train"),
        ("10.tar/0", ("a dog",), ("dog",), "train"),
        ("10.tar/1", ("rain", "it rains"), (), "train"),
    ]
    assert len(manifest) == 4
    assert [f.error for f in manifest.failed] == ["has no sound, only .x.flac; sounds are .flac, .wav, .ogg, .opus, .mp3, .m4a, .aac, .aiff, .aif, .webm, .mp4"] * 2  # fmt: skip
    assert [item.key for item in open_manifest(tmp_path)] == [item.key for item in manifest]
    assert len(list(open_manifest([tmp_path / "train" / "2.tar"]))) == 2


def test_bad_members_are_named_and_never_fatal(tmp_path: Path) -> None:
    tar = write_tar(
        tmp_path / "0.tar",
        {
            "a.flac": flac(), "a.json": b"{not json", "b.flac": flac(), "c.json": {"text": "c"}, "d.flac": flac(),
            "d.json": b'["no object"]', "e.flac": flac(), "e.json": {"text": [None, 3, ""], "tag": "x"},
            "../../f.flac": flac(), "../../f.json": {"text": "f"}, "g.flac": b"no sound", "g.json": {"text": "g"},
            "h.json": {"text": "h"}, "h.flac": flac(),
        },
    )  # fmt: skip
    with tarfile.open(tar, "a") as opened:
        link = tarfile.TarInfo("i.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    cut = tmp_path / "1.tar"
    cut.write_bytes(tar.read_bytes()[: tar.stat().st_size - 14_000])
    (tmp_path / "2.tar").write_bytes(b"no tar at all" * 100)
    (tmp_path / "sizes.json").write_text("[]")
    manifest = open_manifest(tmp_path)
    assert manifest.count is None
    keys = [item.key for item in manifest]
    assert keys[:4] == ["0.tar/e", "0.tar/../../f", "0.tar/g", "0.tar/h"]
    assert not (tmp_path.parent / "f.flac").exists()
    failed = {Path(f.path).name.partition(":")[2] or Path(f.path).name: f.error for f in manifest.failed}
    assert failed["a.json"].startswith("is not JSON")
    assert failed["b.json"].startswith("is not in the tar")
    assert failed["d.json"] == "is a JSON list; an object with `text` is expected"
    assert failed["i.flac"].startswith("is a link")
    assert "cut short" in "".join(f.error for f in manifest.failed if "1.tar" in f.path)
    assert failed["2.tar"].startswith("is no tar")
    list(manifest)
    assert len(manifest.failed) == len({f.path for f in manifest.failed})
    with pytest.raises(SoundError):
        load(next(item for item in manifest if item.key == "0.tar/g").read(), RATE)


def test_a_tar_that_was_cut_after_it_was_opened(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "0.tar", {"a.json": {}, "a.flac": flac()})
    item = next(iter(open_manifest(tar)))
    os.truncate(tar, 2000)
    with pytest.raises(SoundError, match="the tar ends after"):
        item.read()
    tar.unlink()
    with pytest.raises(SoundError, match="not there any more"):
        item.read()


def test_absurd_sizes_in_a_header(tmp_path: Path) -> None:
    """A size beyond 2**63 once came out as an OverflowError, a negative one read the whole tar."""
    whole = write_tar(tmp_path / "0.tar", {"a.json": {}, "a.flac": flac()}).read_bytes()
    for size in (2**80, -5):
        head = bytearray(whole[:512])
        head[124:136] = (
            b"\xff" + size.to_bytes(11, "big", signed=True) if size < 0 else b"\x80" + size.to_bytes(11, "big")
        )
        head[148:156] = b"%06o\0 " % (sum(head[:148]) + 256 + sum(head[156:512]))
        (tmp_path / "0.tar").write_bytes(bytes(head) + whole[512:])
        manifest = open_manifest(tmp_path)
        assert list(manifest) == []
        assert len(manifest.failed) == 1


def test_expand() -> None:
    assert expand("a/{08..10}.tar") == ["a/08.tar", "a/09.tar", "a/10.tar"]
    assert expand("{x,y}/{0..1}") == ["x/0", "x/1", "y/0", "y/1"]
    assert expand("plain.tar") == ["plain.tar"]
    with pytest.raises(DataError, match="backwards"):
        expand("{3..1}.tar")


def test_bad_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,caption\na.wav,one, two\n,nothing\nb.wav,fine\n")
    manifest = open_manifest(path)
    assert [item.key for item in manifest] == ["b.wav"]
    assert [f.path.rpartition(": ")[2] for f in manifest.failed] == ["line 2", "line 3"]
    path = tmp_path / "t.jsonl"
    path.write_text('{"file": "a.wav", "caption": "x\\ud800"}\n{oops\n[1]\n{"file": 3}\n\n')
    manifest = open_manifest(path)
    assert [(item.key, item.captions) for item in manifest] == [("a.wav", ("x?",))]
    assert len(manifest.failed) == 3


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.csv", "place,words\nx,y\n", "no column `file`, found place, words"),
        ("a.csv", "", "no column `file`, found none"),
        ("a.csv", "file,caption\n", "no row names a file"),
        ("a.csv", b"\0\1\2\xff" * 40, "is no text"),
        ("a.csv", 'file,caption\na,b\n"c"d,e\n', "after line 2, "),
        ("a.jsonl", b"\0\1\2\xff" * 40, "UTF-8"),
        ("a.parquet", "text", "Parquet file with a column"),
        ("a.zip", "text", "is of no known kind; a source is a folder"),
        ("a.csv", None, "No such file"),
        ("a.tar", None, "no such tar"),
        ("nowhere", None, "nothing is there"),
    ],
)
def test_wrong_sources_are_refused(tmp_path: Path, name: str, text: str | bytes | None, match: str) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=match):
        open_manifest(tmp_path / name)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    for source in (3, "", None):
        with pytest.raises(DataError, match="is no source"):
            open_manifest(source)
    with pytest.raises(DataError, match="empty list"):
        open_manifest([])
    with pytest.raises(DataError, match=r"is no \.tar"):
        open_manifest(["a.tar", "b.csv"])
    with pytest.raises(DataError, match="neither a metadata"):
        open_manifest(tmp_path)


def test_a_data_set_without_audio() -> None:
    datasets = pytest.importorskip("datasets")
    with pytest.raises(DataError, match="no audio column, found text"):
        open_manifest(datasets.Dataset.from_dict({"text": ["a"]}))


# -- captions -----------------------------------------------------------------------------------------


def test_template() -> None:
    assert caption_from_labels(["rain"]) == "The sound of rain"
    assert caption_from_labels(["rain", "wind"]) == "The sound of rain, and wind"
    assert caption_from_labels(["rain", "wind", "dog"]) == "The sound of rain, wind, and dog"
    with pytest.raises(UsageError):
        caption_from_labels([])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A woman and a man talk", "A person and a person talk"),
        ("Woman speaking, WOMEN singing", "Person speaking, PEOPLE singing"),
        ("a human in a manhole", "a human in a manhole"),
        ("she is tuning her guitar", "they are tuning their guitar"),
        ("She’s singing to  his dog", "They're singing to  their dog"),
        ("a woman's voice, a male voice", "a person's voice, a human voice"),
        ("man-made noise", "man-made noise"),
        ("Man-made noise of a man-hole", "Man-made noise of a man-hole"),
        ("the others", "the others"),
    ],
)
def test_debias(text: str, expected: str) -> None:
    assert make_debiaser()(text) == expected


def test_another_table(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("word,instead\ndog,animal\nhot dog,sausage\n")
    assert make_debiaser(table)("Hot  dog and dog, a woman") == "Sausage and animal, a woman"
    for text in ("a,b\n", "word,instead\n", "word,instead\nx\n"):
        other = tmp_path / f"{len(text)}.csv"
        other.write_text(text)
        with pytest.raises(DataError):
            make_debiaser(other)


def test_labels_are_the_caption_where_there_is_none() -> None:
    assert make_captions(Item("x", b"", ("a", "b"), ("rain",))) == ("a", "b")
    assert make_captions(Item("x", b"", (), ("rain",))) == ("The sound of rain",)
    assert make_captions(Item("x", b"")) == ()


# -- keywords to captions -----------------------------------------------------------------------------

SUBJECTS = ["woman", "dog", "man", "rain", "engine"]
PLACES = ["street", "house", "field", "car", "hall", "yard", "sea", "wood", "room", "shop"]
TAGS = [[s, p] for s in SUBJECTS for p in PLACES]  # 50


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A T5 of 0.1 M parameters that has learnt 50 sentences."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "</s>", "<unk>", "a", "is", "heard", "in", "the", *SUBJECTS, *PLACES]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of so small a model two only wait for each other
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=len(words), d_model=48, d_kv=12, d_ff=64, num_layers=1, num_heads=4, dropout_rate=0.0,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)
    read = fast([" ".join(t) for t in TAGS], return_tensors="pt")["input_ids"]
    write = fast([f"a {s} is heard in the {p}" for s, p in TAGS], return_tensors="pt")["input_ids"]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(120):
        loss = model(input_ids=read, labels=write).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1
    path = tmp_path_factory.mktemp("t5")
    model.save_pretrained(path)
    fast.save_pretrained(path)
    yield path
    torch.set_num_threads(threads)


def test_sentences_are_written_once(t5: Path, tmp_path: Path) -> None:
    """Cached, resumed after a stop in the middle, without gender, the same again."""
    cache = tmp_path / "cache" / "captions.sqlite"
    first = KeywordToCaption(str(t5), cache=cache, batch=10)
    half = first(TAGS[:25])
    assert first.calls == 3
    first.close()
    again = KeywordToCaption(str(t5), cache=cache, batch=10)
    whole = again(TAGS)
    assert again.calls == 3  # the 25 that lacked
    assert whole[:25] == half
    third = KeywordToCaption(str(t5), cache=cache, batch=7)
    assert third([*TAGS, TAGS[0]]) == [*whole, whole[0]]
    assert third.calls == 0
    assert whole[0] == "a person is heard in the street"
    assert whole[10] == "a dog is heard in the street"
    plain = KeywordToCaption(str(t5), cache=cache, words=str)
    assert plain(TAGS[:1]) == ["a woman is heard in the street"]
    assert plain.calls == 0
    alone = KeywordToCaption(str(t5))
    assert alone(TAGS) == whole
    assert alone.calls == 2
    for writer in (again, third, plain, alone):
        writer.close()


def test_a_killed_writer_keeps_its_batches(t5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = KeywordToCaption(str(t5), cache=tmp_path / "c.sqlite", batch=10)
    generate = writer._generate

    def dies(tags: Sequence[Sequence[str]]) -> list[str]:
        if writer.calls == 2:
            raise KeyboardInterrupt
        return generate(tags)

    monkeypatch.setattr(writer, "_generate", dies)
    with pytest.raises(KeyboardInterrupt):
        writer(TAGS)
    writer.close()
    again = KeywordToCaption(str(t5), cache=tmp_path / "c.sqlite", batch=10)
    again(TAGS)
    assert again.calls == 3
    again.close()


def test_the_template_where_no_model_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = KeywordToCaption(str(tmp_path / "nothing"), cache=tmp_path / "c.sqlite")
    with pytest.warns(ModelWarning, match="hf download"):
        assert writer([["dog", "woman"]]) == ["The sound of dog, and person"]
    assert writer([["rain"]]) == ["The sound of rain"]  # told once
    monkeypatch.setattr(writer, "_is_ready", lambda: True)
    wrote = {"a": "rain rain rain rain rain", "b": "", "c": "It rains on a woman"}
    monkeypatch.setattr(writer, "_generate", lambda tags: [wrote[one] for (one,) in tags])
    assert writer([["a"], ["b"], ["c"]]) == ["The sound of a", "The sound of b", "It rains on a person"]
    with pytest.raises(UsageError, match="list 1 has no tags"):
        writer([["a"], []])
    writer.close()
    assert [is_degenerate(t) for t in ("", "dog", "... --", "a b", "dog dog dog dog", "a dog <extra_id_0>", "the dog barks")] == [True] * 6 + [False]  # fmt: skip


def test_the_template_where_a_model_is_broken(t5: Path, tmp_path: Path) -> None:
    """A torch file of rubbish was a traceback."""
    shutil.copytree(t5, tmp_path / "t5")
    (tmp_path / "t5" / "model.safetensors").unlink()
    (tmp_path / "t5" / "pytorch_model.bin").write_bytes(b"x")
    writer = KeywordToCaption(str(tmp_path / "t5"), cache=tmp_path / "c.sqlite")
    with pytest.warns(ModelWarning, match="cannot be loaded"):
        assert writer([["rain"]]) == ["The sound of rain"]
    writer.close()


def test_another_file_is_no_cache(tmp_path: Path) -> None:
    import sqlite3

    other = sqlite3.connect(tmp_path / "o.sqlite")
    other.execute("CREATE TABLE t (x)")
    other.close()
    (tmp_path / "text").write_text("I am no database, but long enough to be taken for one" * 20)
    for name in ("o.sqlite", "text"):
        with pytest.raises(DataError, match="cache of captions"):
            KeywordToCaption("x", cache=tmp_path / name)


# -- check --------------------------------------------------------------------------------------------


@pytest.fixture
def faulty(folder: Path) -> Path:
    """The three sounds, a copy as FLAC in the other split, one softer and later, a cut, a broken and a missing one."""
    wave = long_wave(3, RATE, seed=2)
    sf.write(folder / "cat copy.flac", *sf.read(folder / "cat.wav", dtype="int16"))
    sf.write(folder / "cat soft.wav", 0.5 * np.concatenate([np.zeros(8000, np.float32), wave]), RATE)
    (folder / "cut.wav").write_bytes((folder / "rain.wav").read_bytes()[:40_000])
    (folder / "broken.wav").write_text("no sound")
    rows = [
        *ROWS, ("cat copy.flac", "", "kitty", "train"), ("cat soft.wav", "Heavy rain", "", "test"),
        ("cut.wav", "", "", ""), ("broken.wav", "x", "", ""), ("gone.wav", "x", "", ""),
    ]  # fmt: skip
    write_csv(folder / "metadata.csv", rows)
    return folder


def test_check_finds_what_is_wrong(faulty: Path) -> None:
    report = check(open_manifest(faulty), labels=["dog", "bark", "rain", "cat", "animal"])
    assert report.items == 8
    assert report.splits == {"none": 3, "test": 2, "train": 3}
    assert report.rates == {RATE: 6}
    assert {f.path: f.error for f in report.broken}.keys() == {"broken.wav", "gone.wav"}
    assert [(f.path, f.error[:9]) for f in report.damaged] == [("cut.wav", "cut short")]
    assert report.without_captions == ["cut.wav"]
    assert report.unknown_labels == {"kitty": 1}
    assert [[m.key for m in group] for group in report.duplicates] == [["cat.wav", "cat copy.flac"]]
    assert report.sound_leaks == report.duplicates
    assert [(leak.captions, leak.splits) for leak in report.caption_leaks] == [
        (["heavy rain"], {"test": 1, "train": 1})
    ]
    assert report.near_duplicates == []
    assert report.lengths is not None
    assert report.lengths.max == 3.5
    assert sum(b.count for b in report.lengths.histogram) == 6
    assert abs(report.hours * 3600 - (1 + 2 + 3 + 3 + 3.5 + 39_956 / 2 / RATE)) < 1e-3
    assert not report.sound
    json.dumps(report.to_dict(), allow_nan=False)


def test_deep_finds_it_softer_and_later(faulty: Path) -> None:
    report = check(open_manifest(faulty), deep=True)
    groups = [sorted(m.key for m in group) for group in report.near_duplicates]
    assert ["cat copy.flac", "cat soft.wav", "cat.wav"] in groups
    assert check(open_manifest(faulty), deep=True) == report


def test_check_of_a_sound_set(folder: Path) -> None:
    report = check(open_manifest(folder), labels=["dog", "bark", "rain", "cat", "animal"])
    assert report.sound
    assert report.lengths is not None
    assert (report.lengths.min, report.lengths.median, report.lengths.max) == (1, 2, 3)


# -- pack ---------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.suffix in (".tar", ".json")
    }


def test_packed_sounds_are_what_laion_reads(folder: Path, tmp_path: Path) -> None:
    wave = np.round(long_wave(2.5, 48_000, seed=7) * 20_000).astype(np.int16)
    sf.write(folder / "exact.wav", wave, 48_000)
    write_csv(folder / "metadata.csv", [*ROWS, ("exact.wav", "x", "", "train"), ("gone.wav", "x", "", "train")])
    writer = KeywordToCaption("not here")
    with pytest.warns(ModelWarning):
        report = pack(open_manifest(folder), tmp_path / "out", shard_size=2, min_seconds=1.5, k2c=writer)
    writer.close()
    assert (report.sentences, report.templates) == (3, 3)  # it was silent about all of them
    assert (report.shards, report.made, report.sounds, report.short) == (3, 3, 3, 1)
    assert [f.path for f in report.failed] == ["gone.wav"]
    assert json.loads((tmp_path / "out/train/sizes.json").read_text()) == {"000000.tar": 1, "000001.tar": 1}
    with tarfile.open(tmp_path / "out/test/000000.tar") as tar:
        assert tar.getnames() == ["00000000.flac", "00000000.json"]
        about = json.load(tar.extractfile("00000000.json"))  # type: ignore[arg-type]
        info = sf.info(tar.extractfile("00000000.flac"))
    assert about == {
        "text": ["The sound of cat, and animal"], "tag": ["cat", "animal"], "text_augment_t5": "The sound of cat, and animal",
        "text_augment_all": ["The sound of cat, and animal"], "seconds": 3.0, "key": "cat.wav",
    }  # fmt: skip
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (48_000, 1, "PCM_16", 144_000)
    manifest = open_manifest(tmp_path / "out")
    assert len(manifest) == 3
    exact = next(item for item in manifest if item.captions == ("x",))
    assert np.array_equal(load(exact.read(), 48_000) * 32768, wave)


def test_same_input_same_bytes_and_nothing_made_twice(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    pack(open_manifest(folder), one, shard_size=1)
    pack(open_manifest(folder), two, shard_size=1)
    assert contents(one) == contents(two)
    times = {p: p.stat().st_mtime_ns for p in one.rglob("*.tar")}
    assert pack(open_manifest(folder), one, shard_size=1).made == 0
    assert {p: p.stat().st_mtime_ns for p in one.rglob("*.tar")} == times
    assert pack(open_manifest(folder, split="test"), one, shard_size=1).made == 0
    assert contents(one) == contents(two)  # the other split is still there
    sf.write(folder / "rain.wav", long_wave(1.5, RATE), RATE)
    assert pack(open_manifest(folder), one, shard_size=1).made == 1
    write_csv(folder / "metadata.csv", [*ROWS[:2], ("cat.wav", "new words", "", "test")])
    assert pack(open_manifest(folder), one, shard_size=1).made == 1
    assert sorted(p for p in contents(one) if p.endswith("tar")) == ["test/000000.tar", "train/000000.tar"]
    (one / "test/000000.tar").write_bytes(b"")
    assert pack(open_manifest(folder), one, shard_size=1).made == 1


@pytest.mark.parametrize("make", SOURCES)
def test_any_source_is_packed_once(folder: Path, tmp_path: Path, make: Callable[[Path], Any]) -> None:
    source = make(folder)
    report = pack(open_manifest(source), tmp_path / "out", shard_size=2)
    assert (report.sounds, report.made, report.failed) == (3, 2, [])
    assert pack(open_manifest(source), tmp_path / "out", shard_size=2).made == 0


def test_a_pack_with_captions_by_a_model(t5: Path, folder: Path, tmp_path: Path) -> None:
    write_csv(folder / "metadata.csv", [("cat.wav", "", "woman;street", ""), ("rain.wav", "it rains", "", "")])
    writer = KeywordToCaption(str(t5), cache=tmp_path / "c.sqlite")
    report = pack(open_manifest(folder), tmp_path / "out", k2c=writer)
    assert (report.sentences, report.templates) == (1, 0)
    assert report.to_dict()["templates"] == 0
    assert [item.captions for item in open_manifest(tmp_path / "out")] == [
        ("The sound of woman, and street", "a person is heard in the street"),
        ("it rains",),
    ]
    assert pack(open_manifest(folder), tmp_path / "out", k2c=writer).made == 0
    assert writer.calls == 1
    writer.close()


def test_a_pack_is_never_packed_into_itself(folder: Path) -> None:
    pack(open_manifest(folder), folder / "out")
    before = contents(folder / "out")
    with pytest.raises(DataError, match="holds tars of the data set itself"):
        pack(open_manifest(folder / "out"), folder / "out")
    assert contents(folder / "out") == before


def test_a_damaged_sound_is_named_by_its_key(folder: Path, tmp_path: Path) -> None:
    """Bytes have no name: warnings said `<24532 bytes>: cut short`."""
    whole = (folder / "rain.wav").read_bytes()
    write_tar(tmp_path / "t" / "0.tar", {"x.wav": whole[:40_000], "x.json": {"text": "rain"}})
    with pytest.warns(SoundWarning, match=r"^0\.tar/x: cut short"):
        assert pack(open_manifest(tmp_path / "t"), tmp_path / "out").sounds == 1


def cli(*args: str | Path, cwd: Path | None = None, limit: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args, limit=limit), capture_output=True, text=True, check=False, cwd=cwd, env=environment()
    )


def command(*args: str | Path, limit: str = "") -> list[str]:
    verb = [sys.executable, "-m", "openclap.cli.app", "data", *map(str, args)]
    return ["bash", "-c", f'{limit}; exec "$@"', "bash", *verb] if limit else verb


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": ":".join(sys.path), "COLUMNS": "200"}


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(24):
        sf.write(folder / f"{i:02d}.wav", long_wave(4, 32_000, seed=i), 32_000)
    return write_csv(folder / "metadata.csv", [(f"{i:02d}.wav", f"sound {i}", "", "") for i in range(24)])


def test_a_killed_pack_leaves_whole_tars_and_goes_on(many: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    pack(open_manifest(many), whole, shard_size=2)
    # the third tar is written and not yet recorded when the signal comes
    program = """
import os, signal, sys
from openclap.data.pack import _Packing
remember = _Packing._remember
def killed(run, shards):
    if len(shards) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    remember(run, shards)
_Packing._remember = killed
from openclap.cli.app import main
main()
"""
    verb = [sys.executable, "-c", program, *command("pack", many, "-o", killed, "--shard-size", "2")[3:]]
    assert subprocess.run(verb, env=environment(), check=False).returncode == -signal.SIGKILL
    finished = sorted(killed.glob("*.tar"))
    assert len(finished) == 3
    assert all(tar.read_bytes() == (whole / tar.name).read_bytes() for tar in finished)
    report = pack(open_manifest(many), killed, shard_size=2)
    assert report.made == 10
    assert contents(killed) == contents(whole)
    assert not list(killed.rglob("*.part"))


def test_a_full_disk_is_told_and_loses_nothing(many: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the first tar fits, the one of longer sounds does not."""
    for i in range(2):
        sf.write(many.parent / f"{i:02d}.wav", long_wave(0.5, 32_000, seed=i), 32_000)
    whole = tmp_path / "whole"
    pack(open_manifest(many), whole, shard_size=2)
    done = cli("pack", many, "-o", tmp_path / "full", "--shard-size", "2", limit="ulimit -f 200")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written (File too large); finished tars are kept" in done.stderr
    assert [p.name for p in sorted((tmp_path / "full").iterdir()) if p.name != ".lock"] == ["000000.tar", "pack.json", "sizes.json"]  # fmt: skip
    report = pack(open_manifest(many), tmp_path / "full", shard_size=2)
    assert report.made == 11
    assert contents(tmp_path / "full") == contents(whole)


def test_pack_refuses_what_is_not_its_own(folder: Path, tmp_path: Path) -> None:
    write_tar(tmp_path / "other" / "0.tar", {})
    with pytest.raises(DataError, match="choose an empty folder"):
        pack(open_manifest(folder), tmp_path / "other")
    for text, match in (('{"format": "openclap pack", "version": 9}', "is openclap pack 9"), ("{", "is broken"),
                        ('{"format": "openclap pack", "version": 1, "shards": {"../0.tar": {"of": ""}}}', "no tar of ours")):  # fmt: skip
        (tmp_path / "new").mkdir(exist_ok=True)
        (tmp_path / "new" / "pack.json").write_text(text)
        with pytest.raises(DataError, match=match):
            pack(open_manifest(folder), tmp_path / "new")
    write_csv(folder / "metadata.csv", [("cat.wav", "x", "", "../../up")])
    with pytest.raises(DataError, match="cannot be the name of a folder"):
        pack(open_manifest(folder), tmp_path / "out")
    with pytest.raises(UsageError):
        pack(open_manifest(folder), tmp_path / "out", shard_size=0)


# -- the command line ---------------------------------------------------------------------------------


def test_the_verbs(faulty: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("dog\nbark\n\nrain\ncat\nanimal\n")
    done = cli("check", faulty, "--labels", labels, "--deep", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["unknown_labels"] == {"kitty": 1}
    assert report["sound"] is False
    shown = cli("check", faulty, "--labels", labels)
    assert shown.returncode == 1
    assert "unknown label: kitty: 1" in shown.stdout
    assert "cat.wav (test) = cat copy.flac (train)" in shown.stdout
    assert shown.stderr.splitlines()[0].startswith("error: broken.wav: ")
    done = cli("pack", faulty, "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["sounds"] == 6
    assert "error: gone.wav: no such file" in done.stderr
    done = cli("check", tmp_path / "out" / "test", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["rates"] == {"48000": 2}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("check", "nowhere"), "nothing is there"),
        (("check", "a.csv", "b.csv"), "is no .tar"),
        (("check", "sounds", "--split", "nope"), "no item is of the split 'nope'; there are: test, train"),
        (("check", "sounds", "--labels", "gone.txt"), "gone.txt: No such file"),
        (("pack", "sounds", "-o", "sounds/rain.wav"), "cannot be written (File exists)"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, args: tuple[str, ...], told: str) -> None:
    done = cli(*args, cwd=folder.parent)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert told in done.stderr


def test_missing_options_are_told(folder: Path) -> None:
    assert "Missing option" in cli("pack", folder).stderr
    assert cli("check").returncode == 2
