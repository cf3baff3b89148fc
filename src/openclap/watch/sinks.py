"""Delivers events in order, each until it is taken: a spool on disk, and a thread that empties it.

    event ─ spool (one numbered file each; when full, the oldest are dropped) ─ thread ─ send ─ taken: file removed
                                                                         ↑         │ later: again in 0.5, 1, 2 … 60 s
                                                                         └─────────┘ never: left out and counted

What lies in the spool when a watch ends is sent when the next one begins. How a message travels (HTTP, MQTT) is the
business of a `Sender`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections import deque
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from filelock import FileLock, Timeout

from openclap.atomic_write import ENDING, atomic_write
from openclap.regular_files import read_regular
from openclap.watch.event import Event
from openclap.watch.sources import Tell, backoff_seconds

__all__ = ["Outcome", "RetryingSink", "Sender", "Sink", "Spool"]

Outcome: TypeAlias = Literal["taken", "later", "never"]

SPOOL_BYTES = 64 << 20
SPOOL_EVENTS = 10_000
PLACES = 16  # folders for one receiver: so many watches at once may send to it
IN_MEMORY = 1000  # events that are kept in memory where the disk takes none
LONGEST_WAIT = 60.0  # seconds between two tries
NAME = re.compile(r"(\d{16})-([0-9A-Za-z.-]{1,80})\.json")


class Sink(Protocol):
    """A receiver of events that never makes the watch wait."""

    name: str

    def put(self, event: Event) -> None:
        """Take an event; it is passed on later."""

    def close(self, seconds: float) -> int:
        """Wait up to so many seconds for what is left, and end; returns how many events could not be passed on."""


class Sender(Protocol):
    """Passes on a message, one try at a time, and never raises for what the other side does.

    `name` is shown to people; `address` tells receivers apart and is never shown, as it may hold a password.
    """

    name: str
    address: str

    def send(self, key: str, body: bytes, tell: Tell) -> Outcome:
        """Try once to send a message; `key` is the same however often the same message is sent."""

    def close(self) -> None:
        """Close connections."""


class Spool:
    """A bounded queue of messages in a folder, oldest first; where the disk takes none, in memory."""

    def __init__(self, folder: Path, tell: Tell, *, most_bytes: int = SPOOL_BYTES, most: int = SPOOL_EVENTS) -> None:
        self._folder, self._tell, self._most_bytes, self._most = folder, tell, most_bytes, most
        self._memory: dict[str, bytes] = {}  # by name
        self._order: deque[tuple[str, int]] = deque()  # name, bytes
        self._bytes = 0
        self.dropped = 0
        self._told: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in sorted(folder.iterdir()):
                if NAME.fullmatch(path.name):
                    self._append(path.name, path.stat().st_size)
                elif path.suffix == ENDING:  # a part file of a watch that was killed
                    path.unlink()
        except OSError as error:
            self._tell_once(
                "disk", f"{folder}: cannot hold events ({error.strerror}); up to {IN_MEMORY} are kept in memory"
            )
        self._number = 1 + int(self._order[-1][0][:16]) if self._order else 1

    def __len__(self) -> int:
        return len(self._order)

    def put(self, key: str, body: bytes) -> None:
        """Append a message; the oldest are dropped where there is no room."""
        name = f"{self._number:016d}-{key}.json"
        self._number += 1
        try:
            with atomic_write(self._folder / name, own=True, sync=True) as part:
                part.write_bytes(body)
        except OSError as error:
            self._tell_once(
                "disk", f"{self._folder}: cannot hold events ({error.strerror}); up to {IN_MEMORY} are kept in memory"
            )
            self._memory[name] = body
        self._append(name, len(body))
        while len(self._order) > 1 and (len(self._order) > self._most or self._bytes > self._most_bytes):
            self._drop(0)
        if len(self._memory) > IN_MEMORY:  # only what is in memory counts here
            oldest = next(iter(self._memory))
            self._drop(next(place for place, (name, _) in enumerate(self._order) if name == oldest))

    def oldest(self) -> tuple[str, bytes] | None:
        """Key and body of the oldest message, or None where none waits."""
        while self._order:
            name = self._order[0][0]
            try:
                body = self._memory[name] if name in self._memory else read_regular(self._folder / name)
            except OSError:  # the file was deleted meanwhile
                self.remove()
                self.dropped += 1
                continue
            return name[17:-5], body
        return None

    def adopt(self, orphan: Path) -> None:
        """Move the messages that another spool has left to the end of this one; nothing is copied."""
        with contextlib.suppress(OSError):
            for path in sorted(path for path in orphan.iterdir() if NAME.fullmatch(path.name)):
                name = f"{self._number:016d}-{path.name[17:]}"
                size = path.stat().st_size
                os.replace(path, self._folder / name)
                self._number += 1
                self._append(name, size)

    def remove(self) -> None:
        """Remove the oldest message."""
        self._forget(0)

    def _drop(self, place: int) -> None:
        self._forget(place)
        self.dropped += 1
        self._tell_once("full", f"{self._folder}: full; the oldest events that nobody took are dropped")

    def _forget(self, place: int) -> None:
        name, size = self._order[place]
        del self._order[place]
        self._bytes -= size
        if self._memory.pop(name, None) is None:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _append(self, name: str, size: int) -> None:
        self._order.append((name, size))
        self._bytes += size

    def _tell_once(self, what: str, message: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._tell(message)


class RetryingSink:
    """A sink that passes every event to a `Sender`, in order, again and again until it is taken."""

    def __init__(
        self, sender: Sender, folder: Path, tell: Tell, *, first: float = 0.5, most: float = LONGEST_WAIT
    ) -> None:
        self.name = sender.name
        self.refused = 0
        self._sender, self._tell, self._first, self._most = sender, tell, first, most
        self._lock_file, place, orphans = _own_place(folder, hashlib.sha256(sender.address.encode()).hexdigest()[:16])
        self._spool = Spool(place, tell)
        for orphan in orphans:
            self._spool.adopt(orphan)
        self._lock = threading.Condition()
        self._closing = threading.Event()
        self._gone = threading.Event()  # set when nobody waits for the thread any more
        self._thread = threading.Thread(target=self._run, name=f"openclap-{type(sender).__name__}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Append an event to the spool."""
        key = re.sub(r"[^0-9A-Za-z.-]", "-", f"{event.id}.{event.state}")[:80]
        with self._lock:
            self._spool.put(key, event.to_json())
            self._lock.notify()

    def close(self, seconds: float) -> int:
        """End as `Sink` says; what is not taken by then stays in the spool for the next watch."""
        until = time.monotonic() + seconds
        with self._lock:
            self._closing.set()
            self._lock.notify()
        self._thread.join(max(0.0, until - time.monotonic()))
        self._gone.set()
        self._sender.close()
        if self._lock_file is not None:
            self._lock_file.release()
        with self._lock:
            return len(self._spool) + self._spool.dropped + self.refused

    def _run(self) -> None:
        attempt = 0
        while True:
            with self._lock:
                while (waiting := self._spool.oldest()) is None and not self._closing.is_set():
                    self._lock.wait(1.0)
            if waiting is None or self._gone.is_set():
                return
            outcome = self._sender.send(*waiting, self._throttled_tell(attempt))
            if outcome == "later":
                attempt += 1
                self._pause(backoff_seconds(attempt, first=self._first, most=self._most))
                continue
            if attempt and outcome == "taken":
                self._tell(f"{self.name}: takes events again")
            attempt = 0
            with self._lock:
                now = self._spool.oldest()
                if now is not None and now[0] == waiting[0]:  # it may have been dropped meanwhile
                    self._spool.remove()
                self.refused += outcome == "never"

    def _throttled_tell(self, attempt: int) -> Tell:
        """A `tell` for the first failure in a row and for every tenth; the others are silent."""
        return self._tell if attempt % 10 == 0 else lambda _: None

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            self._gone.wait(min(seconds, 1.0))  # `close` waits for a few seconds at most
        else:
            self._closing.wait(seconds)


def _own_place(folder: Path, name: str) -> tuple[FileLock | None, Path, list[Path]]:
    """A spool folder of our own for a receiver, its lock, and the folders that ended watches have left."""
    mine: tuple[FileLock, Path] | None = None
    orphans: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(PLACES):
            place = folder / f"{name}-{number}"
            if mine is not None and not place.exists():
                continue
            lock = FileLock(f"{place}.lock", timeout=0, thread_local=False)
            try:
                lock.acquire()
            except Timeout:
                continue
            if mine is None:
                mine = lock, place
            else:
                orphans.append(place)
                lock.release()
    except OSError:
        pass  # no disk to write to: `Spool` says so
    return (mine[0], mine[1], orphans) if mine else (None, folder / f"{name}-{os.getpid()}", [])
