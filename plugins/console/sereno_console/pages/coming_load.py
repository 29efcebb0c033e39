"""Keeps the load to come: it is computed once for all pages that show some of it, and anew beside
them, so that nobody waits for it but the first."""

import asyncio
from datetime import datetime
from time import monotonic
from weakref import WeakKeyDictionary

import msgspec

from sereno import Client, ComingLoad

SPAN = "8d"
STEPS = 50_000
_FRESH_SECONDS = 60.0
_STALE_SECONDS = 600.0
_PATIENCE_SECONDS = 1.0


class _KeptLoad(msgspec.Struct):
    asked_at: float
    task: asyncio.Task[ComingLoad]
    before: ComingLoad | None = None


_KEPT: WeakKeyDictionary[Client, _KeptLoad] = WeakKeyDictionary()


async def load_to_come(sereno: Client) -> ComingLoad:
    """Return the load of the coming week as it was a minute ago or later; after a time in which
    nobody has asked, as it is now."""
    kept, now = _KEPT.get(sereno), monotonic()
    last = None if kept is None else _result(kept)
    age = 0.0 if kept is None else now - kept.asked_at
    if kept is None or (kept.task.done() and (age > _FRESH_SECONDS or last is None)):
        before = last if age < _STALE_SECONDS else None
        task = asyncio.create_task(sereno.coming_load(SPAN, most=STEPS))
        kept = _KEPT[sereno] = _KeptLoad(asked_at=now, task=task, before=before)
    if not kept.task.done() and kept.before is not None:
        return kept.before
    return await asyncio.shield(kept.task)  # others wait for it, too


def _result(kept: _KeptLoad) -> ComingLoad | None:
    if not kept.task.done() or kept.task.cancelled() or kept.task.exception() is not None:
        return None
    return kept.task.result()


async def load_at_hand(sereno: Client) -> ComingLoad | None:
    """Return the load where it is known soon, None where a preview would wait for it."""
    try:
        return await asyncio.wait_for(load_to_come(sereno), _PATIENCE_SECONDS)
    except TimeoutError:
        return None


def minutes_of(load: ComingLoad | None) -> dict[datetime, int]:
    """Return how many slots are due in each minute that has any."""
    return {} if load is None else {due.minute: due.slots for due in load.minutes}
