"""Files with several tracks of sound: which is taken is told, and another can be chosen, in every door."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from muxed_for_tests import RATE, Track, muxed, noise
from typer.testing import CliRunner

from openclap import CLAP
from openclap.audio.decode_limits import limit
from openclap.audio.load import cut, duration, load, stream
from openclap.describe import Describer, timeline
from openclap.errors import SoundWarning, UnreadableSound, UsageError

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)
HISS = noise(1.5)


def two(default: int | None = 2, container: str = "matroska") -> bytes:
    """Noise, and then a tone; which one the container marks as its default."""
    return muxed(
        container,
        [Track(HISS, default=default == 1, language="eng"), Track(TONE, default=default == 2, language="deu")],
    )


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini")


@pytest.mark.parametrize(
    ("default", "taken", "wave"),
    [(1, "track 1 \\(eng\\)", HISS), (2, "track 2 \\(deu\\)", TONE), (None, "track 1 \\(eng\\)", HISS)],
)
def test_the_default_is_taken_else_the_first_and_told(default: int | None, taken: str, wave: np.ndarray) -> None:
    with pytest.warns(SoundWarning, match=f"holds 2 tracks of sound; {taken} is taken"):
        np.testing.assert_allclose(load(two(default), RATE), wave, atol=1e-4)


def test_a_track_is_chosen_and_nothing_is_told() -> None:
    data = two()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SoundWarning)
        for number, wave in ((1, HISS), (2, TONE)):
            sound = limit(data, track=number)
            np.testing.assert_allclose(load(sound, RATE), wave, atol=1e-4)
            np.testing.assert_allclose(np.concatenate(list(stream(sound, RATE))), wave, atol=1e-4)
            np.testing.assert_allclose(cut(sound, RATE, [(0.2, 0.4)])[0], wave[9600:19200], atol=1e-4)
            assert duration(sound) == pytest.approx(len(wave) / RATE, abs=0.002)


def test_a_track_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSound, match=r"track 3 is wanted and there are 2 tracks of sound in it"):
        load(limit(two(), track=3), RATE)
    sf.write(tmp_path / "a.wav", TONE, RATE)
    assert len(load(limit(tmp_path / "a.wav", track=1), RATE)) == RATE
    for sound in (tmp_path / "a.wav", (TONE, RATE)):
        with pytest.raises(UnreadableSound, match="track 2 is wanted and there is one track"):
            load(limit(sound, track=2), RATE)


def test_every_method_takes_a_track(clap: CLAP) -> None:
    from openclap.library import moments_in

    data, single = two(), [load(limit(two(), track=number), RATE) for number in (1, 2)]
    texts = ["hiss", "a beep"]
    for number, wave in enumerate(single, 1):
        pair = (wave, RATE)
        row = clap.encode_audio(pair)
        np.testing.assert_allclose(clap.encode_audio(data, track=number), row, atol=1e-5)
        np.testing.assert_allclose(clap.encode_audio([data, data], track=number), np.tile(row, (2, 1)), atol=1e-5)
        np.testing.assert_allclose(
            clap.encode_windows(data, track=number).embedding, clap.encode_windows(pair).embedding, atol=1e-5
        )
        assert [m.score for m in clap.match(data, texts, track=number)] == pytest.approx(
            [m.score for m in clap.match(pair, texts)], abs=1e-5
        )
        assert clap.classify(data, texts, track=number)[0].label == clap.classify(pair, texts)[0].label
        assert moments_in(clap, data, "a beep", track=number)[0].score == pytest.approx(
            moments_in(clap, pair, "a beep")[0].score, abs=1e-4
        )
    with pytest.raises(UsageError, match="counted from 1"):
        clap.encode_audio(data, track=0)


def test_describing_hears_the_track(clap: CLAP, tmp_path: Path) -> None:
    """A folder's descriptions were those of the track of before: another one was no other setting."""
    from openclap.catalogue import describe_to_file

    words = ["hiss", "a beep", "a dog"]
    for number, wave in ((1, HISS), (2, TONE)):
        right = clap.describe((wave, RATE), words, threshold=0.0)
        found = clap.describe(two(), words, threshold=0.0, track=number)
        assert {tag.label: tag.confidence for tag in found.tags} == pytest.approx(
            {tag.label: tag.confidence for tag in right.tags}, abs=1e-2
        )
        describer = Describer(clap, words, track=number)
        assert timeline(describer, two())[-1].end == pytest.approx(len(wave) / RATE, abs=0.002)
        (tmp_path / "a.mkv").write_bytes(two()) if number == 1 else None
        assert describe_to_file(clap, describer, [tmp_path / "a.mkv"], tmp_path / "out.json").described == 1
    assert describe_to_file(clap, describer, [tmp_path / "a.mkv"], tmp_path / "out.json").unchanged == 1


def test_the_command_line_takes_a_track(tmp_path: Path, clap: CLAP) -> None:
    from openclap.cli.app import app

    (tmp_path / "a.mkv").write_bytes(two())
    found = {}
    for number in ("1", "2"):
        ran = CliRunner().invoke(app, ["match", str(tmp_path / "a.mkv"), "hiss", "--track", number, "--json"])
        assert ran.exit_code == 0, ran.output
        found[number] = json.loads(ran.stdout.splitlines()[-1])["score"]
        assert found[number] == pytest.approx(clap.match(two(), "hiss", track=int(number))[0].score, abs=1e-5)
    assert found["1"] != found["2"]
    ran = CliRunner().invoke(app, ["classify", str(tmp_path / "a.mkv"), "--labels", "hiss", "--track", "3"])
    assert ran.exit_code == 1
    with pytest.warns(SoundWarning, match="2 tracks"):  # what one run chose is no other run's choice
        CliRunner().invoke(app, ["match", str(tmp_path / "a.mkv"), "hiss", "--json"])


@pytest.mark.filterwarnings("ignore::openclap.errors.SoundWarning")
def test_a_stream_that_turns_up_in_the_middle_is_left_out() -> None:
    """One bit of a damaged MPEG-TS made another stream of a packet: "IndexError: list index out of range"."""
    data = bytearray(muxed("mpegts", [Track(noise(4.0))], codec="mp2"))
    packets = range(0, len(data), 188)
    begins = [at for at in packets if data[at + 1] & 0x40 and data[at + 1 : at + 3] == b"\x41\x00"]  # of the sound
    data[begins[len(begins) // 2] + 2] ^= 4  # is of a stream 0x104 now
    assert 3.0 < len(load(bytes(data), RATE)) / RATE < 4.5
    assert 3.0 < (duration(bytes(data)) or 0) < 4.5
