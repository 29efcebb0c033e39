"""A child's sockets to its parent: reports go out whole, orders come in on a thread."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from select import select

from sereno.engine.clock import steady
from sereno.engine.context import StopFlag
from sereno.engine.executors.wire import (
    Alive,
    Enqueue,
    EnqueuedRun,
    Flush,
    Flushed,
    Raised,
    Report,
    Returned,
    Start,
    Stop,
    decode_order,
    framed,
)
from sereno.model import errors
from sereno.model.errors import RunError, StoreUnavailableError
from sereno.store.run_request import RunRequest

_LOOKED_EVERY = 0.5


def _nothing() -> None:
    return None


class ParentLine:
    """What a child hears and says. Where the parent is gone, or frozen, the child ends with all
    that it has started. `stop`: of the attempt under way; `on_stop`: called when it is to stop."""

    def __init__(self, orders: socket.socket, reports: socket.socket) -> None:
        self._orders = orders
        self._reports = reports
        self._lock = threading.Lock()
        self._answers: SimpleQueue[Flushed | EnqueuedRun] = SimpleQueue()
        self._asking = threading.Lock()
        self._starts: SimpleQueue[Start] = SimpleQueue()
        self._silence: float | None = None
        self.stop = StopFlag()
        self.on_stop: Callable[[], None] = _nothing
        threading.Thread(target=self._listen, daemon=True).start()

    def next_start(self) -> Start:
        """Wait for work."""
        return self._starts.get()

    def send(self, report: Report) -> None:
        """Send a report, whole; from any thread."""
        with self._lock:
            self._reports.sendall(framed(report))

    def flush(self) -> None:
        """Have what was said made durable; raises StoreUnavailableError."""
        answer = self._ask(Flush())
        if answer.error:
            raise StoreUnavailableError(answer.error)

    def enqueue(self, request: RunRequest) -> int:
        """Have the parent queue a run, and return its id."""
        answer = self._ask(Enqueue(request))
        if isinstance(answer, EnqueuedRun) and answer.run_id is not None:
            return answer.run_id
        raise getattr(errors, getattr(answer, "kind", ""), RunError)(answer.error)

    def _ask(self, question: Report) -> Flushed | EnqueuedRun:
        with self._asking:  # one after another, so that each gets its own answer
            self.send(question)
            return self._answers.get()

    def over(self, report: Returned | Raised) -> None:
        """Send the last report of an attempt, after which the parent may be silent."""
        self._silence = None
        self.send(report)

    def _listen(self) -> None:
        """Take orders for ever, on this thread."""
        while True:
            size = int.from_bytes(self._exactly(4), "big")
            match decode_order(self._exactly(size)):
                case Stop():
                    self.stop.set()
                    self.on_stop()
                case Flushed() | EnqueuedRun() as answer:
                    self._answers.put(answer)
                case Start() as start:
                    self.stop, self.on_stop, self._silence = StopFlag(), _nothing, start.silence
                    self._starts.put(start)
                case Alive():
                    pass

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            part = b""
            with suppress(OSError):
                if self._heard():
                    part = self._orders.recv(size - len(found))
            if not part:  # the parent is gone, or frozen: nobody waits for us any more
                os.killpg(os.getpgid(0), signal.SIGKILL)
            found += part
        return bytes(found)

    def _heard(self) -> bool:
        """Wait for a word of the parent; return False where it has been silent for too long."""
        since = steady()
        while not self._readable(_LOOKED_EVERY):
            limit = self._silence
            if limit is not None and steady() - since > limit:
                # It may be we who had no time to listen, as where a function keeps the interpreter
                # to itself: what the parent has said meanwhile is there.
                return self._readable(0)
        return True

    def _readable(self, seconds: float) -> bool:
        return bool(select([self._orders], [], [], seconds)[0])
