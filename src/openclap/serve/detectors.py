"""What was taught, as the service has it: detectors that it was given, those of its owner, and drafts.

    settings.detectors ─ given: all may use them
    the owner's folder ─ own: where visitors may manage; kept, renamed, removed
    POST /v1/teach ───── drafts: in memory, each by an id that nobody can guess; kept by the owner, or downloaded

A detector is asked for by a name, never by a path.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openclap.checkpoints.presets import maker_display_name
from openclap.detector import Detector, NamedModel, delete_detector, detector_path, detectors_folder
from openclap.errors import DetectorError, DetectorMismatch, OpenClapError, RequestRefused, UsageError
from openclap.example_store import count_examples
from openclap.results import Failure
from openclap.serve.settings import ServeSettings
from openclap.teach import Taught

__all__ = ["DRAFT", "Detectors", "KnownDetector"]

DRAFT = "draft:"  # how the id of a draft begins; no detector can be called so
DRAFTS, DRAFT_SECONDS = 256, 3600.0  # how many are in memory, and for how long after they were last used
ID_BYTES = 24
NAMED = 10  # detectors that are named to who asks for another
LARGEST = 1 << 20  # bytes of a file that is uploaded: a detector has some thousand
log = logging.getLogger("openclap.serve")


@dataclass(frozen=True)
class KnownDetector:
    """A detector by the name that it is asked for by.

    Attributes
    ----------
    maker
        The model that it was taught on, by the name that loads it.
    own
        It may be changed here.
    fits
        The loaded model can use it.
    kept
        How many of its examples are kept.
    """

    name: str
    detector: Detector
    maker: str
    own: bool
    fits: bool
    kept: int


@dataclass
class _Draft:
    taught: Taught
    used: float


class Detectors:
    """All that can be asked for; for several threads. What reads or writes files is for threads that may wait.

    Parameters
    ----------
    clap
        The loaded model.
    title
        What that is called before visitors.

    Raises
    ------
    DetectorError
        One of those in the settings cannot be used, or not with this model.
    """

    def __init__(self, settings: ServeSettings, clap: NamedModel, title: str) -> None:
        self._manage, self._clap, self._title = settings.manage, clap, title
        self._given = {one.name: one for one in map(Detector.load, settings.detectors)}
        for one in self._given.values():
            one.check(clap)
        self._drafts: OrderedDict[str, _Draft] = OrderedDict()
        self._lock = threading.Lock()  # of the drafts
        self._changing = threading.Lock()  # one change of the owner's at a time

    # -- asking ----------------------------------------------------------------------------------------

    def find(self, name: str) -> Detector:
        """The detector of a name, or the draft of an id, which the loaded model can use.

        Raises
        ------
        RequestRefused
            404: there is none; 409: it cannot be used, or was taught on another model.
        """
        found = self._any(name)
        if not self._fits(found):
            raise self._mismatch(name, found)
        return found

    def listed(self) -> tuple[list[KnownDetector], list[Failure]]:
        """All but the drafts, by name, and the files of the owner's folder that cannot be read."""
        known = {name: self._known(name, one, own=False) for name, one in self._given.items()}
        failed: list[Failure] = []
        for path in sorted(detectors_folder().glob("*.safetensors")) if self._manage else ():
            try:
                known[path.stem] = self._known(path.stem, Detector.load(path), own=True)
            except DetectorError as error:
                failed.append(Failure(path.stem, _cause(error, path)))
        return [known[name] for name in sorted(known)], failed

    def known(self, name: str) -> KnownDetector:
        """One of them."""
        return self._known(name, self._any(name), own=self._is_own(name))

    def file(self, name: str, called: str | None = None) -> tuple[str, bytes]:
        """The file of a draft, or of one of the owner's: its name without the ending, and its content.

        Parameters
        ----------
        called
            Another name that the detector in the file has.

        Raises
        ------
        RequestRefused
            403: it is not handed out here.
        """
        found = self._any(name)
        if not name.startswith(DRAFT) and not self._is_own(name):
            raise RequestRefused("this detector may be used here, but not be taken along", 403, "not_allowed")
        detector = found if called is None else replace(found, name=_checked(called))
        with tempfile.TemporaryDirectory() as folder:
            return detector.name, detector.save(Path(folder) / "detector.safetensors").read_bytes()

    # -- drafts ----------------------------------------------------------------------------------------

    def add_draft(self, taught: Taught) -> str:
        """Remember what was just taught → its id."""
        id, now = DRAFT + secrets.token_urlsafe(ID_BYTES), time.monotonic()
        with self._lock:
            self._drafts[id] = _Draft(taught, now)
            while len(self._drafts) > DRAFTS or now - next(iter(self._drafts.values())).used > DRAFT_SECONDS:
                self._drafts.popitem(last=False)
        return id

    def _draft(self, id: str) -> Taught:
        with self._lock:
            found = self._drafts.get(id)
            if found is None or time.monotonic() - found.used > DRAFT_SECONDS:
                raise RequestRefused("this draft is kept no longer; teach it again", 404, "detector_not_found")
            found.used = time.monotonic()
            self._drafts.move_to_end(id)
            return found.taught

    # -- changes ---------------------------------------------------------------------------------------

    def keep(self, id: str, name: str, *, over: bool = False) -> tuple[KnownDetector, list[Failure]]:
        """Keep a draft among the owner's detectors, its examples beside it → it, and the examples that are lost.

        Raises
        ------
        RequestRefused
            403: nothing may be kept here; 404: there is no such draft; 409: there is one of this name, and it may not
            be written `over`.
        UsageError
            The name cannot be a detector's.
        """
        draft = self._draft(id)
        return self._save(draft.detector, name, draft.examples, over=over)

    def add_file(self, content: bytes, name: str | None, *, over: bool = False) -> KnownDetector:
        """Keep the file of a detector among the owner's, under its own name unless another is given.

        Raises
        ------
        RequestRefused, UsageError
            As `keep`; 413: it is too large; 422: it is no detector.
        """
        self.require_manager()
        if len(content) > LARGEST:
            raise RequestRefused("the file is larger than 1 MiB; a detector has some thousand bytes", 413, "body_too_large")  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "detector.safetensors"
            place.write_bytes(content)
            try:
                detector = Detector.load(place)
            except DetectorError as error:
                raise RequestRefused(f"the file is not taken: {_cause(error, place)}", 422, "no_detector") from None
        known, _ = self._save(detector, name or detector.name, (), over=over)
        return known

    def rename(self, name: str, to: str, *, over: bool = False) -> KnownDetector:
        """Give one of the owner's another name; its examples go with it."""
        detector = self._own(name)
        kept = detector.key if count_examples(detector.key) else ()
        if _checked(to) == name:
            return self._known(name, detector, own=True)
        known, _ = self._save(detector, to, kept, over=over)
        self.remove(name)
        return known

    def remove(self, name: str) -> None:
        """Forget one of the owner's, and its examples."""
        self.require_manager()
        with self._changing:
            try:
                delete_detector(name)
            except DetectorError as error:
                if not detector_path(name).exists():
                    raise self._not_found(name) from None
                raise self._unwritten(error) from None

    def require_manager(self) -> None:
        """Refuse what only the owner may do.

        Raises
        ------
        RequestRefused
            403, unless the settings say that visitors may `manage`.
        """
        if not self._manage:
            raise RequestRefused("only the owner of this server may keep and change detectors", 403, "not_allowed")

    def to_refit(self, name: str) -> Detector:
        """One of the owner's, which may be of another model, whose examples were kept.

        Raises
        ------
        RequestRefused
            409: none were.
        """
        detector = self._own(name)
        if not count_examples(detector.key):
            raise RequestRefused(f"no examples of the detector {name!r} were kept; teach it again", 409, "no_examples")
        return detector

    # -- inside ----------------------------------------------------------------------------------------

    def _any(self, name: str) -> Detector:
        if name.startswith(DRAFT):
            return self._draft(name).detector
        if self._is_own(name):
            return self._load(name)
        if name not in self._given:
            raise self._not_found(name)
        return self._given[name]

    def _not_found(self, name: str) -> RequestRefused:
        own = (path.stem for path in detectors_folder().glob("*.safetensors")) if self._manage else ()
        there = sorted({*self._given, *own})
        which = f"choose {', '.join(there[:NAMED])}{' …' if len(there) > NAMED else ''}" if there else "it has none yet"
        return RequestRefused(f"the server has no detector {name[:100]!a}; {which}", 404, "detector_not_found")

    def _is_own(self, name: str) -> bool:
        try:
            return self._manage and not name.startswith(DRAFT) and detector_path(name).is_file()
        except UsageError:  # no file has such a name
            return False

    def _own(self, name: str) -> Detector:
        self.require_manager()
        if not self._is_own(name):
            raise self._not_found(name)
        return self._load(name)

    def _load(self, name: str) -> Detector:
        place = detector_path(name)
        try:
            return Detector.load(place)
        except DetectorError as error:
            raise RequestRefused(
                f"the detector {name!r} cannot be used: {_cause(error, place)}", 409, "detector_error"
            ) from None

    def _fits(self, detector: Detector) -> bool:
        return detector.fingerprint == self._clap.fingerprint and detector.size == self._clap.config.embedding

    def _known(self, name: str, detector: Detector, *, own: bool) -> KnownDetector:
        fits = self._fits(detector)
        maker = self._title if fits else _maker(detector, self._title)
        return KnownDetector(name, detector, maker, own, fits, count_examples(detector.key))

    def _save(
        self, detector: Detector, name: str, examples: Sequence[object] | str, *, over: bool
    ) -> tuple[KnownDetector, list[Failure]]:
        self.require_manager()
        called = _checked(name)
        with self._changing:
            if detector_path(called).exists() and not over:
                raise RequestRefused(
                    f"there is a detector {called!r} already; choose another name, or say that it is replaced",
                    409,
                    "detector_exists",
                )
            taught = Taught(replace(detector, name=called, place=None), examples=examples)  # type: ignore[arg-type]
            try:
                taught.save()
            except UsageError as error:
                raise self._unwritten(error) from None
        return self._known(called, taught.detector, own=True), taught.failed

    def _mismatch(self, name: str, detector: Detector) -> RequestRefused:
        known = self._known(name, detector, own=self._is_own(name))
        do = "teach it anew by the examples that were kept" if known.kept and known.own else "teach it again"
        return RequestRefused(
            f"the detector {detector.name!r} was taught on {known.maker}, and this server answers with {self._title}; {do}",
            DetectorMismatch.http_status,
            "detector_mismatch",
        )

    def _unwritten(self, error: OpenClapError) -> RequestRefused:
        log.error(str(error), extra={"facts": {"route": "/v1/detectors"}})
        return RequestRefused("the server's detectors cannot be written; its log says why", 500, "not_written")


def _checked(name: str) -> str:
    """A name without spaces around it.

    Raises
    ------
    UsageError
        No detector can have it.
    """
    called = " ".join(name.split())
    detector_path(called)
    return called


def _maker(detector: Detector, at_work: str) -> str:
    """The model that a detector was taught on: its name, or that of its file; where that lies is told to nobody."""
    name = maker_display_name(detector.model, detector.fingerprint, at_work)
    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    return name.replace("\\", "/").rpartition("/")[2] if is_path else name


def _cause(error: DetectorError, place: Path) -> str:
    """What is wrong with a file, without where it lies."""
    said = str(error.args[0]).removeprefix(f"{place}: ")
    return "it cannot be read" if str(place.parent) in said else said
