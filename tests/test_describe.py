"""Words for sounds: tags, families, sentences, timelines, folders. Synthesised sounds, and mini-3, which was trained on such."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf
from platformdirs import user_cache_path

from openclap import CLAP, confidence
from openclap.catalogue import describe_to_file, timelines_to_folder
from openclap.catalogue.descriptions import _lock_output, _open_journal
from openclap.confidence import confidence_curves, reference_bank
from openclap.describe import SILENCE, Describer, Vocabulary, sentence_in_english, timeline
from openclap.describe.formats import FORMATS, write_timeline
from openclap.describe.formats import HEAD as TIMELINE
from openclap.describe.spectrogram import spectrogram
from openclap.describe.timeline import most_likely_path
from openclap.describe.vocabulary import check_labels
from openclap.errors import UsageError
from openclap.labels import labels as packaged
from openclap.options import DescribeOptions
from openclap.results import Span, Tag
from openclap.sentences import inline_label, join_words
from openclap.synth import synthesise

RATE = 32_000
Wave = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini-3")


@pytest.fixture(scope="module")
def describer(clap: CLAP) -> Describer:
    return Describer(clap)


def sound(kind: str, seconds: float = 4.0, seed: int = 5) -> Wave:
    wave = synthesise(kind, np.random.default_rng(seed), rate=RATE, seconds=seconds)[0]
    return (0.5 * wave / max(float(np.abs(wave).max()), 1e-6)).astype(np.float32)


def recording() -> tuple[Wave, list[tuple[float, float, str]]]:
    """Three sounds with pauses of quiet noise, 30 s."""
    wave = (0.0005 * np.random.default_rng(0).standard_normal(30 * RATE)).astype(np.float32)
    truth = [(2.0, 8.0, "vacuum cleaner"), (12.0, 18.0, "cricket"), (22.0, 28.0, "rain")]
    for start, end, kind in truth:
        wave[round(start * RATE) : round(end * RATE)] += sound(kind, end - start)[: round((end - start) * RATE)]
    return np.clip(wave, -1, 1), truth


# -- one sound -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "label"), [("bird", "Bird"), ("dog bark", "Dog"), ("rain", "Rain"), ("snare drum", "Snare drum"), ("vacuum cleaner", "Vacuum cleaner")],
)  # fmt: skip
def test_what_is_heard_is_named(clap: CLAP, kind: str, label: str) -> None:
    made = clap.describe((sound(kind), RATE))
    assert made.tags[0].label == label
    assert re.fullmatch(f"The sound of {label.lower()}(, perhaps with [a-z ]+)?\\.", made.sentence)
    assert made.to_dict()["tags"][0]["confidence"] == made.tags[0].confidence


def test_a_tag_is_as_sure_as_search_is(clap: CLAP) -> None:
    """The confidence is that of the library, window by window, and the vectorised one is the same."""
    usual, vectors = reference_bank(clap), clap.encode_text(["Dog", "Rain", "Siren"])
    windows = clap.encode_audio([(sound("dog bark"), RATE), (sound("rain"), RATE)])
    fast = usual.confidences(vectors, windows)
    slow = [[usual.confidence(text, window, words=True) for text in vectors] for window in windows]
    np.testing.assert_allclose(fast, slow, atol=1e-5)
    tag = clap.describe((sound("dog bark"), RATE), ["Dog"]).tags[0]
    assert tag.confidence == pytest.approx(slow[0][0], abs=1e-3)
    assert tag.similarity == pytest.approx(float(windows[0] @ vectors[0]), abs=1e-3)


def test_the_threshold_is_kept(clap: CLAP) -> None:
    wave = sound("chainsaw")
    few, many = (clap.describe((wave, RATE), threshold=least, top=50).tags for least in (0.6, 0.05))
    assert 0 < len(few) < len(many)
    assert all(tag.confidence >= 0.6 for tag in few)
    assert many[0].confidence == max(tag.confidence for tag in many)
    nothing = clap.describe((wave, RATE), threshold=1.0)
    assert nothing.tags == []
    assert nothing.sentence.startswith("Nothing that can be named with confidence; the nearest is")


def test_the_verb_and_the_call_have_one_threshold(clap: CLAP) -> None:
    """The verb kept the first edition's 0.3, so it left tags out that `clap.describe` gave."""
    assert DescribeOptions.threshold is None
    assert Describer(clap, ["rain"]).threshold == confidence_curves(clap.config).unlikely


