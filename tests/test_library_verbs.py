"""What keeps a library: files listed, forgotten, relocated, tagged, and put into collections; in both stores."""

from __future__ import annotations

from pathlib import Path

from test_stores import recording

from openclap.store import RememberedTags, SearchFilter, open_store


def test_tags_are_taken_off_and_do_not_come_back(place: Path) -> None:
    """`tag` was there alone; and a tag that was only taken off the file came back with what was remembered of it."""
    store = open_store(place)
    store.put([recording("/a.wav", hash="one"), recording("/b.wav", hash="two"), recording("/c.wav", hash="three")])
    store.tag(["/a.wav", "/b.wav", "/c.wav"], ["wet", "dark"])
    store.move([("/a.wav", recording("/moved.wav", hash="one").file)])
    store.delete(["/c.wav"])
    store.untag(["/moved.wav", "/b.wav", "/c.wav", "/never.wav"], ["wet", "none"])
    assert {file.path: file.tags for file in store.files()} == {"/moved.wav": ("dark",), "/b.wav": ("dark",)}
    assert not list(store.files(SearchFilter(tags=("wet",))))
    store.move([("/moved.wav", recording("/a.wav", hash="one").file)])  # where it had the tag before
    store.delete(["/b.wav"])
    store.put([recording("/b.wav", hash="two"), recording("/elsewhere.wav", hash="three")])
    assert {file.path: file.tags for file in store.files()} == dict.fromkeys(("/a.wav", "/b.wav", "/elsewhere.wav"), ("dark",))  # fmt: skip
    store.untag(["/a.wav", "/b.wav", "/elsewhere.wav"], ["dark", "wet"])
    store.remember_tags([RememberedTags("four", "/d.wav", ("dark", "kept"))])
    store.untag(["/d.wav"], ["dark"])
    assert store.remembered_tags() == [RememberedTags("four", "/d.wav", ("kept",))]
    store.untag(["/d.wav"], ["kept"])
    assert store.remembered_tags() == []
    store.close()


def test_windows_are_counted(place: Path) -> None:
    store = open_store(place)
    assert store.window_counts(["/a.wav"]) == {}
    store.put([recording("/a.wav", 3), recording("/na\udcffme.wav", 1), recording("/c.wav", 2)])
    assert store.window_counts(["/a.wav", "/na\udcffme.wav", "/no.wav"]) == {"/a.wav": 3, "/na\udcffme.wav": 1}
    store.close()
