"""What mini's sounds come from and what is kept aside: licences file by file, rules that match whole captions, sounds stored and found again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "runs" / "mini"))

import debian
import development
import gather
import mixing

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2003 Somebody
License: CC-BY-SA-3.0

Files: snd/*
Copyright: 2010 Another <a@b.c>
 2011 A third
License: GPL-3 or CC-BY-3.0

Files: snd/both.ogg
Copyright: 2012 Fourth
License: GPL-2+ and CC-BY-3.0

Files: snd/theirs.ogg snd/old-*.wav
Copyright: 2013 Fifth
License: CC0-1.0
 The text of it.
"""


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0", "CC0"),
        ("CC0-1.0", "CC0-1.0"),
        ("CC-BY-3.0", "CC-BY-3.0"),
        ("public-domain", "public-domain"),
        ("GPL-3 or CC-BY-3.0", "CC-BY-3.0"),
        ("CC-BY-SA-3.0", None),
        ("CC-BY-NC-3.0", None),
        ("CC-BY-3.0-us and GPL-2", None),
        ("GPL-2+ and CC-BY-3.0", None),
        ("GPL-2+", None),
        ("", None),
    ],
)
def test_only_free_licences_are_taken(licence: str, free: str | None) -> None:
    assert debian.free_licence(licence) == free


def test_the_last_paragraph_that_matches_holds(tmp_path: Path) -> None:
    """What only "Files: *" speaks of stays out, whatever that says: it is of the package, not of the sound."""
    package = tmp_path / "unpacked"
    for name in ("usr/share/doc/game", "usr/share/game/snd", "usr/share/game/other"):
        (package / name).mkdir(parents=True)
    (package / "usr/share/doc/game/copyright").write_text(COPYRIGHT)
    for name in ("snd/a.ogg", "snd/both.ogg", "snd/theirs.ogg", "snd/old-1.wav", "snd/a.txt", "other/b.ogg"):
        (package / "usr/share/game" / name).write_bytes(b"sound")
    found = {file.name: (licence, rule.copyright) for file, rule, licence in debian.chosen(package)}
    assert found == {
        "a.ogg": ("CC-BY-3.0", "2010 Another <a@b.c> 2011 A third"),
        "theirs.ogg": ("CC0-1.0", "2013 Fifth"),
        "old-1.wav": ("CC0-1.0", "2013 Fifth"),
    }
    assert debian.keep(package, tmp_path / "out", "game") == 3
    table = (tmp_path / "out" / "metadata.csv").read_text()
    assert "theirs.ogg,theirs,theirs,2013 Fifth,CC0-1.0,Debian package game" in table


def test_whole_concepts_and_sources_are_kept_aside() -> None:
    rule_of = development.held()
    for folder, name, caption, kept in (
        ("berklee", "carhorn1.ogg", "car horn", "concept"),
        ("berklee", "x.ogg", "unicorn horn concert", None),
        ("things", "monster/wow.ogg", "wow", "source"),
        ("things", "soundfx/wow.ogg", "wow", None),
        ("esc10", "rain/4-1-A.ogg", "the sound of rain", "fold"),
        ("esc10", "rain/3-1-A.ogg", "the sound of rain", None),
        ("effects", "thunder_02.ogg", "thunder", "take"),
        ("effects", "thunder_01.ogg", "thunder", None),
    ):
        rule = rule_of(folder, name, caption)
        assert (None if rule is None else rule.set) == kept, name
    assert development.held_made("instruments", "gm 104")  # a sitar, as a held-out concept
    assert not development.held_made("instruments", "gm 000")
    assert development.held_made("voices", "woman belinda en-us")
    assert development.held_made("synth", "vacuum cleaner")


def test_sounds_are_stored_and_found_again(tmp_path: Path) -> None:
    waves = [np.linspace(-0.5, 0.5, n).astype(np.float32) for n in (10, 1, 300)]
    made = [gather.Made(f"{i}", wave, f"caption {i}", "label") for i, wave in enumerate(waves)]
    assert gather.write(tmp_path, "some", [*made, gather.Made("none", np.zeros(0, np.float32), "", "")]) == 3
    sounds = gather.Sounds(tmp_path, "some")
    assert [row.caption for row in sounds.rows] == ["caption 0", "caption 1", "caption 2"]
    for number, wave in enumerate(waves):
        np.testing.assert_allclose(sounds.wave(number), wave, atol=1e-4)
    np.testing.assert_allclose(sounds.wave(2, 290, 50), waves[2][290:], atol=1e-4)


def test_views_follow_from_their_generator(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    long = rng.standard_normal(6 * gather.RATE).astype(np.float32) * 0.1
    gather.write(tmp_path, "some", [gather.Made("long", long, "", ""), gather.Made("short", long[:8000], "", "")])
    mix = mixing.Mixing([(gather.Sounds(tmp_path, "some"), [0, 1], 1.0)])
    views = [mix.draw(np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.array_equal(v.wave, mix.draw(np.random.default_rng(i)).wave) for i, v in enumerate(views[:3]))
    assert {v.wave.shape for v in views} == {(mixing.SAMPLES,)}
    assert max(float(np.abs(v.wave).max()) for v in views) == pytest.approx(1.0)
    looped = next(v for v in views if not v.aligned)
    assert np.abs(looped.wave[-gather.RATE :]).max() == 0  # the teacher hears silence after it
    assert np.abs(looped.shown[-gather.RATE :]).max() > 0  # type: ignore[index]
