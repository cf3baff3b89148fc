"""What was called otherwise in the last version is found by its old name, which says the new one."""

from __future__ import annotations

import pytest

from openclap import synth, watch


def test_an_old_name_works_and_says_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"openclap\.watch\.Clips is called ClipWriter now"):
        assert watch.Clips is watch.ClipWriter
    with pytest.warns(DeprecationWarning, match="called synthesise now"):
        assert synth.make is synth.synthesise


def test_a_name_that_never_was_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = watch.nothing
