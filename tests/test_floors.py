"""Imports run down only, lazy and typing ones too, and what should stay light does."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import openclap

ROOT = Path(openclap.__file__).parent
FLOORS = {
    "errors": 0,
    "clock": 0,
    "blas_threads": 0,
    "regular_files": 0,
    "cluster": 1,
    "plurals": 0,
    "spelling": 0,
    "warn_caller": 0,
    "renamed": 0,
    "textfiles": 1,
    "normalization": 0,
    "atomic_write": 1,
    "embedder": 2,
    "head_files": 2,
    "http": 2,
    "config": 1,
    "labels": 1,
    "language": 2,
    "options": 1,
    "results": 1,
    "silence": 0,
    "thread_priority": 0,
    "scores": 0,
    "words": 0,
    "file_facts": 1,
    "sentences": 2,
    "audio": 2,
    "store": 2,
    "synth": 2,
    "pipeline": 3,
    "batches": 0,
    "malloc": 0,
    "prefetch": 0,
    "progress": 0,
    "array_cache": 1,
    "text_cache": 1,
    "window_cache": 3,
    "confidence": 3,
    "checkpoints": 3,
    "detector": 4,
    "example_store": 3,
    "models": 3,
    "backends": 4,
    "mel_spectrogram": 4,
    "describe": 4,
    "clap": 5,
    "data": 6,
    "library": 6,
    "adapters": 7,
    "bench": 7,
    "catalogue": 7,
    "doctor": 7,
    "eval": 7,
    "train": 8,
    "coercion": 0,
    "demo": 7,
    "teach": 7,
    "serve": 8,
    "page": 8,
    "watch": 7,
    "cli": 9,
    "llm_plugin": 10,
    "__main__": 10,
}
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def room(module: str) -> str:
    """`openclap.audio.mel` → `audio`."""
    return module.split(".")[1] if module.count(".") else module


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {f"openclap.{a.name}" for a in node.names} if node.module == "openclap" else {node.module}
    return {name for name in found if name.split(".")[0] == "openclap"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_down(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        there = room(name)
        if there in ("openclap", "__version__"):
            assert here == "cli", f"{path.name} imports the root"
            continue
        assert there in FLOORS, f"{there} has no floor: add it to this table and to docs/architecture.md"
        assert there == here or FLOORS[there] < FLOORS[here], (
            f"{here} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "import openclap",
        "import openclap.cli.app",
        "import openclap.data",
        "import openclap.language",
        "import openclap.library",
        "import openclap.audio.clips",
        "import openclap.eval.probe, openclap.eval.protocols, openclap.eval.retrieval, openclap.eval.zeroshot",
        "import openclap.synth",
        "import openclap.teach, openclap.detector",
        "import openclap.serve.settings",
        "import openclap.watch",
    ],
)
def test_light_imports_stay_light(statement: str) -> None:
    """`openclap --help` once took seconds in every shell because torch came with it."""
    code = f"import sys; {statement}; print([m for m in ('torch', 'transformers', 'av', 'huggingface_hub', 'fastapi', 'uvicorn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_starts_without_what_a_verb_needs() -> None:
    """`openclap --help` imported the library, the stores, the model and the decoders: it took nearly twice as long."""
    code = "import sys, openclap.cli.app; print(*{name.split('.')[1] for name in sys.modules if name.startswith('openclap.')})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        set(done.stdout.split()) & {"library", "store", "clap", "audio", "describe", "watch", "serve", "detector"}
        == set()
    )
    assert {"cli", "options"} <= set(done.stdout.split())


def test_all_is_sorted_and_true() -> None:
    assert openclap.__all__ == sorted(openclap.__all__, key=lambda n: (not n.isupper(), n))
    for name in openclap.__all__:
        assert getattr(openclap, name) is not None
