"""Writes what was planned in a tick: all of it, or all but what is at fault or locked.

States of a settlement: planned; written; moved (somebody has changed its schedule since it was
read: it is read and planned anew); locked (another session keeps its watermark: it waits alone); at
fault (the database refuses it, also alone: its schedule is left out until the next refill).

Invariants: each is written whole or not at all, under the term; what is wrong with one costs no
other one its slot; that the database is away, or the term over, is for the caller.
"""

import logging
from collections.abc import Callable

from sereno.engine.agenda import Agenda
from sereno.engine.locked_watermarks import LockedWatermarks
from sereno.engine.term import Term
from sereno.model.errors import StoreError, StoreLockedError, StoreUnavailableError
from sereno.model.ledger import Settlement
from sereno.store import ledger

log = logging.getLogger("sereno.leader")


class SettlementWriter:
    """The writer of one term. `reread`: has the schedules read again, at the next tick."""

    def __init__(
        self, term: Term, agenda: Agenda, locked: LockedWatermarks, reread: Callable[[], None]
    ) -> None:
        self._term = term
        self._agenda = agenda
        self._locked = locked
        self._reread = reread

    async def write(self, settlements: list[Settlement]) -> tuple[set[int], ledger.Made]:
        """Write `settlements`; one that cannot be written is left out, until the next refill."""
        if not settlements:
            return set(), {}
        try:
            settled, made = await ledger.settle(
                self._term.db, self._term.number, self._term.node.id, settlements
            )
        except StoreLockedError:
            return await self._write_unlocked(settlements)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            if len(settlements) > 1:  # one is at fault, and the others are not to miss their slots
                parts = [await self.write([s]) for s in settlements]
                return set().union(*(p[0] for p in parts)), {
                    k: v for p in parts for k, v in p[1].items()
                }
            log.exception(
                "a schedule cannot be settled",
                extra={"schedule": settlements[0].entry.name, "error": str(error)},
            )
            return set(), {}
        # Their watermark or version has moved: somebody changed the schedule since it was read.
        again = [s.entry.schedule_id for s in settlements if s.entry.schedule_id not in settled]
        if again:
            self._agenda.put(await ledger.agenda_of(self._term.db, again))
        return settled, made

    async def _write_unlocked(self, settlements: list[Settlement]) -> tuple[set[int], ledger.Made]:
        """Write those of `settlements` whose watermark nobody keeps locked; the others wait.

        Raises StoreLockedError when it is not the watermarks.
        """
        self._reread()  # whatever is not written now is read again
        rest = await self._locked.apart(settlements)
        if not rest:
            return set(), {}
        return await ledger.settle(self._term.db, self._term.number, self._term.node.id, rest)
