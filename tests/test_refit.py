"""What a detector was taught by is kept, not given away with it, and teaches it anew for another model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import long_wave
from models_for_tests import small_clap

from openclap import CLAP, Detector, Library, example_store
from openclap.checkpoints import presets
from openclap.cli import app
from openclap.cli.show import plain
from openclap.detector import delete_detector
from openclap.errors import DetectorError, DetectorMismatch, UnreadableSound, UsageError
from openclap.example_store import (
    MOST,
    RATE,
    ExampleSource,
    count_examples,
    examples_folder,
    load_examples,
    save_examples,
)
from openclap.teach import Taught, fit, refit, teach

Ran = tuple[int, str, str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "openclap" / "detectors"


@pytest.fixture(scope="module")
def clap(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="first")


@pytest.fixture(scope="module")
def other(tokenizer_file: Path) -> CLAP:
    return small_clap(tokenizer_file, name="other", seed=9)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Three that are the sound, two that are not; one in stereo, one of 44.1 kHz, one very quiet, one too loud."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, rate, gain, hertz, subtype in (
        ("yes 1.wav", 48_000, 0.3, 0, "PCM_16"), ("yes 2.flac", 44_100, 0.2, 200, "PCM_16"), ("yes 3.wav", 16_000, 1e-4, 1500, "FLOAT"),
        ("no 1.wav", 48_000, 3.0, 5000, "FLOAT"), ("no 2.wav", 22_050, 0.3, 700, "PCM_24"),
    ):  # fmt: skip
        time = np.arange(round(1.5 * rate)) / rate
        noise = np.random.default_rng(rate).standard_normal(len(time)) * (0.02 if name.startswith("no") else 0.3)
        wave = (gain * (noise / 2 + np.sin(2 * np.pi * hertz * time) * np.sin(9 * time))).astype(np.float32)
        sf.write(folder / name, np.stack([wave, 0.5 * wave], 1) if name == "yes 2.flac" else wave, rate, subtype)
    return folder


def _taught(clap: CLAP, sounds: Path, **options: object) -> Taught:
    yes, no = sorted(sounds.glob("yes*")), sorted(sounds.glob("no*"))
    return teach(clap, "dog", yes=yes, no=no, text="a dog barking", **options)  # type: ignore[arg-type]


# -- what is kept ---------------------------------------------------------------------------------------


def test_it_is_taught_anew_after_the_sounds_were_deleted(clap: CLAP, other: CLAP, sounds: Path, home: Path) -> None:
    """For the same model the same detector, for another one what that would have been taught by the sounds themselves."""
    taught = _taught(clap, sounds)
    place = replace(taught, detector=replace(taught.detector, threshold=0.7)).save()
    wanted = _taught(other, sounds).detector
    shutil.rmtree(sounds)
    before = Detector.load("dog")
    same = refit(clap, before)
    assert float(same.detector.direction @ before.direction) > 0.9999
    again = refit(other, before)
    assert (again.detector.fingerprint, again.detector.model) == (other.fingerprint, "other")
    assert (again.detector.name, again.detector.text, again.detector.threshold) == ("dog", "a dog barking", 0.7)
    assert again.detector.examples == before.examples == {"yes": 3, "no": 2, "drawn": 0}
    assert float(again.detector.direction @ wanted.direction) > 0.9999
    assert again.detector.report["judged"]
    assert again.save() == place
    assert again.failed == []
    now = Detector.load("dog")
    now.check(other)
    assert (count_examples(now.key), count_examples(before.key)) == (5, 0)  # they go with it
    assert [folder.name for folder in (home / "examples").iterdir()] == [now.key]
    assert float(refit(clap, now).detector.direction @ before.direction) > 0.9999  # and back


def test_the_file_holds_nothing_of_them_and_the_folder_no_path(clap: CLAP, sounds: Path, home: Path) -> None:
    place = _taught(clap, sounds).save()
    assert place.stat().st_size < 4000
    assert b"yes 1" not in place.read_bytes()
    about = (examples_folder(Detector.load("dog").key) / "examples.json").read_text(encoding="utf-8")
    assert "sounds" not in about
    assert "yes 1" not in about
    assert (examples_folder(Detector.load("dog").key).stat().st_mode & 0o077) == 0 or sys.platform == "win32"


def test_clips_are_what_was_heard(tmp_path: Path) -> None:
    """16 bits stay what they were, at any loudness."""
    wave = (long_wave(1, RATE, seed=4) * 0.3 * 32768).round().astype(np.int16)
    sf.write(tmp_path / "a.wav", wave, RATE)
    exact = np.zeros(480, np.float32)
    assert (
        save_examples("0" * 16, "a", [ExampleSource(tmp_path / "a.wav", True), ExampleSource((exact, RATE), False)])
        == []
    )
    one, silent = load_examples("0" * 16)
    assert (one.heard, silent.heard) == (True, False)
    assert np.array_equal(one.waves[0], wave.astype(np.float32) / 32768)
    assert np.array_equal(silent.waves[0], exact)
    quiet = 1e-6 * long_wave(0.2, RATE)
    save_examples("1" * 16, "a", [ExampleSource((quiet, RATE), True)])
    (found,) = load_examples("1" * 16)
    assert np.abs(found.waves[0] - quiet).max() < 1e-4 * np.abs(quiet).max()


def test_of_a_long_recording_pieces_are_kept_and_of_very_many_some(tmp_path: Path) -> None:
    long = np.arange(8000 * 65, dtype=np.float32) / (8000 * 65)
    sf.write(tmp_path / "long.wav", long, 8000)
    save_examples(
        "0" * 16,
        "a",
        [ExampleSource(tmp_path / "long.wav", True), ExampleSource(tmp_path / "long.wav", False, 20.0, 21.0)],
    )
    pieces, span = load_examples("0" * 16)
    assert [round(len(wave) / RATE) for wave in pieces.waves] == [10, 10, 10]
    middles = [float(wave[len(wave) // 2]) for wave in (*pieces.waves, *span.waves)]
    assert middles == pytest.approx([5 / 65, 32.5 / 65, 60 / 65, 20.5 / 65], abs=1e-3)
    tiny = (np.full(8, 0.5, np.float32), RATE)
    save_examples("1" * 16, "a", [ExampleSource(tiny, i < MOST + 50) for i in range(MOST + 60)])
    found = list(load_examples("1" * 16))
    assert (sum(x.heard for x in found), sum(not x.heard for x in found)) == (MOST, 10)


def test_what_cannot_be_kept_is_told_and_stops_nothing(clap: CLAP, sounds: Path) -> None:
    taught = _taught(clap, sounds)
    (sounds / "yes 1.wav").write_text("no sound any more")

    def closed() -> object:
        raise UnreadableSound("a.wav", "is away")

    taught = replace(taught, examples=[*taught.examples, ExampleSource(closed, True)])  # type: ignore[arg-type]
    taught.save()
    assert [Path(failure.path).name for failure in taught.failed] == ["yes 1.wav", "a.wav"]
    assert count_examples(taught.detector.key) == 4
    nowhere = examples_folder("any").parent
    shutil.rmtree(nowhere)
    nowhere.write_text("a file is in the way")
    taught = _taught(clap, sounds)
    taught.save()
    assert "the examples cannot be kept" in taught.failed[-1].error
    assert Detector.load("dog").key == taught.detector.key


def test_teaching_again_replaces_them_and_forgetting_removes_them(clap: CLAP, sounds: Path, home: Path) -> None:
    _taught(clap, sounds).save()
    first = Detector.load("dog").key
    (sounds / "no 2.wav").unlink()
    _taught(clap, sounds).save()
    assert (count_examples(first), count_examples(Detector.load("dog").key)) == (0, 4)
    _taught(clap, sounds).save(home.parent / "elsewhere.safetensors")
    delete_detector("dog")
    assert list((home / "examples").iterdir()) == []


def test_what_was_marked_is_not_suggested_again(clap: CLAP, sounds: Path, tmp_path: Path) -> None:
    """Which files were marked is not known any more; what they sound like is."""
    library = Library.open(tmp_path / "lib", model=clap)
    library.add(sounds)
    taught = _taught(clap, sounds, library=library)
    sf.write(sounds / "new.wav", np.random.default_rng(5).uniform(-0.5, 0.5, 16_000), 16_000)
    library.add(sounds)
    taught.save()
    found = refit(clap, taught.detector, library=library).suggestions
    assert [Path(hit.path).name for hit in found] == ["new.wav"]


def test_of_a_file_that_is_broken_the_examples_go_too(clap: CLAP, sounds: Path, home: Path) -> None:
    place = _taught(clap, sounds).save()
    place.write_bytes(b"nothing")
    with pytest.raises(DetectorError, match="no detector is called 'cat'"):
        delete_detector("cat")
    assert len(list((home / "examples").iterdir())) == 1
    delete_detector("dog")
    assert list((home / "examples").iterdir()) == []


def test_damaged_ones_are_one_sentence(clap: CLAP, sounds: Path) -> None:
    taught = _taught(clap, sounds)
    taught.save()
    folder = examples_folder(taught.detector.key)
    next(folder.glob("*.flac")).write_bytes(b"nothing")
    with pytest.raises(DetectorError, match="are damaged"):
        refit(clap, taught.detector)
    index = folder / "examples.json"
    for text, said in (
        (json.dumps({"format": "openclap-examples", "version": 9, "examples": [{}]}), "of version 9"),
        (json.dumps({"format": "openclap-examples", "version": 1, "examples": [{"heard": True, "clips": [{"file": "../dog.safetensors", "gain": 1}]}]}), "damaged"),
        ("[]", "no examples of the detector 'dog' were kept"),
    ):  # fmt: skip
        index.write_text(text)
        with pytest.raises(DetectorError, match=said):
            refit(clap, taught.detector)


# -- what is said ---------------------------------------------------------------------------------------


def test_with_examples_the_command_is_offered(clap: CLAP, other: CLAP, sounds: Path, tmp_path: Path) -> None:
    taught = _taught(clap, sounds)
    taught.save()
    with pytest.raises(DetectorMismatch, match=r"taught on first \(.*\), not on other \(.*\); give the model that made it, or teach it anew by the examples that were kept with openclap\.teach\.refit$") as caught:  # fmt: skip
        Detector.load("dog").check(other)
    assert plain(caught.value).plain.endswith("kept: openclap teach dog --refit --model MODEL")
    place = taught.save(tmp_path / "my dog.safetensors")
    with pytest.raises(DetectorMismatch) as caught:
        Detector.load(place).check(other)
    assert f"openclap teach '{place}' --refit" in plain(caught.value).plain


def test_without_them_it_says_what_to_do(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of mini's third edition, as they were made before."""
    moved = tuple(replace(one, fingerprint="4" * 16) if one.name == "mini" else one for one in presets.PRESETS)
    monkeypatch.setattr(presets, "PRESETS", moved)
    old = Detector("dog", None, np.ones(256, np.float32), 0.0, "mini", "86b7c91662cc86f7")
    with pytest.raises(DetectorMismatch, match=r"was taught on mini-3 \(86b7c91662cc86f7\), not on first .*, and none of its examples were kept; go on with CLAP\.from_pretrained\('mini-3'\), or teach it"):  # fmt: skip
        old.check(clap)
    with pytest.raises(DetectorError, match="no examples of the detector 'dog' were kept"):
        refit(clap, old)


