"""What the Gradio page says: both languages to the last word, causes of unusable sounds, and errors as one sentence."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import string
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import openclap
from openclap import CLAP
from openclap.errors import (
    BadCheckpoint,
    EmptySound,
    LanguageWarning,
    LibraryError,
    ModelNotHere,
    OpenClapError,
    SoundNotFound,
    UnknownModel,
    UnreadableSound,
)
from openclap.library.query import parse_query
from openclap.page import strings
from openclap.page.classify import classify
from openclap.page.demo_sounds import EXAMPLES, QUERIES, DemoSounds, example_words
from openclap.page.error_messages import CAUSES, cause_of, error_message
from openclap.page.gradio_app import make_page
from openclap.page.limits import VisitorLimits, split_labels
from openclap.page.strings import LANGUAGES, TABLE, InputError, Language, say

HERE = Path(strings.__file__).parent
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{2,}")
NAMES = re.compile(
    r"openclap|laion/\S+|mini|MB|ZIP|AudioSet|English|中文|CPU|FLAC|CLAP"
)  # are the same in every language


def test_every_string_is_there_in_both_languages() -> None:
    for key, (english, chinese) in TABLE.items():
        places = [
            sorted(name for _, name, _, _ in string.Formatter().parse(words) if name) for words in (english, chinese)
        ]
        assert english.strip(), key
        assert places[0] == places[1], f"{key}: {places}"
        assert not CHINESE.search(english), key
        if key != "model.facts":  # has nothing but names and numbers
            assert CHINESE.search(chinese), f"{key} is not in Chinese: {chinese}"
    assert say("find.heading", "en", count=1, total=20) == "1 result of 20 sounds, best first"
    assert say("model.facts", "zh", name="mini", millions="15.0", device="CPU") == "mini，1500 万个参数，CPU"


def test_every_string_is_used_and_every_key_is_in_the_table() -> None:
    code = [ast.parse(path.read_text(encoding="utf-8")) for path in HERE.glob("*.py") if path.name != "strings.py"]
    nodes = [node for tree in code for node in ast.walk(tree)]
    literals = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    groups = "|".join({key.partition(".")[0] for key in TABLE})
    keys = {one for one in literals if re.fullmatch(rf"({groups})\.[a-z_]+", one)}
    assert keys <= set(TABLE), f"not in the table: {sorted(keys - set(TABLE))}"
    made = {f"{name}.tab" for name in ("match", "classify", "find", "describe")}
    assert {key for key in TABLE if not key.startswith("hint.")} - keys - made == set(), "nobody says these"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What browsers are told of the page. It is made where a loop runs: gradio would make one that nobody closes."""

    async def make() -> Any:
        return make_page(tmp_path_factory.mktemp("hidden-place")).get_config_file()

    return asyncio.run(make())


def shown_words(config: dict[str, Any], page: str) -> Iterator[str]:
    """Every word that the components of a page show."""
    for component in config["components"]:
        if component["id"] not in config["page"][page]["components"]:
            continue
        props = component["props"]
        words = [props.get(name) for name in ("label", "placeholder", "info")]
        words += [props.get("value")] if component["type"] in ("button", "html") else []
        words += [choice[0] for choice in props.get("choices") or []] + (props.get("sample_labels") or [])
        yield from (re.sub(r"<[^>]*>", " ", str(one)) for one in words if one)


def test_a_page_is_in_its_language_alone(config: Any) -> None:
    """Labels, buttons, placeholders, choices, examples."""
    english, chinese = (list(shown_words(config, page)) for page in ("", "zh"))
    assert len(english) == len(chinese) > 60
    assert not [words for words in english if CHINESE.search(words)]
    assert not [words for words in chinese if LATIN.search(NAMES.sub("", words))]


def test_the_chinese_examples_are_understood_and_find_what_they_say(tmp_path: Path) -> None:
    clap, demo = CLAP.from_pretrained("mini"), DemoSounds(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LanguageWarning)
        for _, query in QUERIES:
            clap.in_english([part for parts in parse_query(query) for part in parts])
        for key, (kind, _, _) in EXAMPLES.items():
            for language in LANGUAGES:
                texts, labels = example_words(key, language)
                found = classify(clap, str(demo.sound(kind)), labels, VisitorLimits())
                assert found[0].label == split_labels(labels)[0].strip(), f"{key}: {found}"
                assert len(texts.splitlines()) >= 3


# -- errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors_are_one_sentence_without_a_path(language: Language) -> None:
    errors: list[Exception] = [
        UnreadableSound("/srv/secret/a.wav", "is not audio"), EmptySound("/srv/secret/b.wav", "holds no samples"),
        UnknownModel("/srv/secret/model is none"), ModelNotHere("/srv/secret/x"), BadCheckpoint("/srv/secret/m"),
        LibraryError("/srv/secret/library is broken"), InputError("error.no_labels"), InputError("error.many", count=200, most=100),
        RuntimeError("/srv/secret"), SoundNotFound("/srv/secret/dog.wav", "no such file; check the path"),
    ]  # fmt: skip
    for error in errors:
        words = error_message(error, language)
        assert words, error
        assert "secret" not in words, words
        assert "\n" not in words
        assert bool(CHINESE.search(words)) == (language == "zh"), words
    assert error_message(errors[0], "en") == "a.wav cannot be used: it is damaged, no sound, or may not be read."


def causes() -> Iterator[tuple[str, str]]:
    """What packages below say of a sound that cannot be used: (file and line, words)."""
    root = Path(openclap.__file__).parent
    for package in ("audio", "clap", "library"):
        for file in sorted(
            {*(root / package).rglob("*.py")} - {root / "audio" / "excerpt.py"}
        ):  # which the service uses
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and re.fullmatch(r"\w+Sound|TooLong|SoundNotFound", node.func.id) and len(node.args) == 2:  # fmt: skip
                    words = "".join(one.value for one in ast.walk(node.args[1]) if isinstance(one, ast.Constant) and isinstance(one.value, str))  # fmt: skip
                    if words:
                        yield f"{file.name}:{node.lineno}", words


def test_every_cause_is_said_in_both_languages() -> None:
    found = list(causes())
    assert len(found) > 12
    unknown = [(where, words) for where, words in found if cause_of(words) == "cause.other"]
    assert [words for _, words in unknown] in ([], ["has a path that leads elsewhere"]), unknown
    assert {key for _, key in CAUSES} | {"cause.other"} == {key for key in TABLE if key.startswith("cause.")}
    error: OpenClapError = UnreadableSound(
        "/srv/a.wav", "not a sound that libsndfile or FFmpeg can read (Invalid data)"
    )
    assert error_message(error, "zh") == "a.wav 无法使用：它不是声音，或已损坏。"


def test_a_page_s_config_names_no_folder_of_the_server(config: Any) -> None:
    assert "hidden-place" not in json.dumps(config, default=str)
