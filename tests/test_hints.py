"""What to do about an error is said in the words of the door where it is asked: in Python, at the shell, by HTTP, on the page."""

from __future__ import annotations

import ast
import pickle
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import openclap
from openclap.cli import show
from openclap.cli.app import app
from openclap.errors import HINTS, DetectorMismatch, Hint, LibraryError, MissingExtra, ModelNotHere, TrainingError
from openclap.http import error_responses
from openclap.page.error_messages import error_message
from openclap.page.strings import LANGUAGES, TABLE
from openclap.train.settings import Settings

ROOT = Path(openclap.__file__).parent
VERBS = "|".join(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
COMMAND_LINE = re.compile(rf"(?<![\w-])--[a-z]|\bopenclap ({VERBS})\b")
SHOWN_BY_THE_COMMAND_LINE_ALONE = ("cli", "demo.py", "llm_plugin.py")
NOT_SAID_TO_A_USER = (
    "openclap eval {} {} {}",  # what marks a report in a Markdown file
    "openclap eval paper {}",  # the same
    "# A configuration of  openclap train ",  # the first line of a file that the verb writes
    "ray start --head",  # another program's
    "Connect with a websocket",  # the documentation of the service, which says what a verb prints
)


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def sentences(file: Path) -> Iterator[tuple[int, str]]:
    """Every string of a file that is no docstring, the parts of an f-string as one, with its line."""
    inside: set[ast.AST] = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Expr):
            inside.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            inside |= {*node.values}
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)  # fmt: skip
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def test_below_the_command_line_nobody_is_told_its_flags_and_verbs() -> None:
    """Who called `Library.search`, or asked the service, was told to give "another --library"."""
    files = [file for file in ROOT.rglob("*.py") if file.relative_to(ROOT).parts[0] not in SHOWN_BY_THE_COMMAND_LINE_ALONE]  # fmt: skip
    said = [(file.relative_to(ROOT), *one) for file in files for one in sentences(file)]
    assert len(said) > 5000
    found = [f"{file}:{line}: {words[:80]}" for file, line, words in said if COMMAND_LINE.search(words) and not any(some in words for some in NOT_SAID_TO_A_USER)]  # fmt: skip
    assert found == []


def test_every_door_has_words_for_every_hint() -> None:
    made: dict[str, set[str]] = {}
    for file in ROOT.rglob("*.py"):
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Hint":
                key = ast.literal_eval(node.args[0])
                facts = {str(word.arg) for word in node.keywords}
                assert made.setdefault(key, facts) == facts, f"{file}:{node.lineno}: other facts than elsewhere"
    page = [{key.removeprefix("hint."): words[number] for key, words in TABLE.items() if key.startswith("hint.")} for number in (0, 1)]  # fmt: skip
    for words in (HINTS, show.HINTS, error_responses.HINTS, *page):
        assert set(words) == set(made)
        for key, said in words.items():
            assert {name for _, name, _, _ in string.Formatter().parse(said) if name} <= made[key], f"{key}: {said}"
    assert not any("cache" in said or "place" in said for said in page[0].values()), "a place of the server"


MISMATCH = DetectorMismatch("of another model", Hint("use_model", name="mini-3"), Hint("refit", name="my dog", model="mini"))  # fmt: skip


@pytest.mark.parametrize(
    ("error", "python", "shell"),
    [
        (LibraryError("x holds no sounds yet", Hint("fill")), "x holds no sounds yet; fill it with Library.add", "x holds no sounds yet; fill it with openclap index FOLDER"),
        (LibraryError("x is full", "make room", "give yourself permission", Hint("other_library")), "x is full; make room, give yourself permission, or use another library", "x is full; make room, give yourself permission, or use another --library"),
        (LibraryError("x is of another", Hint("reembed", place="a b")), "x is of another; embed it anew with Library.reembed", "x is of another; embed it anew with openclap index --reembed --library 'a b'"),
        (LibraryError("x is broken", Hint("repair"), "move it away and index again"), "x is broken; try Library.repair, or move it away and index again", "x is broken; try openclap library repair, or move it away and index again"),
        (ModelNotHere("y is not on this machine", Hint("pull", name="a/y")), "y is not on this machine; get it by openclap.checkpoints.locate.pull('a/y')", "y is not on this machine; get it with openclap pull a/y"),
        (MISMATCH, "of another model; go on with CLAP.from_pretrained('mini-3'), or teach it anew by the examples that were kept with openclap.teach.refit", "of another model; go on with --model mini-3, or teach it anew by the examples that were kept: openclap teach 'my dog' --refit --model mini"),
        (TrainingError("z holds a finished model", Hint("restart"), "choose another folder (out)"), "z holds a finished model; start anew with resume=False, or choose another folder (out)", "z holds a finished model; start anew with --restart, or choose another folder (out)"),
        (MissingExtra("w is not installed", name="w"), "w is not installed", "w is not installed"),
        (LibraryError(), "", ""),
    ],
    ids=lambda what: type(what).__name__ if isinstance(what, Exception) else "",
)  # fmt: skip
def test_python_and_the_shell_are_told_in_their_own_words(error: Exception, python: str, shell: str) -> None:
    assert str(error) == python
    assert show.plain(error).plain == shell
    again = pickle.loads(pickle.dumps(error))  # as another process of a run sends it
    assert (type(again), str(again)) == (type(error), python)


def test_the_page_says_it_in_both_languages_and_names_no_place() -> None:
    error = LibraryError(
        "/srv/x was made by another", Hint("use_model", name="mini-3"), Hint("reembed", place="/srv/x")
    )
    english, chinese = (error_message(error, language) for language in LANGUAGES)
    assert english.endswith("What can be done: load the model mini-3, or upload the sounds again.")  # fmt: skip
    assert chinese.endswith("可以这样做：加载模型 mini-3，或重新上传声音。")
    assert "/srv" not in english + chinese


def test_an_error_within_another_keeps_what_can_be_done() -> None:
    """`init: …` put the words for one door into a sentence for all."""
    with pytest.raises(TrainingError, match=r"^init: 'nonsense' is not a model; choose one of") as caught:
        Settings(sources=(), out="out", init="nonsense").config()
    assert "see openclap models" in show.plain(caught.value).plain
    assert [hint.key for hint in caught.value.hints] == ["models"]
