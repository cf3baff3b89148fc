"""Any sound → mono at the rate wanted: formats, rates, faults, and blocks equal to the whole."""

from __future__ import annotations

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from openclap.audio import load as load_module
from openclap.audio.load import duration, is_sound, load, sound_name, stream
from openclap.errors import (
    EmptySound,
    NotFiniteSound,
    SoundError,
    SoundNotFound,
    SoundWarning,
    UnreadableSound,
    UsageError,
)

RATE = 44_100


def tone(seconds: float = 1.0, rate: int = RATE, hz: float = 440.0, channels: int = 1) -> npt.NDArray[np.float32]:
    t = np.arange(round(seconds * rate)) / rate
    wave = (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)
    return wave if channels == 1 else np.stack([wave * (c + 1) / channels for c in range(channels)], axis=1)


def written(path: Path, wave: npt.NDArray[Any], rate: int = RATE, **kind: str) -> Path:
    sf.write(path, wave, rate, **kind)
    return path


def muxed(
    path: Path,
    wave: npt.NDArray[np.float32],
    codec: str,
    *,
    video: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """A file made by FFmpeg: what libsndfile does not read."""
    with av.open(str(path), "w", options=options or {}) as container:
        pictures = container.add_stream("mpeg4", rate=10) if video else None
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        if pictures is not None:
            pictures.width = pictures.height = 64
            for _ in range(10):
                picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode())
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def pitch(wave: npt.NDArray[np.float32], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * rate / len(wave))


# -- formats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["wav", "flac", "aiff", "au", "caf", "w64", "rf64", "ogg", "mp3"])
def test_every_format_gives_the_same_sound(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}", tone(2.0))
    wave = load(path, RATE)
    assert wave.dtype == np.float32
    assert len(wave) == 2 * RATE
    exact = ending not in ("ogg", "mp3")
    np.testing.assert_allclose(wave, tone(2.0), atol=2**-15 if exact else 0.05)
    assert duration(path) == pytest.approx(2.0, abs=1e-3)