def test_in_chinese_the_same_is_heard(clap: CLAP, describer: Describer) -> None:
    names = dict(zip(packaged("audioset"), packaged("audioset.zh"), strict=True))
    chinese = Describer(clap, language="zh")
    rain = (sound("rain"), RATE)
    english, made = describer(rain), chinese(rain)
    assert [tag.label for tag in made.tags] == [names[tag.label] for tag in english.tags] != []
    assert names[english.tags[0].label] in made.sentence
    assert made.sentence.endswith("。")
    spans = timeline(chinese, rain)
    assert [span.label for span in spans] == [span.label and names[span.label] for span in timeline(describer, rain)]
    assert chinese.describe_spans(spans)[0].startswith(f"听到{spans[0].label}")
    assert Describer(clap, ["rain"], language="zh")(rain).tags[0].label == "rain"
    nothing = Describer(clap, ["Siren"], threshold=1.0, language="zh")(rain)
    assert (nothing.tags, nothing.sentence) == ([], "没有能确定的声音；最接近的是Siren。")
    assert chinese.key()[:-1] == describer.key(), "English descriptions of an earlier edition are not made anew"


def test_other_languages_are_refused(clap: CLAP) -> None:
    with pytest.raises(UsageError, match="language is 'fr'; choose en or zh"):
        Describer(clap, language="fr")
    with pytest.raises(UsageError, match="writes English"):
        Describer(clap, language="zh", writer=lambda heard: ["A sound."] * len(heard))


