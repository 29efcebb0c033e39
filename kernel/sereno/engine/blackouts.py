"""The blackouts that a leader holds slots against: few, and read again when somebody says so."""

from collections.abc import Sequence

from sereno.engine.clock import steady
from sereno.model.calendar import Blackout
from sereno.model.ledger import Entry
from sereno.store.blackouts import in_force
from sereno.store.pool import Database

READ_EVERY = 60.0
"""Seconds after which they are read again, where no notification came."""


class Blackouts:
    """What of the database is known of them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: Sequence[Blackout] = ()
        self._next = 0.0

    def forget(self) -> None:
        """One may have been made, changed or ended."""
        self._next = 0.0

    async def refresh(self) -> None:
        """Read them, where that is due."""
        if steady() >= self._next:
            self._known = await in_force(self._db)
            self._next = steady() + READ_EVERY

    def of(self, entry: Entry) -> Sequence[Blackout]:
        """Return those of one schedule."""
        if not self._known:
            return ()
        return [b for b in self._known if b.holds(entry.name, entry.job)]
