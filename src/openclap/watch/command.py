"""Runs a command that the user named once for every event, which it gets as JSON on its standard input.

The command is a list of arguments and never goes through a shell. The runs in a minute and the seconds of a run are
limited; events beyond that are left out, and a message says so.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence

from openclap.errors import UsageError
from openclap.watch.event import Event
from openclap.watch.sources import Tell

__all__ = ["Command"]

WAITING = 100  # events that wait for the command
MINUTE = 60.0  # seconds


class Command:
    """A sink that runs `arguments` once for every event.

    Raises
    ------
    UsageError
        There is no such program.
    """

    def __init__(self, arguments: Sequence[str], tell: Tell, *, timeout: float = 30.0, a_minute: int = 20) -> None:
        if not arguments or not shutil.which(arguments[0]):
            raise UsageError(
                f"command {(arguments or [''])[0]!r} is no program that can be run; give its path and arguments (no"
                " shell reads them)"
            )
        self.name = arguments[0]
        self.dropped = self.failed = 0
        self._arguments, self._tell, self._timeout, self._a_minute = list(arguments), tell, timeout, a_minute
        self._recent: deque[float] = deque(maxlen=a_minute)
        self._events: queue.Queue[Event | None] = queue.Queue(WAITING)
        self._running: subprocess.Popen[bytes] | None = None
        self._stopped: subprocess.Popen[bytes] | None = None  # the run that `close` has stopped
        self._gone = threading.Event()  # set when nobody waits for the thread any more
        self._thread = threading.Thread(target=self._run, name="openclap-command", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Run the command for an event soon, in a thread; see `sinks.Sink`."""
        now = time.monotonic()
        often = len(self._recent) == self._a_minute and now - self._recent[0] < MINUTE
        if often or self._events.full():
            if not self.dropped:
                self._tell(
                    f"{self.name}: more events than {self._a_minute} a minute, or than it is done with; those are"
                    " left out"
                )
            self.dropped += 1
            return
        self._recent.append(now)
        self._events.put_nowait(event)

    def close(self, seconds: float) -> int:
        """End as `sinks.Sink` says; a run that is not done by then is stopped."""
        until = time.monotonic() + seconds
        with contextlib.suppress(queue.Full):
            self._events.put(None, timeout=max(0.01, seconds))
        self._thread.join(max(0.0, until - time.monotonic()))
        waiting = sum(event is not None for event in list(self._events.queue))
        self._gone.set()
        if (running := self._running) is not None:
            self._stopped = running
            _stop(running)
            self._thread.join(1.0)
        return self.dropped + self.failed + waiting

    def _run(self) -> None:
        while (event := self._events.get()) is not None and not self._gone.is_set():
            try:
                cause = self._run_once(event.to_json() + b"\n")
            except OSError as error:
                cause = error.strerror or str(error)
            if cause:
                self.failed += 1
                self._tell(f"{self.name}: {cause}")

    def _run_once(self, body: bytes) -> str | None:
        """Run the command once; why it failed, or None."""
        process = subprocess.Popen(
            self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # our own standard output holds results only
            start_new_session=True,
        )
        self._running = process
        try:
            process.communicate(body, timeout=self._timeout)
        except subprocess.TimeoutExpired:
            _stop(process)
            return f"was not done after {self._timeout:g} s and was stopped"
        except BrokenPipeError:
            process.wait()
        finally:
            self._running = None
        if process is self._stopped and process.returncode:
            return "was not done when the watch ended and was stopped"
        return f"failed with exit code {process.returncode}" if process.returncode else None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a run and the processes it has started, as far as the system lets us."""
    with contextlib.suppress(OSError):
        if process.poll() is not None:
            return
        if sys.platform == "win32":  # it has no groups that can be killed; taskkill knows who started whom
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
