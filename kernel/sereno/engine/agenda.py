"""The leader's heap of what it must look at next; what lies further off stays in the database."""

import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

from sereno.model.ledger import Entry

HORIZON = timedelta(minutes=2)
"""How far ahead the agenda goes: several refills, so that one which fails costs nothing."""

LOOKAHEAD = timedelta(milliseconds=40)
"""How long before its instant a slot is settled: the time of a slow commit, and no more. A run that
ends meanwhile still counts as an overlap, and when this node dies meanwhile, the slot's run is
found a second later rather than settled by the next leader on time."""

REFILL_EVERY = 30.0
"""Seconds between refills; a change of a schedule brings one at once."""

AGENDA_LIMIT = 20_000
"""Schedules that are read at once, soonest first; a later refill reads what is beyond."""


class Agenda:
    """Schedules by the instant at which to look at them; one entry each, the newest given wins."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, int]] = []
        self._entries: dict[int, tuple[int, Entry]] = {}
        self._serial = 0

    def put(self, entries: Iterable[Entry]) -> None:
        """Take `entries` in, each in place of an older one of its schedule."""
        for entry in entries:
            self._serial += 1
            self._entries[entry.schedule_id] = (self._serial, entry)
            heapq.heappush(self._heap, (entry.wake_at, self._serial, entry.schedule_id))

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._entries.clear()

    def due(self, until: datetime, limit: int) -> list[Entry]:
        """Take out at most `limit` entries whose instant is at or before `until`, soonest first."""
        found: list[Entry] = []
        while self._heap and len(found) < limit and self._heap[0][0] <= until:
            _, serial, schedule_id = heapq.heappop(self._heap)
            held = self._entries.get(schedule_id)
            if held is not None and held[0] == serial:
                del self._entries[schedule_id]
                found.append(held[1])
        return found

    def next_wake(self) -> datetime | None:
        """Return the soonest instant, None when nothing is on the agenda."""
        while self._heap:
            wake, serial, schedule_id = self._heap[0]
            held = self._entries.get(schedule_id)
            if held is not None and held[0] == serial:
                return wake
            heapq.heappop(self._heap)
        return None

    def __len__(self) -> int:
        return len(self._entries)