def test_a_detector_of_embeddings_alone_has_none(clap: CLAP, sounds: Path) -> None:
    rows = clap.encode_audio(sorted(sounds.iterdir()), long="windows")
    detector = fit(clap, "dog", rows[:2], rows[2:])
    detector.save()
    assert count_examples(detector.key) == 0


def test_every_door_says_the_same(clap: CLAP, other: CLAP, sounds: Path, tmp_path: Path) -> None:
    _taught(clap, sounds).save()
    detector = Detector.load("dog")
    library = Library.open(tmp_path / "lib", model=other)
    library.add(sounds)
    from openclap.watch import watch

    for call in (lambda: library.search(detector), lambda: list(watch(sounds / "yes 1.wav", [detector], model=other))):
        with pytest.raises(DetectorMismatch, match=r"openclap\.teach\.refit"):
            call()


# -- on the command line --------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Ran]:
    monkeypatch.chdir(tmp_path)

    def ran(*args: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["openclap", *args])
        try:
            code = app._run()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        told = capsys.readouterr()
        return code, told.out, " ".join(told.err.split())

    return ran


def test_taught_kept_and_taught_anew_by_the_verb(
    run: Callable[..., Ran], clap: CLAP, other: CLAP, sounds: Path, tmp_path: Path, home: Path
) -> None:
    for model, folder in ((clap, "first"), (other, "other")):
        model.save_pretrained(tmp_path / folder)
    yes, no = (list(map(str, sorted(sounds.glob(f"{kind}*")))) for kind in ("yes", "no"))
    code, out, said = run("teach", "dog", "--yes", *yes, "--no", *no, "--model", "first", "--json")
    assert code == 0, said
    assert (code, json.loads(out)["kept"]) == (0, 5)
    assert json.loads(run("detectors", "--json")[1])["kept"] == 5
    shutil.rmtree(sounds)
    code, out, said = run("teach", "dog", "--refit", "--model", "other", "--json")
    row = json.loads(out)
    assert (code, said) == (0, "")
    assert (row["model"], row["before"]["model"], row["kept"], row["examples"]) == ("other", "first", 5, {"yes": 3, "no": 2, "drawn": 0})  # fmt: skip
    assert row["report"]["judged"]
    code, out, _ = run("teach", "dog", "--refit", "--model", "first")
    assert code == 0
    assert "before" in out
    assert "kept in your data folder: 5 examples" in " ".join(out.split())
    code, _, said = run("teach", "dog", "--refit", "--yes", "a.wav")
    assert (code, "--refit takes the examples and words that were kept" in said) == (2, True)
    code, _, said = run("teach", "dog")
    assert (code, "say what the sound is: openclap teach NAME --yes FILE" in said) == (2, True)
    assert run("detectors", "--forget", "dog")[0] == 0
    assert list((home / "examples").iterdir()) == []


def test_nothing_is_kept_where_that_is_asked_for(
    run: Callable[..., Ran], clap: CLAP, sounds: Path, tmp_path: Path, home: Path
) -> None:
    clap.save_pretrained(tmp_path / "first")
    code, out, _ = run("teach", "dog", "--yes", str(sounds / "yes 1.wav"), "--no-keep-examples", "--model", "first", "--json")  # fmt: skip
    assert (code, json.loads(out)["kept"]) == (0, 0)
    assert not (home / "examples").exists()
    code, _, said = run("teach", "dog", "--refit", "--model", "first")
    assert (code, "no examples of the detector 'dog' were kept" in said) == (2, True)


def test_a_name_that_no_file_can_have_keeps_nothing(clap: CLAP, sounds: Path, home: Path) -> None:
    taught = _taught(clap, sounds)
    with pytest.raises(UsageError, match="cannot be a detector's name"):
        replace(taught, detector=replace(taught.detector, name="a/b")).save()
    assert not home.exists()
    assert example_store.count_examples(taught.detector.key) == 0
