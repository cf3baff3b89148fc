"""Microsoft's CLAP of 2022 and 2023: `.pth` files as released give the numbers of the package msclap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from msclap_for_tests import RATE, TEXTS, recordings, released_file

from openclap import CLAP
from openclap.audio.mel import mel_bank
from openclap.checkpoints.load import load_checkpoint
from openclap.checkpoints.msclap import OF_2022, OF_2023
from openclap.checkpoints.tokenizer import Tokenizer
from openclap.errors import BadCheckpoint, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly the same vector:openclap.errors.ModelWarning")

NUMBERS = np.load(Path(__file__).parent / "data" / "golden" / "msclap.npz")
YEARS = ("2022", "2023")
STATE_OF_HTSAT = "audio_encoder.base.htsat."


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {year: released_file(tmp_path_factory.mktemp(year) / f"CLAP_weights_{year}.pth", year) for year in YEARS}


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize("year", YEARS)
def test_a_released_file_gives_microsofts_numbers(
    year: str, backend: str, files: dict[str, Path], tmp_path: Path
) -> None:
    """Front end, towers, poolings, projections and tokens, as its wrapper makes them of sounds and texts."""
    clap = CLAP.from_pretrained(files[year], backend=backend)
    sounds = [(wave, RATE) for wave in recordings().values()]
    assert np.abs(clap.encode_audio(sounds, long="head") - NUMBERS[f"{year}/audio"]).max() < 2e-5
    assert np.abs(clap.encode_text(TEXTS) - NUMBERS[f"{year}/text"]).max() < 1e-5  # few: numpy
    many = clap.encode_text(TEXTS * 5)  # many: a graph
    assert np.abs(many - np.tile(NUMBERS[f"{year}/text"], (5, 1))).max() < 1e-5
    assert clap.config.licence == "MS-PL"
    clap.save_pretrained(tmp_path)
    again = CLAP.from_pretrained(tmp_path, backend=backend)
    assert again.fingerprint == clap.fingerprint
    assert np.abs(again.encode_text(TEXTS[1]) - clap.encode_text(TEXTS[1])).max() < 1e-6
    assert again.config == clap.config


@pytest.mark.parametrize(("year", "seconds"), [("2022", 5.0), ("2023", 7.0)])
def test_windows_are_as_long_as_its_clips(year: str, seconds: float, files: dict[str, Path]) -> None:
    """The usual 10 s were refused: no library could be made."""
    clap = CLAP.from_pretrained(files[year])
    windows = clap.encode_windows((recordings()["long"], RATE))
    assert list(windows.start) == pytest.approx([0, 2.5, 4] if year == "2022" else [0, 2])
    assert np.all(windows.end - windows.start == pytest.approx(seconds))
    with pytest.raises(UsageError, match=f"at most the model's {seconds:g} s"):
        clap.encode_windows((recordings()["long"], RATE), window=10.0)


def test_the_scale_of_cosines_is_not_bounded(files: dict[str, Path], tmp_path: Path) -> None:
    """Microsoft's settings name a temperature of 0.003, which is a scale of 333; LAION's models are held to 100."""
    file = released_file(tmp_path / "x.pth", "2022", logit_scale=torch.tensor(5.8))
    assert CLAP.from_pretrained(file).logit_scale == pytest.approx(np.exp(5.8))


def test_gpt2_reads_a_space_and_an_end_after_each_text(files: dict[str, Path]) -> None:
    """`text + " <|endoftext|>"` is a token for the space, too; padding is "!", and so may be the text."""
    checkpoint = load_checkpoint(files["2023"])
    assert checkpoint.tokenizer_file is not None
    ids, mask = Tokenizer(checkpoint.tokenizer_file, checkpoint.config.text)(["a!", "a dog"])
    end = checkpoint.config.text.vocabulary - 1
    assert ids[0].tolist() == [64, 0, 220, end]
    assert mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 1]]
    assert ids[1, 2:].tolist() == [220, end]


def test_the_mel_bank_is_that_of_the_file(files: dict[str, Path], tmp_path: Path) -> None:
    """HTSAT of 2023 hears 44.1 kHz through the bank of 32 kHz: what was in the file when it was trained counts."""
    name = f"{STATE_OF_HTSAT}logmel_extractor.melW"
    assert load_checkpoint(files["2023"]).config.front_end == OF_2023
    for front_end in (OF_2023, OF_2022):
        bank = torch.from_numpy(mel_bank(front_end).copy())
        read = load_checkpoint(released_file(tmp_path / "bank.pth", "2023", **{name: bank})).config.front_end
        assert read.mel_rate == front_end.mel_rate
        assert read.clip_seconds == 7.0
    with pytest.raises(BadCheckpoint, match=r"a mel bank \(513, 64\) that is none of Microsoft's CLAP"):
        load_checkpoint(released_file(tmp_path / "bank.pth", "2023", **{name: bank * 2}))


def test_a_bank_of_another_rate_lies_higher() -> None:
    """At 44.1 kHz the first band of the bank of 32 kHz begins at 50 * 44.1 / 32 Hz."""
    assert OF_2023.bank_rate == 32_000
    own, shifted = (np.flatnonzero(mel_bank(front)[:, -1])[-1] for front in (OF_2022, OF_2023))
    assert shifted / own == pytest.approx(44.1 / 32, rel=0.01)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("clap.base.htsat.bn0.weight", "gpt.transformer.wte.weight"),
            r"it is a model that writes captions \(clapcap\)",
        ),
        (("audio_encoder.base.bn0.weight",), "an audio tower of Microsoft's or WavCaps' CLAP without its text tower"),
        (("bn0.weight", "conv_block1.conv1.weight"), "it is an audio tagger"),
        (("a", "b", "c", "d"), "found a, b, c"),
        ((), "found none"),
    ],
)
def test_a_file_without_a_clap_says_what_it_is(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    torch.save({"model": dict.fromkeys(names, torch.zeros(2))}, tmp_path / "x.pth")
    with pytest.raises(BadCheckpoint, match=f"no weights of a CLAP in it .*{message}"):
        load_checkpoint(tmp_path / "x.pth")


def test_a_truncated_file_and_a_missing_weight(files: dict[str, Path], tmp_path: Path) -> None:
    whole = files["2022"].read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCheckpoint, match="cut short; download it again"):
        load_checkpoint(tmp_path / "cut.pth")
    state = torch.load(files["2023"], weights_only=True)
    del state["model"]["caption_encoder.base.h.1.ln_2.bias"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(BadCheckpoint, match=r"1 missing: text\.tower\.h\.1\.ln_2\.bias"):
        load_checkpoint(tmp_path / "less.pth")
    del state["model"]["audio_encoder.projection.linear1.weight"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(BadCheckpoint, match=r"weight 'audio_projection.0.weight' is missing"):
        load_checkpoint(tmp_path / "less.pth")
