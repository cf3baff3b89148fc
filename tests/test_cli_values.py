"""Wrong values on the command line are refused with a plain sentence; --help names what a value is."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from openclap.cli.app import app
from openclap.errors import UnknownModel, UsageError

WRONG = {
    "classify x.wav --labels a --top 0": "'--top': 0 is too small; give 1 or more",
    "search rain -k x": "'-k': 'x' is no whole number",
    "watch x --pre-roll -1": "'--pre-roll': -1 is too small; give 0 or more",
    "watch x --clips-mb 1e12": "'--clips-mb': 1e12 is too large; give 1e+09 or less",
}


def invoke(words: str) -> tuple[int, str, BaseException | None]:
    run = CliRunner(env={"COLUMNS": "200"}).invoke(app, words.split())
    return run.exit_code, run.output, run.exception


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_value_is_told_in_plain_words(words: str) -> None:
    """They were pydantic's: "Input should be greater than or equal to 1"."""
    code, output, _ = invoke(words)
    assert code == 2
    assert WRONG[words] in output


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        ("search rain --min-seconds -1", UsageError, "min_seconds is -1; give 0 or more"),
        (
            "search rain --translate nosuch",
            UsageError,
            "translate is 'nosuch'; choose auto, off, a folder that is here",
        ),
        ("serve --models nosuch", UnknownModel, "'nosuch' is not a model"),
    ],
)
def test_what_was_taken_in_silence(words: str, kind: type[Exception], sentence: str) -> None:
    _, _, error = invoke(words)
    assert isinstance(error, kind)
    assert sentence in str(error)


def test_help_says_what_a_value_is() -> None:
    """It showed the types of Python: <bool>, <list[str]>."""
    for verb in ("search", "index", "watch", "library list"):
        _, output, _ = invoke(f"{verb} --help")
        assert not [word for word in ("<bool>", "<str>", "list[str]", "<path>", "<float>") if word in output]
    assert "TEXT" in output
