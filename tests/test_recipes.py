"""The recipes of docs/recipes.md, run with the real packages."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from openclap import CLAP, Library
from openclap.synth import synthesise

DOCS = Path(__file__).parent.parent / "docs"
KINDS = ("dog bark", "rain", "siren")
RATE = 16_000


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clap() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sounds")
    for i, kind in enumerate(KINDS):
        wave, _ = synthesise(kind, np.random.default_rng(i), rate=RATE, seconds=2.0)
        sf.write(folder / f"{i}.wav", wave, RATE)  # its name says nothing
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", ["langchain_sounds", "embed_dataset"])
def test_the_page_shows_the_examples_as_they_are(name: str) -> None:
    shown = re.findall(r"^```python\n(.*?)^```", (DOCS / "recipes.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    code = (DOCS / "examples" / f"{name}.py").read_text("utf-8").partition("\n\n")[2]
    assert code.partition('\n\nif __name__ == "__main__"')[0].strip() in {block.strip() for block in shown}


def test_words_find_sounds_in_a_store_of_langchain(clap: CLAP, sounds: list[Path]) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(example("langchain_sounds").SoundEmbeddings(clap))
    store.add_texts([str(sound) for sound in sounds], metadatas=[{"kind": kind} for kind in KINDS])
    for kind in KINDS:
        ((found, score), *others) = store.similarity_search_with_score(kind, k=3)
        assert found.metadata == {"kind": kind}
        assert score == pytest.approx(float(clap.match(found.page_content, [kind])[0].score), abs=1e-5)
        assert score > max(other for _, other in others)
    (found,) = asyncio.run(store.as_retriever(search_kwargs={"k": 1}).ainvoke("a dog barking"))
    assert found.page_content == str(sounds[0])


def test_a_library_is_a_retriever_of_langchain(clap: CLAP, sounds: list[Path], tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", model=clap)
    library.add(sounds)
    retriever = example("langchain_sounds").SoundRetriever(library=library, k=3)
    best = retriever.invoke("a dog barking")[0]
    assert best.page_content == str(sounds[0])
    assert best.metadata == library.search("a dog barking", k=1)[0].to_dict()
    # another thread asks, as in a chain that is asynchronous
    assert asyncio.run(retriever.ainvoke("a siren"))[0].page_content == str(sounds[2])
    assert all(not hit["unlikely"] for hit in (one.metadata for one in retriever.invoke("an opera singer")))
    assert len(retriever.invoke("an opera singer")) < 3


@pytest.fixture
def rows(sounds: list[Path], tmp_path: Path) -> Any:
    """A data set on the disk, as one of the Hub is: its audio is stored as bytes, and would be decoded by torchcodec."""
    from datasets import Audio, Dataset, load_from_disk

    made = Dataset.from_list([{"audio": {"bytes": sound.read_bytes(), "path": None}} for sound in sounds])
    made.cast_column("audio", Audio()).save_to_disk(tmp_path / "rows")
    return load_from_disk(tmp_path / "rows")


@pytest.fixture
def recipe(clap: CLAP) -> Any:
    module: Any = example("embed_dataset")
    module.load = {"mini": clap, "other": SimpleNamespace(fingerprint="1" * 16)}.__getitem__
    return module


def test_a_data_set_with_embeddings(
    clap: CLAP, rows: Any, recipe: Any, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = recipe.embed(rows).with_format("numpy")["embedding"][:]
    np.testing.assert_allclose(found, clap.encode_audio(sounds), atol=1e-6)
    assert found.dtype == np.float32
    heard: list[int] = []
    monkeypatch.setattr(clap, "encode_audio", lambda sounds: heard.append(len(sounds)))
    again = recipe.embed(rows).with_format("numpy")["embedding"][:]
    np.testing.assert_array_equal(again, found)
    assert heard == []  # from the cache


def test_another_model_or_edition_does_not_take_what_was_cached(rows: Any, recipe: Any) -> None:
    """A cache that goes by the name of a model gives the vectors of its last edition."""
    from datasets.fingerprint import Hasher

    first = recipe.EmbedSounds("mini")
    other, newer = recipe.EmbedSounds("other"), recipe.EmbedSounds("mini")
    newer.fingerprint = "0" * 16
    assert Hasher.hash(first) == Hasher.hash(recipe.EmbedSounds("mini"))
    assert len({Hasher.hash(one) for one in (first, other, newer)}) == 3


def test_paths_are_a_data_set_too(clap: CLAP, recipe: Any, sounds: list[Path]) -> None:
    from datasets import Dataset

    found = recipe.embed(Dataset.from_dict({"audio": [str(sound) for sound in sounds]}))
    np.testing.assert_allclose(found.with_format("numpy")["embedding"][:], clap.encode_audio(sounds), atol=1e-6)