def test_opus_is_heard_at_its_pitch(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    sf.write(path, tone(2.0, 48_000), 48_000, format="OGG", subtype="OPUS")
    assert pitch(load(path, 48_000), 48_000) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("ending", "codec", "video"),
    [
        ("m4a", "aac", False),
        ("mp4", "aac", True),
        ("mkv", "pcm_s16le", False),
        ("mka", "libopus", False),
        ("aac", "aac", False),
    ],
)
def test_what_libsndfile_cannot_read(tmp_path: Path, ending: str, codec: str, video: bool) -> None:
    rate = 48_000 if codec == "libopus" else RATE
    if codec == "libopus":
        path = tmp_path / f"a.{ending}"
        with av.open(str(path), "w") as container:
            sound = container.add_stream(codec, rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone(1.0, rate)[None], format="fltp", layout="mono")
            frame.sample_rate = rate
            container.mux([*sound.encode(av.AudioResampler("flt").resample(frame)[0]), *sound.encode()])
    else:
        path = muxed(tmp_path / f"a.{ending}", tone(1.0), codec, video=video)
    wave = load(path, 48_000)
    assert pitch(wave, 48_000) == pytest.approx(440, abs=2)
    assert len(wave) / 48_000 == pytest.approx(1.0, abs=0.08)
    assert np.sqrt(np.mean(wave[9_600:-9_600] ** 2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)
    assert duration(path) == pytest.approx(1.0, abs=0.08)


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    """soundfile takes `x.raw` for headerless samples whatever it holds, and asks for a rate."""
    flac = written(tmp_path / "a.flac", tone()).read_bytes()
    for name in ("b.wav", "b.raw", "b.mp3", "b.txt", "b"):
        (tmp_path / name).write_bytes(flac)
        np.testing.assert_array_equal(load(tmp_path / name, RATE), load(tmp_path / "a.flac", RATE))


def test_flac_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile fails at the end of a FLAC made by a pipe (frames = 2**63 - 1) and loses the last block."""
    path = written(tmp_path / "a.flac", tone(2.0))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits that count the samples in STREAMINFO: 0 = unknown
    data[22:26] = bytes(4)
    np.testing.assert_array_equal(load(bytes(data), RATE), load(path, RATE))
    assert duration(bytes(data)) == 2.0


def test_mp3_without_a_header_is_not_called_cut(tmp_path: Path) -> None:
    """libsndfile estimates the length of such a file, reads less, and the file looked cut."""
    data = written(tmp_path / "a.mp3", tone(3.0)).read_bytes()
    start = data.index(b"\xff\xfb", data.find(b"Info") if b"Info" in data[:2000] else max(data.find(b"Xing"), 0))
    assert len(load(data[start:], RATE)) == pytest.approx(3 * RATE, abs=4000)


def test_broken_mp3_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """mpg123 inside libsndfile prints `Note: Illegal Audio-MPEG-Header` on stderr, which is ours."""
    data = written(tmp_path / "a.mp3", tone(2.0)).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoundWarning)
        load(data[: len(data) // 2], RATE)
        load(data + b"TRAILING" * 500, RATE)
    assert capfd.readouterr() == ("", "")


# -- what a sound can be ------------------------------------------------------------------------------


def test_every_way_to_give_a_sound_is_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "a 有 空格.wav", tone(), subtype="FLOAT")
    data = path.read_bytes()
    expected = load((tone(), RATE), 48_000)
    with path.open("rb") as file:
        ways: list[Any] = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file]
        ways += [{"array": tone(), "sampling_rate": RATE}, (tone(), float(RATE)), (tone().tolist(), RATE)]
        for way in ways:
            assert is_sound(way)
            np.testing.assert_array_equal(load(way, 48_000), expected)
        assert not file.closed


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    written(tmp_path / "a.wav", tone())
    assert len(load("~/a.wav", RATE)) == RATE


def test_open_file_is_read_from_its_position_and_set_back(tmp_path: Path) -> None:
    """The binding of libsndfile seeks to absolute places: a file inside a file was read from byte 0."""
    for ending in ("wav", "flac", "ogg", "mp3"):
        data = written(tmp_path / f"a.{ending}", tone()).read_bytes()
        file = io.BytesIO(b"something before" + data)
        file.seek(16)
        np.testing.assert_array_equal(load(file, RATE), load(data, RATE))
        assert file.tell() == 16
        np.testing.assert_array_equal(load(file, RATE, seconds=0.1), load(data, RATE)[: RATE // 10])
        assert file.tell() == 16


def test_file_that_cannot_seek(tmp_path: Path) -> None:
    data = written(tmp_path / "a.wav", tone()).read_bytes()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError("cannot seek")

    np.testing.assert_array_equal(load(Pipe(data), RATE), load(data, RATE))


def test_torch_tensor_with_gradient() -> None:
    torch = pytest.importorskip("torch")
    wave = torch.from_numpy(tone()).requires_grad_()
    np.testing.assert_array_equal(load((wave, RATE), RATE), tone())


def test_a_pair_is_one_sound_a_list_is_not() -> None:
    assert is_sound((tone(), RATE))
    assert is_sound((tone(), np.int64(RATE)))
    assert is_sound((tone(), "48000"))  # refused by name when it is loaded
    for several in (
        ["a.wav", "b.wav"],
        ("a.wav", "b.wav"),
        (tone(), tone()),
        [tone(), RATE],
        ((tone(), 1), (tone(), 1)),
        tone(),
        None,
        3,
    ):
        assert not is_sound(several)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("int8", -128, 127),
        ("uint8", 0, 255),
        ("int16", -(2**15), 2**15 - 1),
        ("uint16", 0, 2**16 - 1),
        ("int32", -(2**31), 2**31 - 1),
    ],
)
def test_integers_are_scaled_by_their_full_range(dtype: str, low: int, high: int) -> None:
    middle = (low + high + 1) // 2
    wave = load((np.array([low, middle, high], dtype), RATE), RATE)
    np.testing.assert_allclose(wave, [-1.0, 0.0, (high - middle) / (middle - low)], atol=1e-7)


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    stereo = np.array([[0.5, 0.25], [-1.0, 1.0], [0.0, 0.125], [1.0, 0.5]], np.float32)
    mean = [0.375, 0.0, 0.0625, 0.75]
    np.testing.assert_array_equal(load((stereo, RATE), RATE), mean)
    np.testing.assert_array_equal(load(written(tmp_path / "a.wav", stereo, subtype="FLOAT"), RATE), mean)
    six = tone(0.1, channels=6)
    np.testing.assert_allclose(load((six, RATE), RATE), six.mean(axis=1), atol=1e-6)


def test_what_is_loaded_is_the_callers_own() -> None:
    wave = tone()
    load((wave, RATE), RATE)[:] = 0
    assert wave.any()


# -- rates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_any_rate(rate: int) -> None:
    wave = load((tone(1.0, rate), rate), 48_000)
    assert len(wave) == 48_000
    np.testing.assert_allclose(wave[2000:-2000], tone(1.0, 48_000)[2000:-2000], atol=2e-4)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 192_000])
def test_one_sample_is_a_sound(rate: int) -> None:
    """One sample at 192 kHz is a quarter of one at 48 kHz: soxr gives none, and the clip crashed."""
    wave = load((np.array([0.5], np.float32), rate), 48_000)
    assert len(wave) >= 1
    assert np.isfinite(wave).all()


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_blocks_are_the_whole(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(1)
    noise = (tone(3.0) + 0.1 * rng.standard_normal(3 * RATE)).astype(np.float32)
    path = tmp_path / f"a.{ending}"
    muxed(path, noise, "aac") if ending == "m4a" else written(path, noise)
    whole = load(path, 32_000)
    for seconds in (0.01, 0.37, 1.0, 100.0):
        blocks = list(stream(path, 32_000, block_seconds=seconds))
        assert all(len(block) for block in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert len(list(stream(path, 32_000, block_seconds=0.37))) >= 8


def test_the_beginning_is_that_of_the_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", tone(3.0))
    np.testing.assert_array_equal(load(path, 48_000, seconds=0.5), load(path, 48_000)[:24_000])
    assert len(load(path, 48_000, seconds=60)) == 3 * 48_000


def test_the_beginning_decodes_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    given = 0
    blocks = load_module._wave_blocks

    def counted(*args: Any) -> Any:
        nonlocal given
        for rate, wave in blocks(*args):
            given += len(wave)
            yield rate, wave

    monkeypatch.setattr(load_module, "_wave_blocks", counted)
    load((np.zeros(100 * RATE, np.float32), RATE), 48_000, seconds=1.0)
    assert given < 3 * RATE


def test_memory_of_a_block_is_bounded_whatever_the_header_claims() -> None:
    wave = np.zeros((3_000_000, 4), np.float32)
    file = io.BytesIO()
    sf.write(file, wave, 192_000, format="WAV")
    assert max(len(block) for block in stream(file.getvalue(), 192_000, block_seconds=1e6)) <= 2**20


def test_threads_do_not_mix_sounds(tmp_path: Path) -> None:
    paths = [
        written(tmp_path / f"{hz}.{e}", tone(1.0, hz=hz)) for hz in (300, 700, 1500) for e in ("ogg", "mp3", "flac")
    ]
    with ThreadPoolExecutor(6) as pool:
        for path, wave in zip(paths * 6, pool.map(lambda p: load(p, 48_000), paths * 6), strict=True):
            assert pitch(wave, 48_000) == pytest.approx(float(path.stem), abs=2)


# -- faults: one typed error each, naming the sound and the cause -------------------------------------


def check(sound: Any, error: type[SoundError], *words: str) -> None:
    with pytest.raises(error) as caught:
        load(sound, 48_000)
    text = str(caught.value)
    assert text.startswith(sound_name(sound) + ": ")
    assert "\n" not in text
    for word in words:
        assert word in text
    with pytest.raises(error):
        list(stream(sound, 48_000))


def test_missing_directory_empty(tmp_path: Path) -> None:
    check(tmp_path / "no.wav", SoundNotFound, "no such file")
    check(tmp_path / "no" / "a.wav", SoundNotFound, "no such file")
    check("x" * 5000, SoundNotFound, "no such file")
    check("a\0b.wav", SoundNotFound, "zero byte")
    check(tmp_path, UnreadableSound, "directory")
    (tmp_path / "empty.wav").touch()
    check(tmp_path / "empty.wav", EmptySound, "0 bytes")
    check(b"", EmptySound, "0 bytes")
    check(io.BytesIO(b"used up"[7:]), EmptySound, "0 bytes")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", tone())

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    check(str(path), UnreadableSound, "permission")


def test_a_disk_that_fails_on_the_way(tmp_path: Path) -> None:
    """FFmpeg hands the OSError of a failing read through, which stopped a run over a thousand files."""
    data = muxed(tmp_path / "a.m4a", tone(), "aac").read_bytes()

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if size and self.tell() > 0:
                raise OSError(5, "Input/output error")
            return super().read(size)

        def readinto(self, buffer: Any) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(UnreadableSound, match="Input/output error"):
        load(Failing(b"ID3" + data), RATE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    check(tmp_path / "pipe.wav", UnreadableSound, "pipe")


def test_url_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        "https://example.org/a.wav",
        "http://127.0.0.1:9/a.mp3",
        "rtsp://x/y",
        "file:///etc/hostname",
    ):
        check(url, SoundNotFound, "URL", "nothing is fetched")


def test_a_file_cannot_make_ffmpeg_open_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's concat and HLS readers follow what a text names: a sound sent to a server read its disk."""
    written(tmp_path / "secret.wav", tone())
    monkeypatch.chdir(tmp_path)
    check(b"ffconcat version 1.0\nfile secret.wav\n", UnreadableSound)
    check(f"#EXTM3U\n#EXTINF:1,\nfile://{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n".encode(), UnreadableSound)
    check(
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        UnreadableSound,
    )


def test_no_audio_at_all(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("this is not audio\n" * 100)
    check(text, UnreadableSound, "not a sound")
    check(bytes(100_000), UnreadableSound)
    check(np.random.default_rng(0).bytes(100_000), UnreadableSound)
    check("UTF-16 begins like MP3\n".encode("utf-16") * 100, UnreadableSound)
    check(b"RIFF", UnreadableSound)
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(pictures.encode())
    check(tmp_path / "silent.mp4", UnreadableSound, "without any audio")


def test_a_frame_of_mp3_found_by_chance_is_no_sound(tmp_path: Path) -> None:
    """FFmpeg found 768 samples of MP3 in terminfo and time-zone files, shared libraries and archives."""
    frame = written(tmp_path / "a.mp3", tone()).read_bytes()
    start = frame.index(b"\xff\xfb", 3000)
    end = frame.index(b"\xff\xfb", start + 1)
    noise = np.random.default_rng(3).integers(0, 128, 3000, dtype=np.uint8).tobytes()
    check(noise[:1000] + frame[start:end] + noise[1000:], UnreadableSound)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "aiff"])
