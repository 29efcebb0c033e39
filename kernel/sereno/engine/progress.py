"""Writes down, each second, what runs under way say: progress, checkpoints, warnings, messages, log
lines."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from threading import Lock
from typing import Any
from uuid import UUID

import msgspec

from sereno.engine.kept_text import kept
from sereno.engine.result import encode_checkpoint
from sereno.engine.run_messages import RunMessages
from sereno.engine.run_warnings import RunWarnings
from sereno.engine.runlog import RunScope
from sereno.engine.services import Services
from sereno.engine.stalls import Stalls
from sereno.model.errors import StoreError
from sereno.model.run import Outcome, ProgressUpdate, SaidMessage
from sereno.store import runs
from sereno.store.messages import write_messages
from sereno.store.pool import Database

log = logging.getLogger("sereno.runner")

WORDS_EVERY = 1.0
"""Seconds between writes of progress, checkpoints and log lines of runs under way."""


MAX_NOTE = 1_000
"""Characters kept of a note of progress."""

_making = Lock()
"""Held while a run warns for the first time, from whichever of its threads: few runs ever do."""


class RunProgress:
    """The newest words of one attempt, until they are written."""

    __slots__ = ("_messages", "_new", "_progress", "_warnings", "_words", "scope")

    def __init__(self, progress_writer: "ProgressWriter", scope: RunScope) -> None:
        self.scope = scope
        self._progress = progress_writer
        self._words: ProgressUpdate | None = None
        self._warnings: RunWarnings | None = None
        self._messages: RunMessages | None = None
        self._new = False

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Keep the newest progress."""
        self._keep(done=done, total=total, note=kept(note, MAX_NOTE) if note else note)

    def checkpoint(self, value: Any) -> None:
        """Keep the newest checkpoint."""
        self._keep(checkpoint=encode_checkpoint(value))

    def warn(self, text: str) -> None:
        """Count a warning."""
        self.scope.said += 1
        with _making:
            if self._warnings is None:
                self._warnings = RunWarnings()
        self._warnings.add(text)

    def notify(self, message: SaidMessage) -> None:
        """Keep a message to people."""
        self.scope.said += 1
        with _making:
            if self._messages is None:
                self._messages = RunMessages()
        self._messages.add(message)

    @property
    def messages(self) -> RunMessages | None:
        """Return what it has to say to people, None where it has nothing."""
        return self._messages

    @property
    def warnings(self) -> RunWarnings | None:
        """Return what it has warned of, None where it has not."""
        return self._warnings

    def take(self) -> ProgressUpdate | None:
        """Return the newest words, unless they were taken before."""
        if not self._new:
            return None
        self._new = False
        return self._words

    def added_to(self, outcome: Outcome) -> Outcome:
        """Return `outcome` with all that was said, written before or not."""
        words, warned = self._words, self._warnings
        messages = () if self._messages is None else self._messages.waiting()
        if words is None and warned is None and not messages:
            return outcome
        warnings = () if warned is None else warned.last()
        return msgspec.structs.replace(outcome, words=words, warnings=warnings, messages=messages)

    def give_back(self) -> None:
        """Keep what was taken for the next write: it could not be written."""
        self._new = True

    def flush(self) -> Awaitable[None]:
        """Write what is new."""
        return self._progress.write([self])

    def fence(self, connection: Any) -> Awaitable[None]:
        """Hold the run's row in `connection`'s transaction."""
        return self._progress.fence(self.scope, connection)

    @property
    def services(self) -> Services:
        """Return what the run may ask of its node."""
        return self._progress.services

    def _keep(self, **words: Any) -> None:
        before = self._words
        if before is None:
            scope = self.scope
            before = ProgressUpdate(run_id=scope.run_id, attempt=scope.attempt, token=scope.token)
        self._words = msgspec.structs.replace(before, **words)
        self._new = True
        self.scope.said += 1


class ProgressWriter:
    """The words of every attempt that is under way on this node."""

    def __init__(self, db: Database, node: UUID, services: Services, stalls: Stalls) -> None:
        """`services`: what runs ask for, beside what they say. `stalls`: of those that say
        nothing."""
        self._db = db
        self._node = node
        self.services = services
        self._stalls = stalls
        self._words: dict[UUID, RunProgress] = {}

    def open(self, scope: RunScope) -> RunProgress:
        """Take up an attempt."""
        words = self._words[scope.token] = RunProgress(self, scope)
        return words

    def close(self, token: UUID) -> RunProgress | None:
        """Put an attempt away that has ended; return what it has said."""
        return self._words.pop(token, None)

    async def write(self, words: Iterable[RunProgress]) -> None:
        """Write progress, checkpoints, warnings and messages; raises StoreError."""
        words = list(words)
        await self._write_words([(w, p) for w in words if (p := w.take()) is not None])
        await self._write_warnings([w for w in words if w.warnings is not None])
        await self._write_messages(words)

    async def _write_words(self, taken: list[tuple[RunProgress, ProgressUpdate]]) -> None:
        if not taken:
            return
        try:
            await runs.write_progress(self._db, self._node, [p for _, p in taken])
        except StoreError:
            for words_, _ in taken:
                words_.give_back()
            raise

    async def _write_warnings(self, warned: list[RunProgress]) -> None:
        found = [(w.scope, w.warnings, w.warnings.take()) for w in warned if w.warnings is not None]
        taken = [(scope, kept, said) for scope, kept, said in found if said]
        if not taken:
            return
        try:
            await runs.write_warnings(
                self._db,
                self._node,
                [(s.run_id, s.attempt, s.token, said) for s, _, said in taken],
            )
        except StoreError:
            for _, kept_, _ in taken:
                kept_.changed = True
            raise

    async def _write_messages(self, words: list[RunProgress]) -> None:
        saying = [(w.scope, m, m.waiting()) for w in words if (m := w.messages) is not None]
        if not any(said for _, _, said in saying):
            return
        await write_messages(
            self._db,
            self._node,
            [(s.run_id, s.attempt, s.token, said) for s, _, said in saying if said],
        )
        for _, messages, said in saying:
            messages.note(said)

    async def fence(self, scope: RunScope, connection: Any) -> None:
        """Hold a run's row in `connection`'s transaction; raises RunSuperseded."""
        await runs.fence(connection, scope.run_id, scope.attempt, scope.token, self._node)

    async def work(self) -> None:
        """Write for ever."""
        while True:
            await asyncio.sleep(WORDS_EVERY)
            try:
                await self.tick()
            except StoreError as error:
                log.debug("words of runs wait", extra={"error": str(error)})

    async def tick(self) -> None:
        """Write all that is new, and find who has fallen silent; raises StoreError."""
        self._stalls.poll()
        await self.write(list(self._words.values()))
        await self._write_lines()
        await self._stalls.write()

    async def _write_lines(self) -> None:
        taken = []
        for words in list(self._words.values()):
            first, lines = words.scope.take()
            if lines:
                taken.append((words.scope, first, lines))
        if not taken:
            return
        try:
            await runs.write_lines(
                self._db,
                self._node,
                [(s.run_id, s.attempt, s.token, first, lines) for s, first, lines in taken],
            )
        except StoreError:
            for scope, _, lines in taken:
                scope.give_back(lines)
            raise
