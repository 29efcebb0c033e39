"""Tells of runs at work that have said nothing for their `stalled_after`.

The node that works on a run looks, whoever leads, so that a change of the lead tells nothing twice.
States of an attempt that is watched: heard (it has said something of late); silent for too long,
which is told once; heard again, which is told too. It is forgotten as it ends. Nothing is watched
whose job does not have the policy.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from sereno.engine.clock import Clock, steady
from sereno.engine.runlog import RunScope
from sereno.model.duration import format_duration
from sereno.model.events import RunStalled
from sereno.model.ledger import Claim
from sereno.model.run import LogLine
from sereno.store import stalls
from sereno.store.pool import Database

log = logging.getLogger("sereno.runner")


class _Watched(msgspec.Struct):
    """An attempt. `stopped`: whether it was told to stop. `heard`: how much it had said at the last
    look; `at`: the seconds elapsed since which it has said no more. `written`: the database knows
    that it has stalled."""

    claim: Claim
    scope: RunScope
    stopped: Callable[[], bool]
    limit: timedelta
    heard: int
    at: float
    stalled: bool = False
    written: bool = False


class Stalls:
    """This node's."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        publish: Callable[[object], None],
        elapsed: Callable[[], float] = steady,
    ) -> None:
        """`elapsed`: seconds on a clock that only grows, by which silence is measured."""
        self._db = db
        self._clock = clock
        self._publish = publish
        self._elapsed = elapsed
        self._watched: dict[UUID, _Watched] = {}
        self._over: list[UUID] = []
        self._changed = False

    def watch(
        self, claim: Claim, scope: RunScope, limit: timedelta, stopped: Callable[[], bool]
    ) -> None:
        """Take up an attempt that begins; `stopped`: whether it was told to stop."""
        one = _Watched(claim, scope, stopped, limit, scope.said, self._elapsed())
        self._watched[claim.token] = one

    def forget(self, token: UUID) -> None:
        """Put an attempt away that has ended."""
        one = self._watched.pop(token, None)
        if one is not None and one.stalled:
            self._over.append(token)
            self._changed = True

    def poll(self) -> None:
        """Find who has fallen silent, and who speaks again."""
        for one in self._watched.values():
            said = one.scope.said
            if said != one.heard:
                if one.stalled:
                    self._heard_again(one)
                one.heard, one.at = said, self._elapsed()
            # What was told to stop is waited for, and no longer listened to.
            elif not one.stalled and not one.stopped() and self._silent(one) >= one.limit:
                self._stalled(one)

    async def write(self) -> None:
        """Tell the database what is new; raises StoreError, and it is told the next time."""
        if not self._changed:
            return
        over = self._over.copy()
        if over:
            await stalls.forget(self._db, over)
            del self._over[: len(over)]
        new = [w for w in self._watched.values() if w.stalled and not w.written]
        if new:
            now = self._clock.now()
            claims = [(w.claim, now - self._silent(w)) for w in new]
            await stalls.note(self._db, [(c.run_id, c.token, since) for c, since in claims])
            for one in new:
                one.written = one.stalled
        self._changed = bool(self._over)

    def _silent(self, one: _Watched) -> timedelta:
        """Return for how long an attempt has said nothing."""
        return timedelta(seconds=self._elapsed() - one.at)

    def _stalled(self, one: _Watched) -> None:
        one.stalled = self._changed = True
        scope = one.scope
        text = f"this run has said nothing for {format_duration(one.limit)}, its stalled_after"
        if scope.log_level <= logging.WARNING:
            one.heard += 1  # the line is not its own word
            scope.add(LogLine(at=datetime.now(UTC), level="WARNING", logger="sereno", message=text))  # noqa: TID251 - as logging stamps its records
        log.warning("a run has stalled: it neither ends nor says anything", extra=self._facts(one))
        self._announce(one)

    def _heard_again(self, one: _Watched) -> None:
        one.stalled = one.written = False
        self._over.append(one.claim.token)
        self._changed = True
        log.warning("a run that had stalled says something again", extra=self._facts(one))
        self._announce(one)

    def _facts(self, one: _Watched) -> dict[str, object]:
        claim = one.claim
        silent = round(self._silent(one).total_seconds(), 1)
        return {"job": claim.job, "run": claim.run_id, "attempt": claim.attempt, "seconds": silent}

    def _announce(self, one: _Watched) -> None:
        claim = one.claim
        self._publish(
            RunStalled(
                run_id=claim.run_id,
                job=claim.job,
                attempt=claim.attempt,
                slot=claim.slot,
                silent=self._silent(one),
                resolved=not one.stalled,
            )
        )
