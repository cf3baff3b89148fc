"""All errors and warnings, as one tree. Every message says what was given, what is allowed and what to do.

What to do is called something else in Python, on the command line, at the service and on the page: there it is a
`Hint`, which each of them has words for. No flag and no verb of the command line stands in an error.

OpenClapError                  exit code 1, HTTP 500
├── SoundError                 one sound cannot be used                      exit 1, HTTP 422
│   ├── SoundNotFound          nothing at this path
│   ├── UnreadableSound        a directory, no permission, not audio, broken
│   ├── EmptySound             no samples; or nothing heard, in what others should sound like
│   ├── NotFiniteSound         NaN or infinite samples
│   ├── WithheldSound          a file that may not be handed out: a link, outside, changed
│   └── TooLong                longer than may be decoded here                    HTTP 413
├── ModelError                 a model cannot be used                        exit 2, HTTP 503
│   ├── UnknownModel           no such name, folder or file
│   ├── ModelNotHere           a known model that is not on this machine and cannot be fetched
│   ├── BadCheckpoint          missing, left-over, mis-shaped or broken weights
│   └── UnsafeCheckpoint       a pickle that holds more than tensors
├── LibraryError               a library cannot be used                      exit 2, HTTP 409
│   └── LibraryMismatch        made by another model or format version
├── DataError                  a data set cannot be read or written          exit 2, HTTP 400
├── HeadError                  a classification head cannot be used          exit 2, HTTP 409
│   └── HeadMismatch           trained on the embeddings of another model
├── DetectorError              a taught detector cannot be used              exit 2, HTTP 409
│   └── DetectorMismatch       taught on the embeddings of another model
├── SourceError                what is watched cannot be heard              exit 1, HTTP 502
├── UsageError                 wrong options or values                       exit 2, HTTP 400
├── TrainingError              data or configuration cannot be trained on    exit 2, HTTP 400
├── RequestRefused             a request that the service does not answer    exit 2, HTTP as given
└── MissingExtra               an optional dependency is not installed       exit 2, HTTP 501

SoundWarning, ModelWarning, LibraryWarning     something is usable but not as it should be
LanguageWarning                words of a text, or the end of a long one, were left out
DataWarning                    a table or a list was read, but not all of it is certain
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = [
    "HINTS",
    "BadCheckpoint",
    "DataError",
    "DataWarning",
    "DetectorError",
    "DetectorMismatch",
    "EmptySound",
    "HeadError",
    "HeadMismatch",
    "Hint",
    "LanguageWarning",
    "LibraryError",
    "LibraryMismatch",
    "LibraryWarning",
    "MissingExtra",
    "ModelError",
    "ModelNotHere",
    "ModelWarning",
    "NotFiniteSound",
    "OpenClapError",
    "RequestRefused",
    "SoundError",
    "SoundNotFound",
    "SoundWarning",
    "SourceError",
    "TooLong",
    "TrainingError",
    "UnknownModel",
    "UnreadableSound",
    "UnsafeCheckpoint",
    "UsageError",
    "WithheldSound",
]


# what can be done about an error, in words for who calls openclap from Python
HINTS = {
    "alerts": 'give alerts, as ["glass breaking"], or unusual=True',
    "carry": "fetch it by openclap.checkpoints.locate.pull({name!r}) on a machine with a network and copy {cache} here",
    "fill": "fill it with Library.add",
    "models": "see openclap.checkpoints.presets.PRESETS",
    "other_library": "use another library",
    "pull": "get it by openclap.checkpoints.locate.pull({name!r})",
    "rate": "give rate, and channels and format where they are not 1 and s16le",
    "reembed": "embed it anew with Library.reembed",
    "refit": "teach it anew by the examples that were kept with openclap.teach.refit",
    "repair": "try Library.repair",
    "restart": "start anew with resume=False",
    "same_model": "give the model that made it",
    "teach": "teach it with openclap.teach.teach",
    "train_head": "train a head for this model with openclap.eval.probe",
    "use_model": "go on with CLAP.from_pretrained({name!r})",
}


class Hint:
    """One thing to do about an error: a key of `HINTS`, and what stands in its words.

    The command line (`cli/show.py`), the service (`http/error_responses.py`) and the page (`page/strings.py`) have
    words of their own for every key.
    """

    def __init__(self, key: str, **facts: str) -> None:
        self.key, self.facts = key, facts

    def say(self, words: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
        """Say it in the words of `words`, with facts such as a path as `quote` writes them."""
        return words[self.key].format(**{name: quote(fact) for name, fact in self.facts.items()})


class OpenClapError(Exception):
    """Root of everything a user can cause; the command line prints it as one line.

    It is raised with what went wrong, then each thing that can be done about it: a `Hint`, or words that are the same
    for everybody. `LibraryError("x holds no sounds", Hint("fill"), "choose another folder")` says "x holds no sounds;
    fill it with Library.add, or choose another folder".
    """

    exit_code = 1
    http_status = 500
    quiet = False  # True: another process of the same run prints it

    @property
    def hints(self) -> list[Hint]:
        """What can be done about it, without what is said in the same words to everybody."""
        return [step for step in self.args[1:] if isinstance(step, Hint)]

    def say(self, words: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
        """Say it as one sentence, its hints as `Hint.say` does."""
        what, *steps = [part.say(words, quote) if isinstance(part, Hint) else str(part) for part in self.args] or [""]
        *first, last = [what] if not steps else [f"{what}; {steps[0]}", *steps[1:]]
        return f"{', '.join(first)}, or {last}" if first else last

    def __str__(self) -> str:
        return self.say(HINTS)


class SoundError(OpenClapError):
    """One sound cannot be used; `name` says which, `cause` says why."""

    http_status = 422

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.name, self.cause)


class SoundNotFound(SoundError):
    """Nothing at this path."""


class UnreadableSound(SoundError):
    """A directory, a file without permission, not audio, or broken before its first sample."""


class EmptySound(SoundError):
    """A sound without samples; or one that others should sound like, and nothing is heard in it."""


class NotFiniteSound(SoundError):
    """A sound with NaN or infinite samples."""


class WithheldSound(SoundError):
    """A file of a library that is not served: a link, outside of the named folders, or changed since it was indexed."""


class TooLong(SoundError):
    """A sound that is longer than may be decoded here."""

    http_status = 413


class ModelError(OpenClapError):
    """A model cannot be used."""

    exit_code = 2
    http_status = 503


class UnknownModel(ModelError):
    """No preset, folder or file of this name."""


class ModelNotHere(ModelError):
    """A model that is not on this machine and cannot be fetched now."""


class BadCheckpoint(ModelError):
    """Weights that are missing, left over, of a wrong shape, or broken."""


class UnsafeCheckpoint(BadCheckpoint):
    """A pickle that holds more than tensors and plain values; it is never executed."""


class LibraryError(OpenClapError):
    """A library cannot be used."""

    exit_code = 2
    http_status = 409


class LibraryMismatch(LibraryError):
    """A library made by another model or another format version; `maker` is the name of the other model."""

    maker: str | None = None


class DataError(OpenClapError):
    """A data set that cannot be read, or not written where it should be."""

    exit_code = 2
    http_status = 400


class HeadError(OpenClapError):
    """A file that is no classification head, is broken, or of another format version."""

    exit_code = 2
    http_status = 409


class HeadMismatch(HeadError):
    """A head that was trained on the embeddings of another model."""


class DetectorError(OpenClapError):
    """A file that is no detector, is broken, or of another format version."""

    exit_code = 2
    http_status = 409


class DetectorMismatch(DetectorError):
    """A detector that was taught on the embeddings of another model.

    `detector` is its name, `maker` that of the other model.
    """

    detector: str | None = None
    maker: str | None = None


class SourceError(OpenClapError):
    """A microphone, stream, pipe or folder that cannot be heard."""

    http_status = 502


class UsageError(OpenClapError, ValueError):
    """Wrong options or values."""

    exit_code = 2
    http_status = 400


class TrainingError(OpenClapError):
    """Data or configuration that cannot be trained on."""

    exit_code = 2
    http_status = 400


class RequestRefused(OpenClapError):
    """A request that the service refuses: its HTTP status, a `code` for programs, and when to try again."""

    exit_code = 2

    def __init__(self, message: str, http_status: int, code: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.retry_after = retry_after  # seconds


class MissingExtra(OpenClapError, ImportError):
    """An optional dependency is not installed."""

    exit_code = 2
    http_status = 501


class SoundWarning(UserWarning):
    """A sound is usable, but not as it should be (cut short, for example)."""


class ModelWarning(UserWarning):
    """A model is usable, but something about it is suspicious."""


class LibraryWarning(UserWarning):
    """A library is usable, but part of it is out of date."""


class LanguageWarning(UserWarning):
    """Words of a text were left out: they cannot be translated, or the text is too long for its tower."""


class DataWarning(UserWarning):
    """A table or a list was read, but something about it is uncertain (its encoding, for example)."""
