"""All errors and warnings, as one tree. Every message says what was given, what is allowed and what to do.

OpenClapError                  exit code 1, HTTP 500
├── SoundError                 one sound cannot be used                      exit 1, HTTP 422
│   ├── SoundNotFound          nothing at this path
│   ├── UnreadableSound        a directory, no permission, not audio, broken
│   ├── EmptySound             no samples
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

__all__ = [
    "BadCheckpoint",
    "DataError",
    "DataWarning",
    "DetectorError",
    "DetectorMismatch",
    "EmptySound",
    "HeadError",
    "HeadMismatch",
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


class OpenClapError(Exception):
    """Root of everything a user can cause; the command line prints it as one line."""

    exit_code = 1
    http_status = 500
    quiet = False  # True: another process of the same run prints it


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
    """A sound without samples."""


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

    `detector` is its name, `maker` that of the other model, `refit` the command that teaches it anew by its examples,
    where they are stored.
    """

    detector: str | None = None
    maker: str | None = None
    refit: str | None = None


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
