"""Leaves word in the database of what holds the event loop, while it does.

Whoever takes the runs over afterwards reads why they were lost. The loop's own connections cannot
say it, and the process may be killed before they can: so a thread has a connection of its own.
"""

import asyncio
import logging
import threading
from queue import Empty, SimpleQueue
from uuid import UUID

from sereno.engine.runlog import RunScope
from sereno.model.errors import SerenoError
from sereno.store.stragglers import Note

log = logging.getLogger("sereno.watchdog")

_Word = tuple[RunScope, float] | None
"""A run and for how many seconds it has held the loop; None: it goes on."""


class Blockage:
    """Of `node`, whose database is at `dsn`. May be told from any thread, and never waits."""

    def __init__(self, dsn: str, node: UUID) -> None:
        self._dsn = dsn
        self._node = node
        self._words: SimpleQueue[_Word] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def holds(self, scope: RunScope, seconds: float) -> None:
        """Take note for how long a run has held the loop so far."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=lambda: asyncio.run(self._write()), name="sereno blockage", daemon=True
            )
            self._thread.start()
        self._words.put((scope, seconds))

    def over(self) -> None:
        """Take note that the loop goes on."""
        if self._thread is not None:
            self._words.put(None)

    async def _write(self) -> None:
        """Write the newest word, for ever: this thread's loop has nothing else to do meanwhile."""
        note = Note(self._dsn)
        noted: UUID | None = None
        while True:
            word = self._newest()
            try:
                if word is not None:
                    scope, seconds = word
                    noted = scope.token
                    await note.blocks(scope.run_id, scope.token, self._node, seconds)
                elif noted is not None:
                    await note.over(noted)
                    noted = None
            except SerenoError as error:
                log.warning("what holds the loop cannot be kept", extra={"error": str(error)})

    def _newest(self) -> _Word:
        word = self._words.get()
        while True:
            try:
                word = self._words.get_nowait()
            except Empty:
                return word