@pytest.mark.parametrize("kept", ["no zip", {"texts": 1}, {"texts": [1.0], "sounds": [1.0]}, {"texts": [["a"]], "sounds": [["a"]]}, "nan"])  # fmt: skip
def test_a_damaged_bank_is_made_anew(clap: CLAP, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = reference_bank(clap)  # the one that comes with mini
    monkeypatch.setattr(confidence, "packaged_bank", lambda fingerprint: Path("not there"))
    place = user_cache_path("openclap") / "background" / f"{clap.fingerprint}-{confidence.VERSION}.npz"
    place.parent.mkdir(parents=True, exist_ok=True)
    if kept == "nan":
        np.savez(place, texts=usual.texts * np.nan, sounds=usual.sounds)
    elif isinstance(kept, str):
        place.write_text(kept)
    else:
        np.savez(place, **kept)
    monkeypatch.setattr(confidence, "_remembered", {})  # else the file is not looked at
    embed, made = confidence.embed_banks, []

    def embed_banks(model: Any) -> Any:
        made.append(model)
        return embed(model) if kept == "no zip" else usual  # in earnest once: it takes seconds

    monkeypatch.setattr(confidence, "embed_banks", embed_banks)
    np.testing.assert_allclose(reference_bank(clap).sounds, usual.sounds, atol=1e-5)
    with np.load(place) as mended:
        np.testing.assert_allclose(mended["texts"], usual.texts, atol=1e-6)
    assert made == [clap]


def test_one_of_a_family_stands_for_all(clap: CLAP) -> None:
    """Dog, Bark and Bow-wow once were three of five tags."""
    own = ["Dog", "Bark", "Bow-wow", "Domestic animals, pets", "Rain", "Siren"]
    wave = sound("dog bark")
    together = clap.describe((wave, RATE), own, threshold=0.05)
    assert [tag.label for tag in together.tags][:1] == ["Dog"]  # as sure as the others, and named first in the list
    assert {"Bark", "Bow-wow"} <= set(together.tags[0].alike)
    apart = Describer(clap, own, threshold=0.05, alike=2.0)((wave, RATE))
    assert {"Dog", "Bark", "Bow-wow"} <= {tag.label for tag in apart.tags}
    assert all(tag.alike == [] for tag in apart.tags)


def test_different_things_are_different_tags(clap: CLAP) -> None:
    wave = np.concatenate([sound("dog bark", 10.0), sound("vacuum cleaner", 10.0)])
    assert {"Dog", "Vacuum cleaner"} <= {tag.label for tag in clap.describe((wave, RATE)).tags}


def test_nearest_captions(clap: CLAP) -> None:
    captions = ["a dog barking", "a snare drum", "rain falling on a roof", "a dog barking"]
    made = clap.describe((sound("rain"), RATE), captions=captions, nearest=2)
    assert made.captions[0].text == "rain falling on a roof"
    assert len(made.captions) == 2
    assert made.captions[0].score > made.captions[1].score


def test_a_writer_of_sentences_and_what_it_may_not_say(clap: CLAP) -> None:
    asked: list[list[str]] = []

    def writer(tags: Any) -> list[str]:
        asked.extend(tags)
        return ["A woman walks her dog."]

    made = clap.describe((sound("dog bark"), RATE), writer=writer)
    assert made.sentence == "A person walks their dog."
    assert asked == [["dog"]]


# -- sentences -----------------------------------------------------------------------------------------


def test_sentences() -> None:
    sure, less = Tag("Rain", 0.9, 0.5), Tag("Wind", 0.4, 0.4)
    assert sentence_in_english([sure]) == "The sound of rain."
    assert sentence_in_english([sure, less]) == "The sound of rain, perhaps with wind."
    assert sentence_in_english([less]) == "Perhaps the sound of wind."
    assert sentence_in_english([], "Rain") == "Nothing that can be named with confidence; the nearest is rain."
    assert join_words(["a", "b", "c"]) == "a, b and c"
    assert inline_label("Vehicle horn, car horn, honking") == "vehicle horn"
    assert inline_label("Whimper (dog)") == "whimper"
    assert inline_label("MIDI piano") == "MIDI piano"


def test_labels_without_gender(clap: CLAP) -> None:
    describer = Describer(clap, ["Rain"])
    for label in ("Male speech, man speaking", "Female singing"):
        sentence = describer.sentences([[Tag(label, 0.9, 0.5)]])[0]
        assert sentence == f"The sound of human {label.split()[1].rstrip(',')}."


def test_the_nearest_label_has_no_gender_either(clap: CLAP) -> None:
    """Where nothing was sure enough, the sentence named the nearest label as the list has it: male speech."""
    made = Describer(clap, ["Male speech, man speaking"], threshold=1.0)((sound("rain"), RATE))
    assert made.sentence == "Nothing that can be named with confidence; the nearest is human speech."


def test_no_label_of_the_default_list_keeps_its_gender(clap: CLAP) -> None:
    describer = Describer(clap, ["Rain"])
    for label in packaged("audioset"):
        sentence = describer.sentences([[Tag(label, 0.9, 0.5)]])[0]
        assert not re.search(r"\b(wo)?m[ae]n\b|\b(fe)?male\b", sentence, re.IGNORECASE), sentence


# -- what may come -------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [[], ["", "  "]])
def test_no_labels_is_one_sentence(clap: CLAP, labels: list[str]) -> None:
    with pytest.raises(UsageError, match="the list of labels is empty"):
        clap.describe((sound("rain"), RATE), labels)


def test_labels_that_are_none(clap: CLAP) -> None:
    with pytest.raises(UsageError, match="a list of texts"):
        check_labels("dog")
    with pytest.raises(UsageError, match="threshold"):
        clap.describe((sound("rain"), RATE), threshold=1.5)


def test_ten_thousand_labels_in_bounded_memory(clap: CLAP, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more confidences at once than are allowed, and the same tags as in one piece."""
    names = [f"thing {i}" for i in range(10_000)] + ["dog bark"]
    vectors = np.random.default_rng(0).standard_normal((10_001, clap.config.embedding)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    windows = np.concatenate([clap.encode_audio((sound("dog bark"), RATE)), vectors[:300]])
    vectors[-1] = clap.encode_text("dog bark")[0]
    vocabulary = Vocabulary(tuple(names), vectors, reference_bank(clap))
    whole = vocabulary.tags(windows[:30], threshold=0.05)
    largest = []
    real = type(vocabulary.reference).confidences

    def counted(self: Any, texts: Wave, some: Wave) -> Wave:
        largest.append(len(texts) * len(some))
        return real(self, texts, some)

    monkeypatch.setattr(type(vocabulary.reference), "confidences", counted)
    monkeypatch.setattr("openclap.describe.vocabulary.AT_ONCE", 50_000)
    assert vocabulary.tags(windows[:30], threshold=0.05) == whole
    assert max(largest) <= 50_000
    vocabulary.best_confidences(windows)
    assert max(largest) <= 50_000


def test_silence(clap: CLAP) -> None:
    made = clap.describe((np.zeros(RATE * 3, np.float32), RATE))
    assert (made.tags, made.sentence, made.captions) == ([], "Silence.", [])
    spans = timeline(Describer(clap, ["rain"]), (np.zeros(RATE * 3, np.float32), RATE))
    assert [(s.start, s.end, s.label) for s in spans] == [(0.0, 3.0, SILENCE)]


def test_what_is_high_is_no_silence(clap: CLAP) -> None:
    """Loudness was taken below 8 kHz, so a cricket that sings above was "Silence."."""
    wave = 0.3 * np.sin(2 * np.pi * 11_000 * np.arange(3 * RATE) / RATE).astype(np.float32)
    assert clap.describe((wave, RATE)).sentence != "Silence."
    assert SILENCE not in [span.label for span in timeline(Describer(clap, ["cricket"]), (wave, RATE))]


@pytest.mark.parametrize("wave", [np.ones(1, np.float32), np.full(1, 1e-6, np.float32)])
def test_one_sample(clap: CLAP, describer: Describer, wave: Wave) -> None:
    assert clap.describe((wave, RATE)).sentence
    (span,) = timeline(describer, (wave, RATE))
    assert (span.start, span.end) == (0.0, 0.0)


def test_a_file_that_is_read_from_a_pipe(clap: CLAP, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", sound("dog bark"), RATE)

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.file = io.BytesIO((tmp_path / "a.wav").read_bytes())

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return False

        def readinto(self, buffer: Any) -> int:
            return self.file.readinto(buffer)

        def read(self, size: int = -1) -> bytes:
            return self.file.read(size)

    piped: Any = Pipe()
    assert clap.describe(piped).tags == clap.describe(tmp_path / "a.wav").tags


# -- timelines -----------------------------------------------------------------------------------------


def test_a_path_changes_only_where_it_pays() -> None:
    better = np.array([[0, -1]] * 5 + [[-1, 0]] * 2 + [[0, -1]] * 5 + [[-1, 0]] * 9, np.float32)
    assert most_likely_path(better, 3.0).tolist() == [0] * 12 + [1] * 9
    assert most_likely_path(better, 0.5).tolist() == better.argmax(1).tolist()
    assert most_likely_path(better[:1], 3.0).tolist() == [0]


def test_a_path_is_the_best_of_all_paths() -> None:
    """Against every path of five steps through three states."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        emissions, change = rng.standard_normal((5, 3)).astype(np.float32), float(rng.uniform(0, 2))
        every = np.stack(np.meshgrid(*[range(3)] * 5, indexing="ij"), -1).reshape(-1, 5)
        worth = emissions[np.arange(5), every].sum(1) - change * (np.diff(every, axis=1) != 0).sum(1)
        assert most_likely_path(emissions, change).tolist() == every[worth.argmax()].tolist()


def test_a_timeline_names_what_is_heard_when(clap: CLAP) -> None:
    wave, truth = recording()
    spans = timeline(Describer(clap, ["vacuum cleaner", "cricket", "rain", "dog bark", "siren"]), (wave, RATE))
    assert spans[0].start == 0.0
    assert spans[-1].end == 30.0
    assert all(a.end == b.start and a.label != b.label for a, b in pairwise(spans))
    named = [span for span in spans if span.label]
    assert [span.label for span in named] == [label for *_, label in truth]
    for span, (start, end, _) in zip(named, truth, strict=True):
        assert abs(span.start - start) <= 0.5
        assert abs(span.end - end) <= 1.0
        assert span.tags[0].label == span.label
        assert span.tags[0].confidence == span.score >= 0.3


def test_nothing_changes_in_one_sound(describer: Describer) -> None:
    """A minute of rain is one span, not one a window, nor rain, raindrop, rain on surface."""
    spans = timeline(describer, (np.tile(sound("rain", 10.0), 3), RATE))
    assert [span.label for span in spans] == ["Rain"]
    assert (spans[0].start, spans[0].end) == (0.0, 30.0)


def test_a_dearer_change_makes_fewer_spans(describer: Describer) -> None:
    wave, _ = recording()
    many, few = (len(timeline(describer, (wave, RATE), change=change)) for change in (0.0, 1000.0))
    assert few == 1 < many
    with pytest.raises(UsageError, match="change"):
        timeline(describer, (wave, RATE), change=-1.0)


SPANS = [
    Span(0.0, 1.5, None, 0.0),
    Span(1.5, 3725.25, 'a | "b", <c> & d\nnext', 0.9, [Tag('a | "b", <c> & d\nnext', 0.9, 0.5), Tag("rain", 0.4, 0.3)]),
    Span(3725.25, 3726.0, SILENCE, 1.0, [Tag(SILENCE, 1.0, 0.0)]),
]
CLOCK = r"(\d\d):(\d\d):(\d\d)[.,](\d\d\d)"


def test_formats_are_read_back(tmp_path: Path) -> None:
    text = {}
    for ending in FORMATS:
        write_timeline(SPANS, tmp_path / f"t{ending}", "a|b.wav")
        text[ending] = (tmp_path / f"t{ending}").read_text(encoding="utf-8")
    made = json.loads(text[".json"])
    assert (made["format"], made["version"], len(made["spans"])) == ("openclap timeline", 1, 3)
    assert made["spans"] == [span.to_dict() for span in SPANS]
    table = list(csv.DictReader(io.StringIO(text[".csv"], newline="")))
    assert [(float(row["start"]), float(row["end"]), row["label"]) for row in table] == [
        (span.start, span.end, span.label or "") for span in SPANS
    ]
    rows = [line for line in text[".md"].splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(SPANS)
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {7}  # the bar in a label does not end its cell
    cues = [cue.split("\n") for cue in text[".srt"].strip().split("\n\n")]
    assert [cue[0] for cue in cues] == ["1", "2"]
    assert cues[0][1] == "00:00:01,500 --> 01:02:05,250"
    assert all(len(cue) == 3 for cue in cues)
    assert text[".vtt"].startswith("WEBVTT\n\n")
    blocks = text[".vtt"].strip().split("\n\n")[1:]
    assert all(re.fullmatch(f"{CLOCK} --> {CLOCK}", block.split("\n")[0]) for block in blocks)
    assert "&lt;c&gt; &amp; d" in blocks[0]
    assert not list(tmp_path.glob("*.part"))


def test_a_label_is_no_markup(tmp_path: Path) -> None:
    """HTML and links of a label or a file's name were live in the Markdown; an arrow in a subtitle was taken for its times."""
    label = "<img src=x onerror=alert(1)> [here](javascript:alert(1)) 00:00 --> 00:01 `x`"
    spans = [Span(0.0, 1.0, label, 0.9, [Tag(label, 0.9, 0.5)])]
    for ending in (".md", ".srt", ".vtt"):
        write_timeline(spans, tmp_path / f"t{ending}", "<b>.wav")
    page = (tmp_path / "t.md").read_text()
    assert not re.search(r"(?<!\\)[<\[`]", page)
    for ending in (".srt", ".vtt"):
        assert (tmp_path / f"t{ending}").read_text().count("-->") == 1


def test_writing_leaves_a_users_part_alone(tmp_path: Path) -> None:
    (tmp_path / "t.srt.part").write_text("a download")
    write_timeline(SPANS, tmp_path / "t.srt", "a.wav")
    with pytest.raises(UsageError):
        write_timeline(SPANS, tmp_path / f"{'t' * 300}.srt", "a.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.srt", "t.srt.part"]


def test_a_timeline_of_another_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.md, \.csv, \.json, \.srt, \.vtt or \.png"):
        write_timeline(SPANS, tmp_path / "t.doc", "a.wav")
    with pytest.raises(UsageError, match="cannot be written"):
        write_timeline(SPANS, tmp_path / "no" / "t.srt", "a.wav")


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from openclap.describe.picture import draw_timeline

    wave, truth = recording()
    spans = [Span(start, end, label, 0.8) for start, end, label in truth]
    draw_timeline((wave, RATE), spans, tmp_path / "t.png", title="three sounds", truth=spans)
    for name in (r"$\frac$ and $5", "\udcff.wav", "a\nb", "x" * 5000):  # TeX, and what no font has, were tracebacks
        draw_timeline((wave[:RATE], RATE), [Span(0.0, 1.0, name, 0.9)], tmp_path / "t.png", title=name)
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    draw_timeline((wave[:1], RATE), [Span(0.0, 0.0, None, 0.0)], tmp_path / "one.png")
    with pytest.raises(UsageError, match="cannot be written"):
        draw_timeline((wave, RATE), spans, tmp_path / "no" / "t.png")


def test_a_spectrogram_is_pooled_without_losing_its_end() -> None:
    wave = np.zeros(60 * RATE, np.float32)
    wave[-RATE // 2 :] = sound("snare drum", 0.5)[: RATE // 2]
    mel, seconds = spectrogram((wave, RATE), columns=100)
    assert 100 <= len(mel) < 400
    assert seconds == pytest.approx(60, abs=0.2)
    assert int(mel.max(1).argmax()) >= len(mel) - 8


# -- folders -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "sounds"
    (place / "deep").mkdir(parents=True)
    for name, kind in (("a.wav", "dog bark"), ("b.wav", "rain"), ("deep/c.wav", "snare drum")):
        sf.write(place / name, sound(kind, 2.0), RATE)
    (place / "bad.wav").write_text("no sound")
    return place


def stamps(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv"])
def test_a_folder_is_described_beside_it_and_only_once(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, ending: str
) -> None:
    output, before = tmp_path / f"out{ending}", stamps(folder)
    report = describe_to_file(clap, describer, [folder], output)
    assert (report.described, report.unchanged, [Path(f.path).name for f in report.failed]) == (3, 0, ["bad.wav"])
    assert stamps(folder) == before
    first = output.read_bytes()
    again = describe_to_file(clap, describer, [folder], output)
    assert (again.described, again.unchanged, len(again.failed)) == (0, 3, 1)
    assert output.read_bytes() == first
    assert b"Snare drum" in first
    (folder / "b.wav").unlink()
    sf.write(folder / "a.wav", sound("snare drum", 3.0), RATE)
    third = describe_to_file(clap, describer, [folder], output)
    assert (third.described, third.unchanged) == (1, 1)
    assert b"Rain" not in output.read_bytes()
    assert not list(tmp_path.glob("*.part"))
    other = describe_to_file(clap, Describer(clap, ["dog", "rain"]), [folder], output)
    assert other.described == 2  # other labels: described anew


def test_a_killed_run_is_continued(clap: CLAP, describer: Describer, folder: Path, tmp_path: Path) -> None:
    """What was on a line of the journal is not described again; its half line is left out."""
    output = tmp_path / "out.json"
    describe_to_file(clap, describer, [folder / "a.wav", folder / "b.wav"], output)
    whole = json.loads(output.read_text())
    head = {"format": whole["format"], "version": whole["version"]}
    lines = [json.dumps(head), json.dumps(whole["sounds"][0]), json.dumps(whole["sounds"][1])[:40]]
    output.unlink()
    (tmp_path / "out.json.part").write_text("\n".join(lines))
    report = describe_to_file(clap, describer, [folder], output)
    assert (report.described, report.unchanged) == (2, 1)
    assert json.loads(output.read_text())["sounds"][0] == whole["sounds"][0]


def test_an_interrupted_run_keeps_what_is_finished(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = Describer.describe_windows, []

    def until(self: Describer, path: Any, windows: Any) -> Any:
        seen.append(path)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(self, path, windows)

    monkeypatch.setattr(Describer, "describe_windows", until)
    with pytest.raises(KeyboardInterrupt):
        describe_to_file(clap, describer, [folder], tmp_path / "out.json")
    assert len(json.loads((tmp_path / "out.json").read_text())["sounds"]) == 1


def test_a_full_disk_at_the_end_keeps_what_was_described(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was written aside under the journal's name, so hours of descriptions went with the last byte of the disk."""
    real = os.replace

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("openclap.atomic_write.os.replace", full)
    with pytest.raises(UsageError, match="No space left"):
        describe_to_file(clap, describer, [folder], tmp_path / "out.json")
    monkeypatch.setattr("openclap.atomic_write.os.replace", real)
    assert describe_to_file(clap, describer, [folder], tmp_path / "out.json").unchanged == 3


def test_a_second_kill_loses_nothing(clap: CLAP, describer: Describer, folder: Path, tmp_path: Path) -> None:
    """What came after a half line was written onto it, and lost when that run was killed too."""
    output, journal = tmp_path / "out.json", tmp_path / "out.json.part"
    describe_to_file(clap, describer, [folder / "a.wav"], output)
    whole = json.loads(output.read_text())
    head = {"format": whole["format"], "version": whole["version"]}
    output.unlink()
    journal.write_text(json.dumps(head) + '\n{"path": "/ha')
    with _open_journal(journal) as file:
        file.write(json.dumps(whole["sounds"][0]) + "\n")
    assert describe_to_file(clap, describer, [folder], output).unchanged == 1


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".csv"])
def test_other_options_for_one_sound_do_not_cost_the_others(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, ending: str
) -> None:
    """One sound described with other labels threw away what the file said of all others; so did an interrupted run."""
    output = tmp_path / f"out{ending}"
    describe_to_file(clap, describer, [folder], output)
    other = Describer(clap, ["dog", "rain"])
    assert describe_to_file(clap, other, [folder / "a.wav"], output).described == 1
    assert describe_to_file(clap, describer, [folder], output).unchanged == 2
    shutil.rmtree(folder)  # as a drive that is not there
    describe_to_file(clap, describer, [tmp_path / "elsewhere.wav"], output)
    assert b"Snare drum" in output.read_bytes()


def test_a_sound_that_changes_while_it_is_described_is_described_again(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new time was kept with its old description."""
    real = Describer.describe_windows

    def meanwhile(self: Describer, path: Any, windows: Any) -> Any:
        made = real(self, path, windows)
        sf.write(folder / "a.wav", sound("rain", 3.0), RATE)
        return made

    monkeypatch.setattr(Describer, "describe_windows", meanwhile)
    describe_to_file(clap, describer, [folder / "a.wav"], tmp_path / "out.json")
    monkeypatch.setattr(Describer, "describe_windows", real)
    assert describe_to_file(clap, describer, [folder / "a.wav"], tmp_path / "out.json").described == 1


def test_two_runs_do_not_write_one_file(clap: CLAP, describer: Describer, folder: Path, tmp_path: Path) -> None:
    with _lock_output(tmp_path / "out.json"), pytest.raises(UsageError, match="another process is writing it"):
        describe_to_file(clap, describer, [folder], tmp_path / "out.json")
    assert describe_to_file(clap, describer, [folder], tmp_path / "out.json").described == 3


@pytest.mark.filterwarnings("ignore:a text of:openclap.errors.LanguageWarning")  # the first long one of a process
def test_odd_names_and_long_captions_are_read_back(clap: CLAP, folder: Path, tmp_path: Path) -> None:
    """A carriage return in a name, or captions of more than csv's 131072 characters, were a traceback in the second run."""
    for name in ("cr\rname.wav", "nl\nname.wav", "=cmd().wav", "a;b, c.wav", os.fsdecode(b"\xff\xfe.wav")):
        shutil.copy(folder / "a.wav", folder / name)
    describer = Describer(clap, captions=[f"{i} " + "caption " * 4000 for i in range(10)], nearest=10)
    assert describe_to_file(clap, describer, [folder], tmp_path / "out.csv").described == 8
    first = (tmp_path / "out.csv").read_bytes()
    assert describe_to_file(clap, describer, [folder], tmp_path / "out.csv").unchanged == 8
    assert (tmp_path / "out.csv").read_bytes() == first


@pytest.mark.parametrize(("name", "text"), [("m.csv", "file,caption\na.wav,x\n"), ("m.json", "[1]"), ("n.json", "{"), ("o.csv", "path,sentence,tags,confidences,captions,size,mtime_ns,settings\na,b,c,d,e,f,g,h\n"), ("p.csv", "path,sentence,tags,confidences,captions,size,mtime_ns,settings\na\n"), ("m.jsonl", '{"a": 1}\n')])  # fmt: skip
def test_what_belongs_to_the_user_is_left_alone(
    clap: CLAP, describer: Describer, folder: Path, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="left as it is"):
        describe_to_file(clap, describer, [folder], tmp_path / name)
    assert (tmp_path / name).read_text() == text
    with pytest.raises(UsageError, match="ends in"):
        describe_to_file(clap, describer, [folder], folder / "a.wav")


def test_timelines_of_a_folder(describer: Describer, folder: Path, tmp_path: Path) -> None:
    def run() -> Any:
        return timelines_to_folder(describer, [folder], tmp_path / "out", window=2.0, hop=0.5, change=5.0, pictures=False)  # fmt: skip

    report = run()
    assert (report.described, report.unchanged, len(report.failed)) == (3, 0, 1)
    made = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert made == {f"{n}{e}" for n in ("a.wav", "b.wav", "deep/c.wav") for e in FORMATS}
    (tmp_path / "out" / "a.wav.json").write_text(json.dumps(TIMELINE))  # killed after its first files
    assert (run().described, run().unchanged) == (1, 3)


@pytest.mark.parametrize("name", ["b.wav.json", "b.wav.srt", "b.wav.png"])
def test_a_timeline_goes_over_nothing_of_the_users(
    describer: Describer, folder: Path, tmp_path: Path, name: str
) -> None:
    """Subtitles and metadata that lay beside sounds under the same names were written over."""
    shutil.copytree(folder, tmp_path / "own")
    (tmp_path / "own" / name).write_text('{"mine": 1}')
    report = timelines_to_folder(describer, [folder], tmp_path / "own", window=2.0, hop=0.5, change=5.0, pictures=False)
    assert report.described == 2
    assert any(f.path.endswith("b.wav") and "left as it is" in f.error for f in report.failed)
    assert (tmp_path / "own" / name).read_text() == '{"mine": 1}'
    assert len(list((tmp_path / "own").glob("b.wav*"))) == 2


def test_a_name_that_leaves_no_room_stops_nothing(describer: Describer, folder: Path, tmp_path: Path) -> None:
    (folder / "a.wav").rename(folder / f"{'a' * 250}.wav")
    report = timelines_to_folder(describer, [folder], tmp_path / "out", window=2.0, hop=0.5, change=5.0, pictures=False)
    assert (report.described, len(report.failed)) == (2, 2)
    assert any("too long" in failure.error for failure in report.failed)


# -- the command line ----------------------------------------------------------------------------------


def test_the_verb(folder: Path, tmp_path: Path) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": ":".join(sys.path), "OPENCLAP_MODEL": "mini-3"}
        command = [sys.executable, "-m", "openclap.cli.app", "describe", *args]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    done = run(str(folder), "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert "bad.wav" in done.stderr
    assert "Traceback" not in done.stderr
    assert [row["tags"][0]["label"] for row in rows] == ["Dog", "Rain", "Snare drum"]
    done = run("--timeline", str(folder / "a.wav"), "-o", str(tmp_path / "a.srt"), "-o", str(tmp_path / "a.vtt"), "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["label"] == "Dog"
    assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:00,000 --> ")
    done = run(str(folder / "a.wav"), "--language", "zh", "--json")
    assert json.loads(done.stdout)["tags"][0]["label"] == "狗"
    for wrong in (
        ("--labels", " , "),
        ("--timeline", "-o", "x.doc"),
        ("-o", "x.txt"),
        ("--captions", "/no/such"),
    ):
        done = run(str(folder / "a.wav"), *wrong)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 1
        assert "Traceback" not in done.stderr
