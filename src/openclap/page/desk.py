"""What the tabs ask for: the model, the libraries, examples, and the one thread that has the model.

Knows nothing of gradio.

tab ─ job ─ pieces ─┐
tab ─ job ─ pieces ─┼─ one thread: the model ─ rows        each job in a thread of its own; the server's event loop never waits
tab ─ job ─ pieces ─┘
tab ─ index ── another thread, with a library of its own
tab ─ load ─── another one: a download takes minutes
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from openclap.atomic_write import atomic_write
from openclap.audio.decode_limits import DecodingStopped, LimitedSound, limit
from openclap.audio.load import duration
from openclap.checkpoints.presets import find_preset
from openclap.checkpoints.weights import count_parameters
from openclap.clap import CLAP
from openclap.errors import ModelError, TooLong
from openclap.http.loading import LOADING, end_loading
from openclap.library import Library
from openclap.library.served_files import ServedFiles
from openclap.page.ears import Pace, Turns
from openclap.page.examples import Examples
from openclap.page.jobs import Doing, Job, Jobs
from openclap.page.sessions import Watches
from openclap.page.settings import PageSettings
from openclap.page.shelf import Exports, Shelf
from openclap.page.strings import Told
from openclap.text_cache import TextEmbeddingCache
from openclap.window_cache import WindowCache

__all__ = ["Desk", "Loaded", "end_loading", "title_of"]

T = TypeVar("T")

KNOWN_LABELS = 2048
AT_ONCE = 32  # jobs
EVERY = 0.25  # seconds between two looks at how far one is


@dataclass(frozen=True)
class Loaded:
    """A model that is at work: name, what computes, its size and how long loading took."""

    name: str
    device: str
    parameters: int
    seconds: float


class Desk:
    """Everything behind a page.

    Parameters
    ----------
    clap
        A model that is loaded already and shared with others; else `settings.model` is loaded when first needed.
    """

    def __init__(self, settings: PageSettings, clap: CLAP | None = None) -> None:
        self.settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="openclap-page-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.examples = Examples()
        own = [
            self.folder / "visitors",
            self.examples.folder / "library",
            *([settings.uploads] if settings.uploads else []),
        ]
        self.served = ServedFiles(settings.roots, own=own)
        self.shelf = Shelf(self.folder / "played", self.served)
        self.exports = Exports(self.folder / "exports")
        self.watches = Watches(settings.watches, settings.watch_seconds)
        self.labels = TextEmbeddingCache(KNOWN_LABELS)  # vectors of what sounds are described with
        self.heard = WindowCache()  # of sounds of visitors: in memory alone
        self.jobs = Jobs()
        self._pace = Pace()
        self._worker = ThreadPoolExecutor(1, "openclap-page", initializer=self._known)
        self._at_work = ThreadPoolExecutor(AT_ONCE, "openclap-page-job")
        self._indexer = ThreadPoolExecutor(1, "openclap-page-index")
        self._loader = ThreadPoolExecutor(1, "openclap-page-load")
        self._first, self._examples = threading.Lock(), threading.Lock()
        self._model_thread = 0
        self.load_elsewhere: Callable[[str], CLAP] | None = None  # where the server's model is the page's
        self.indexing = threading.Lock()
        self.closing = threading.Event()  # what takes long ends with what is finished
        # by what they are called: where they lie on the server is nobody's business
        self.models = {title_of(name): name for name in (settings.model, *(settings.models or ()))}
        self._clap = clap
        self.loaded = None if clap is None else _facts(clap, settings.model, 0.0)

    # -- the threads -----------------------------------------------------------------------------------

    def _known(self) -> None:
        self._model_thread = threading.get_ident()

    def ask(self, call: Callable[[], T]) -> Future[T]:
        """Have something short done by the model's thread, which all others wait for."""
        if threading.get_ident() == self._model_thread:  # it cannot wait for itself
            done: Future[T] = Future()
            done.set_result(call())
            return done
        return self._worker.submit(call)

    def do(self, call: Callable[[], T]) -> T:
        """Have it done, and wait."""
        return self.ask(call).result()

    def ears(self, job: Job | None = None) -> Any:
        """The model at work, for a thread of its own: a `CLAP` that waits its turn for every piece, and no longer than the job is wanted.

        It stays the same one, whatever is loaded meanwhile.
        """
        clap, job = self.clap, job or Job()

        def ask(call: Callable[[], T]) -> Future[T]:
            job.check()
            try:
                return self.ask(call)
            except RuntimeError:
                if self.closing.is_set():  # nothing is computed any more
                    raise DecodingStopped from None
                raise

        return Turns(clap, ask, self._pace, job.tell_seconds, job.tell_each)

    def follow(self, visitor: str, name: str, call: Callable[[Job], T]) -> Generator[Doing | T, None, None]:
        """Have something done in a thread of its own: how far it is, again and again, and at last what it gives.

        It ends with who follows it, with the visitor, and by `jobs.stop`.

        Raises
        ------
        Interrupted
            It was stopped.
        """
        with self.jobs.at_work(Job(visitor, name)) as job:
            future = self._at_work.submit(call, job)
            told = None
            while wait([future], timeout=EVERY).not_done:
                if job.stop.is_set():  # what it is at just now may take a while
                    raise DecodingStopped
                if job.doing is not None and job.doing is not told:
                    told = job.doing
                    yield told
            try:
                found = future.result()
            except CancelledError:
                raise DecodingStopped from None
            yield found

    def index(self, call: Callable[[], T]) -> Future[T]:
        """Have something done by the thread that indexes, which may take hours."""
        return self._indexer.submit(call)

    def prepare(self) -> None:
        """Begin with what nobody should wait for later."""
        self._at_work.submit(self.examples.prepare)

    def close(self) -> None:
        """Finish what was begun, indexing aside, which keeps what is finished; and delete what was kept for it."""
        self.closing.set()
        self.watches.close()
        self.jobs.close()
        for threads in (self._worker, self._at_work, self._indexer, self._loader):
            threads.shutdown(cancel_futures=True)
        self._remove_folder()

    # -- the model -------------------------------------------------------------------------------------

    @property
    def clap(self) -> CLAP:
        """The model at work, loaded when it is first asked for; its towers are called by `ears`, or in the model's thread."""
        if self._clap is None:
            with self._first:
                if self._clap is None:
                    self._load(self.settings.model)
        assert self._clap is not None
        return self._clap

    def use(self, clap: CLAP, name: str) -> None:
        """Put a model to work that others have loaded."""
        if clap is not self._clap:
            self._clap, self.loaded = clap, _facts(clap, name, 0.0)

    def load(self, name: str) -> Future[Loaded]:
        """Put another model to work, once it is loaded.

        Raises
        ------
        Told
            This page may not load it.
        ModelError
            From the future: it cannot be used; `asked` is its name.
        """
        wanted = self.models.get(name.strip(), name.strip())
        self.refuse(wanted)
        return self._loader.submit(self._load, wanted)

    def refuse(self, name: str) -> None:
        """Refuse the name of a model that may not be loaded here: what lies on the server's disk outside the roots is nobody's."""
        if not name:
            raise Told("error.no_model")
        if name == self.settings.model:
            return
        if self.settings.models is not None:
            if name not in self.settings.models:
                raise Told("error.model_refused", name=title_of(name))
            return
        if _is_path(name) and not self.within_roots(Path(os.path.expanduser(name))):
            raise Told("error.model_refused", name=title_of(name))

    def _load(self, name: str) -> Loaded:
        begun = time.perf_counter()
        try:
            clap = self._unless_closing(lambda: self._read(name))
        except ModelError as error:
            error.asked = title_of(name)  # type: ignore[attr-defined]
            raise
        self._clap = clap
        self.loaded = _facts(clap, name, time.perf_counter() - begun)
        return self.loaded

    def _read(self, name: str) -> CLAP:
        if self.load_elsewhere is not None:
            return self.load_elsewhere(name)
        clap = CLAP.from_pretrained(name, device=self.settings.device, threads=self.settings.threads)
        clap.encode_text("a sound")  # what is wrong with it is told now
        return clap

    def _unless_closing(self, call: Callable[[], T]) -> T:
        """What a call gives, unless the page is closed before: a download takes minutes, and goes on from where it was left.

        It has a thread that nobody waits for at the end.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:  # it is raised where it was asked for
                future.set_exception(error)

        threading.Thread(target=run, name=LOADING, daemon=True).start()
        while not wait([future], timeout=0.1).done:
            if self.closing.is_set():
                raise Told("error.closing")
        return future.result()

    # -- sounds and places -----------------------------------------------------------------------------

    def sound(self, path: str | None, job: Job) -> LimitedSound:
        """The file that a visitor gave, if it may be used; it is decoded no longer than the job is wanted.

        Raises
        ------
        Told
            There is none, or it is too long.
        SoundError
            It is none.
        """
        if not path:
            raise Told("error.no_sound")
        most = self.settings.audio_seconds
        sound: LimitedSound = limit(Path(path), seconds=most, stop=job.stop)
        try:
            seconds = duration(sound)  # where the header says nothing it is decoded
        except TooLong:
            seconds = most + 60
        if seconds > most:
            raise Told("error.long", minutes=f"{seconds / 60:.0f}", most=f"{most / 60:.0f}")
        return sound

    def example(self, made: Path) -> str:
        """A copy of an example that a browser may be given: what lies in the user's cache may have become anything."""
        place = self.folder / "examples" / made.name
        if not place.exists():
            with self.shelf.open(self.shelf.show(str(made))) as sound:
                place.parent.mkdir(exist_ok=True)
                with atomic_write(place) as part, part.open("wb") as copy:
                    shutil.copyfileobj(sound, copy)
        return str(place)

    def within_roots(self, path: Path) -> bool:
        """Whether a path, its links followed, lies in a folder that may be used."""
        return self.served.leads_inside(path)

    def place(self, which: str, visitor: str) -> str:
        """Where a library is: "examples", or "own", the server's or this visitor's."""
        if which == "examples":
            return str(self.folder / f"examples-{self.clap.fingerprint}")
        return self.settings.library or str(self.visitors(visitor) / "library")

    def visitors(self, visitor: str) -> Path:
        """A visitor's folder, which goes with them."""
        assert visitor.isalnum(), visitor
        folder = self.folder / "visitors" / visitor
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def uploads(self, visitor: str) -> Path:
        """Where a visitor's uploads to the library are kept."""
        if self.settings.library is not None and self.settings.uploads is not None:
            return self.settings.uploads
        return self.visitors(visitor) / "sounds"

    def forget(self, visitor: str) -> None:
        """Delete what was kept for a visitor who has left, and listen to them no longer."""
        self.watches.forget(visitor)
        self.jobs.stop(visitor)
        if visitor.isalnum():
            shutil.rmtree(self.folder / "visitors" / visitor, ignore_errors=True)

    def opened(self, which: str, visitor: str, job: Job | None = None) -> Library:
        """A library for the thread of a job, made of the examples where these are asked for."""
        place = self.place(which, visitor)
        library = Library.open(place, model=self.ears(job))
        if which == "examples":
            with self._examples:
                if not library.stats()["files"]:
                    library.add(self.examples.library())
        return library


def title_of(model: str) -> str:
    """What a model is called: its name, or that of its file or folder."""
    return Path(model).name if _is_path(model) and find_preset(model) is None else model


def _is_path(model: str) -> bool:
    return model.startswith((".", "/", "~", "\\")) or model.count("/") > 1 or "\\" in model or Path(model).exists()


def _facts(clap: CLAP, name: str, seconds: float) -> Loaded:
    info = clap.backend.info
    return Loaded(
        title_of(name), f"{info.device.upper()} ({info.engine})", count_parameters(clap.checkpoint.weights), seconds
    )