def test_file_without_samples(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}", np.zeros(0, np.float32))
    check(path, (EmptySound, UnreadableSound))  # type: ignore[arg-type]  # an Ogg without samples has no header either


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    wave = tone(2.0)
    wave[50_000] = bad
    check((wave, RATE), NotFiniteSound)
    check((wave.astype(np.float64) * 1e30, RATE), NotFiniteSound)
    check(written(tmp_path / "a.wav", wave, subtype="FLOAT"), NotFiniteSound, "a.wav")
    check((np.stack([wave, wave], axis=1), RATE), NotFiniteSound)


@pytest.mark.parametrize("ending", ["wav", "aiff", "au", "w64", "flac", "ogg", "mp3", "m4a", "mkv"])
def test_cut_file_gives_what_is_there(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    noise = np.random.default_rng(2).standard_normal(4 * RATE).astype(np.float32) * np.float32(0.1)
    if ending in ("m4a", "mkv"):
        muxed(path, noise, "aac", options={"movflags": "+faststart"} if ending == "m4a" else None)
    else:
        written(path, noise)
    whole = load(path, RATE)  # no warning: pytest makes them errors
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.warns(SoundWarning, match=rf"cut\.{ending}: cut short .* \d\.\d\d s"):
        wave = load(cut, RATE)
    assert RATE < len(wave) < 3 * RATE
    np.testing.assert_allclose(wave[: RATE // 2], whole[: RATE // 2], atol=1e-4)
    with pytest.warns(SoundWarning):
        np.testing.assert_array_equal(np.concatenate(list(stream(cut, RATE, block_seconds=0.3))), wave)


def test_cut_before_the_first_sample(tmp_path: Path) -> None:
    data = written(tmp_path / "a.wav", tone()).read_bytes()
    check(data[:44], EmptySound, "cut before the first one")
    check(data[:30], UnreadableSound)


def test_streamed_wav_is_not_called_cut(tmp_path: Path) -> None:
    """Who writes a WAV to a pipe announces 4 GiB, not knowing the size."""
    data = bytearray(written(tmp_path / "a.wav", tone()).read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert len(load(bytes(data), RATE)) == RATE


# -- wrong use ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (np.float32(1), r"shape \(\)"),
        (np.zeros((2, 3, 4)), r"\(S,\) or \(S, channels\)"),
        (np.zeros((2, 4000)), r"pass \(S, channels\)"),
        (np.zeros(9, np.int64), "int64"),
        (np.zeros(9, np.complex64), "complex64"),
        (np.zeros(9, bool), "bool"),
        (np.array(["a"]), "samples are floats"),
        ([[1.0], [1.0, 2.0]], "array of samples"),
    ],
)
def test_waves_refused(wave: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        stream((wave, RATE), 48_000)


def test_wave_without_samples_is_empty() -> None:
    waves: list[Any] = [np.zeros(0), np.zeros((0, 2)), np.zeros((5, 0)), []]
    for wave in waves:
        with pytest.raises(EmptySound, match="no samples"):
            load((wave, RATE), 48_000)


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, None, "48000", True, 1e-3, 1e12])
def test_rates_refused(rate: Any) -> None:
    with pytest.raises(UsageError, match="rate"):
        stream((tone(), rate), 48_000)
    with pytest.raises(UsageError, match="rate"):
        stream((tone(), RATE), rate)


def test_what_is_no_sound() -> None:
    with pytest.raises(UsageError, match="no sampling rate"):
        load(tone(), 48_000)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"needs 'array' and 'sampling_rate', .*this one has 'file'"):
        load({"file": "a.wav"}, 48_000)
    with pytest.raises(UsageError, match="int is not a sound"):
        load(3, 48_000)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="mode 'rb'"):
        load(io.StringIO("text"), 48_000)  # type: ignore[arg-type]
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(UnreadableSound, match="closed"):
        load(closed, 48_000)
    with pytest.raises(UsageError, match="seconds"):
        load((tone(), RATE), 48_000, seconds=0)


def test_header_with_an_impossible_rate(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "a.wav", tone()).read_bytes())
    data[24:28] = (1).to_bytes(4, "little")
    check(bytes(data), UnreadableSound, "claims 1")


def test_names_print_in_one_line() -> None:
    assert sound_name("a\nb\udcff.wav") == r"a\nb\udcff.wav"
    assert sound_name(b"1234") == "<4 bytes>"
    assert sound_name((np.zeros((9, 2)), 8000)) == "<wave of shape (9, 2) at 8000 Hz>"
    assert sound_name(io.BytesIO()) == "<BytesIO>"
    assert len(sound_name("x" * 10_000)) < 400
