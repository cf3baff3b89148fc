"""Turn tags into a sentence by a T5 model (section 3.2 of arXiv 2211.06687).

    tags ─ in the cache? ─ yes ──────────────────────────┐
             └ no ─ "dog rain" ─ model ─ sentence ─ kept ─┴─ degenerate? ─ no ─ without gender ─ caption
                      └ not here ─────────────────────────────── yes ─┴─ template: The sound of dog, and rain

The cache keeps sentences as the model wrote them, with one transaction for each batch: a killed run goes on where it
was, and another table of words needs no new sentences. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from openclap.errors import DataError, ModelWarning, UsageError
from openclap.language.seq2seq import BROKEN
from openclap.regular_files import require_database
from openclap.sentences import caption_from_labels, make_debiaser
from openclap.warn_caller import warn_caller

__all__ = ["MODEL", "KeywordToCaption", "is_degenerate"]

MODEL = "mrm8488/t5-base-finetuned-common_gen"  # public, words → a sentence, 0.9 GB; not tried by this project
FORMAT, VERSION = 0x6F636B63, 1  # "ockc" in the header of the SQLite file, and its layout
BEAMS, TOKENS = 4, 40  # of a sentence: ways that are followed, and its length at most
# how the model is asked: sentences that were written in another way are not taken from the cache
WRITING = {"prompt": "{}", "separator": " ", "lower": True, "beams": BEAMS, "tokens": TOKENS}
STARTS, REPEATS = 4, 3  # a sentence has at least 4 letters, and no word more than 3 times in a row


class KeywordToCaption:
    """Writes sentences from tags; the same tags give the same sentence.

    Parameters
    ----------
    model
        A sequence-to-sequence model for transformers: a folder, or an id that is in Hugging Face's cache (`hf download
        …`).
    cache
        A SQLite file that keeps every sentence by model, tags and writing; without one nothing is kept.
    batch
        Lists of tags the model takes at once; a kill may lose one batch.
    device
        A torch device, or auto: a GPU where there is one.
    words
        Rewrites each sentence; by default it removes gender (`make_debiaser()`).

    Attributes
    ----------
    calls
        How many batches the model has run.
    templates
        How many sentences became the template, because the model is missing or wrote nothing of use.
    why_not
        Why the model is not used; None while it is used, or not needed yet.

    Raises
    ------
    DataError
        The cache is a file of another kind or version.
    """

    def __init__(
        self,
        model: str = MODEL,
        *,
        cache: Path | None = None,
        batch: int = 32,
        device: str = "auto",
        words: Callable[[str], str] | None = None,
    ) -> None:
        if batch < 1:
            raise UsageError(f"batch is {batch}; it must be at least 1")
        self.model = str(Path(model).expanduser().resolve()) if Path(model).expanduser().is_dir() else model
        self.calls = self.templates = 0
        self.why_not: str | None = None
        self._batch, self._device, self._rewrite = batch, device, words or make_debiaser()
        self._loaded: tuple[Any, Any] | None = None
        self._path = ":memory:" if cache is None else str(cache)
        self._cache = _open_cache(self._path)

    def __call__(self, tags: Sequence[Sequence[str]]) -> list[str]:
        """Write one sentence for every list of tags; the template where the model is missing or wrote nothing of use.

        Parameters
        ----------
        tags
            Lists of at least one tag each; the order of the tags matters.

        Warns
        -----
        ModelWarning
            Once, when the model cannot be used; every new sentence is then the template, which is not stored.
        """
        if not all(tags):
            raise UsageError(f"list {[bool(t) for t in tags].index(False)} has no tags; give at least one each")
        keys = [self._key(one) for one in tags]
        known = self._read_cached(keys)
        new = {key: one for key, one in zip(keys, tags, strict=True) if key not in known}
        for sentences in self._write_captions(new):
            known.update(sentences)
        return [self._caption(one, known.get(key)) for key, one in zip(keys, tags, strict=True)]

    def _caption(self, tags: Sequence[str], sentence: str | None) -> str:
        if sentence is None or is_degenerate(sentence):
            self.templates += 1
            return self._rewrite(caption_from_labels(tags))
        return self._rewrite(" ".join(sentence.split()))

    def _key(self, tags: Sequence[str]) -> bytes:
        said = json.dumps([self.model, list(tags), WRITING], ensure_ascii=False, sort_keys=True)
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def _read_cached(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        known: dict[bytes, str] = {}
        with _translate_errors(self._path):
            for key in dict.fromkeys(keys):
                row = self._cache.execute("SELECT sentence FROM sentences WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    known[key] = row[0]
        return known

    def _write_captions(self, new: dict[bytes, Sequence[str]]) -> Iterator[dict[bytes, str]]:
        """Let the model write sentences in batches; each batch is stored before it is given."""
        # sorted by length, so that a batch needs little padding
        todo = sorted(new.items(), key=lambda pair: (sum(map(len, pair[1])), pair[0]))
        for start in range(0, len(todo), self._batch):
            if not self._is_ready():
                return
            part = todo[start : start + self._batch]
            sentences = dict(zip([k for k, _ in part], self._generate([t for _, t in part]), strict=True))
            with _translate_errors(self._path), self._cache:
                self._cache.executemany("INSERT OR REPLACE INTO sentences VALUES (?, ?)", sentences.items())
            yield sentences

    def _is_ready(self) -> bool:
        if self._loaded is None and self.why_not is None:
            try:
                self._loaded = _load(self.model, self._device)
            except ImportError:
                self.why_not = (
                    "torch and transformers are not installed: install openclap's extra 'train' (docs/install.md)"
                )
            except BROKEN as error:
                first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                self.why_not = f"it cannot be loaded ({first}); if it is not here:  hf download {self.model}"
            if self.why_not is not None:
                instead = caption_from_labels(["…"])
                warn_caller(
                    f"{self.model} does not write captions, {self.why_not}; tags become `{instead}`", ModelWarning
                )
        return self._loaded is not None

    def _generate(self, tags: Sequence[Sequence[str]]) -> list[str]:
        """Run the model on one batch."""
        import torch

        assert self._loaded is not None
        tokenizer, model = self._loaded
        texts = [" ".join(one).lower() for one in tags]
        read = tokenizer(texts, return_tensors="pt", padding=True, truncation=True)
        with torch.inference_mode():
            written = model.generate(
                input_ids=read["input_ids"].to(model.device),
                attention_mask=read["attention_mask"].to(model.device),
                do_sample=False,
                num_beams=BEAMS,
                max_new_tokens=TOKENS,
            )
        self.calls += 1
        return list(tokenizer.batch_decode(written, skip_special_tokens=True))

    def close(self) -> None:
        """Close the cache."""
        self._cache.close()


def _load(model: str, device: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    return tokenizer, AutoModelForSeq2SeqLM.from_pretrained(model, local_files_only=True).to(device).eval()


def is_degenerate(sentence: str) -> bool:
    """Whether a text is no real sentence: it is empty, a single word, has left-over markers, or repeats words."""
    words = re.findall(r"\w+", sentence.lower())
    if (
        len(words) < 2
        or sum(map(str.isalpha, "".join(words))) < STARTS
        or "<extra_id" in sentence
        or "<unk>" in sentence
    ):
        return True
    run = longest = 1
    for one, other in pairwise(words):
        run = run + 1 if one == other else 1
        longest = max(longest, run)
    return longest > REPEATS or (len(words) >= 6 and len(set(words)) * 3 <= len(words))


def _open_cache(path: str) -> sqlite3.Connection:
    """Open the cache; it is made where there is none."""
    with _translate_errors(path):
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        require_database(path)
        connection = sqlite3.connect(path, timeout=60)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                (form,) = connection.execute("PRAGMA application_id").fetchone()
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                if (form, version) != (FORMAT, VERSION) and tables:
                    raise DataError(
                        f"{path}: is no cache of captions of version {VERSION} (format {form:#x}, version {version}); "
                        "choose another file"
                    )
                connection.execute(f"PRAGMA application_id = {FORMAT}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS sentences (key BLOB PRIMARY KEY, sentence TEXT NOT NULL)"
                )
        except BaseException:
            connection.close()
            raise
        return connection


@contextmanager
def _translate_errors(path: str) -> Iterator[None]:
    """Turn errors of the cache into one sentence."""
    try:
        yield
    except sqlite3.Error as error:
        raise DataError(
            f"{path}: the cache of captions cannot be used ({error}); choose another file, or make room"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: the cache of captions cannot be made ({error.strerror})") from None
