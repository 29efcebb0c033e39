"""Back-fills of the simulated year, and what must come out of them by the world's own reckoning."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from sereno.client import Client
from sereno.model.bounds import FIRST_INSTANT
from sereno.model.errors import DeclarationError
from sereno.store import backfills
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.triggers.occurrences import trigger_of

MOST_FILLED = 150

_WRONG = """
SELECT 'twice', r.schedule_id, r.slot, array_agg(r.id) FROM sereno.run r
 WHERE r.cause = 'backfill' AND (r.attempt > 0 OR r.state IN ('queued', 'running'))
 GROUP BY r.schedule_id, r.slot HAVING count(*) > 1
UNION ALL
SELECT 'beside its own', k.schedule_id, k.slot, ARRAY[k.run_id, r.id]
  FROM sereno.run r JOIN sereno.slot k ON k.schedule_id = r.schedule_id AND k.slot = r.slot
 WHERE r.cause = 'backfill' AND k.verdict IN ('waiting', 'ran', 'late')
UNION ALL
SELECT 'out of order', r.schedule_id, r.slot, ARRAY[r.id] FROM (
    SELECT x.*, lag(x.slot) OVER (PARTITION BY x.backfill ORDER BY x.id) AS before
      FROM sereno.run x WHERE x.cause = 'backfill') r
 WHERE r.slot <= r.before
UNION ALL
SELECT 'too many at once', b.schedule_id, b.span_start, array_agg(r.id)
  FROM sereno.backfill b JOIN sereno.run r ON r.backfill = b.id
 WHERE r.cause = 'backfill' AND r.state IN ('queued', 'running')
 GROUP BY b.id HAVING count(*) > b.parallel
UNION ALL
SELECT 'an old success told as new', NULL, j.last_success_at, '{}' FROM sereno.job_stat j
 WHERE j.pruned_run = 0 AND j.last_success_at IS DISTINCT FROM (
       SELECT max(r.finished_at) FROM sereno.run r
        WHERE r.job = j.job AND r.state = 'succeeded' AND r.backfill IS NULL)
"""
"""Runs of back-fills that are none that the world allows."""

_KNOWN = """
SELECT s.id, s.created_at, w.settled_to, (SELECT slots_kept_from FROM sereno.history) AS kept_from
  FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id WHERE s.name = $1
"""
_TAKEN = """
SELECT k.slot FROM sereno.slot k
 WHERE k.schedule_id = $1 AND k.verdict IN ('waiting', 'ran', 'late')
UNION
SELECT b.slot FROM sereno.backfilled b LEFT JOIN sereno.run r ON r.id = b.run_id
 WHERE b.schedule_id = $1
   AND NOT coalesce(r.attempt = 0 AND r.state NOT IN ('queued', 'running'), false)
"""
_SETTLED = """
SELECT EXISTS (SELECT 1 FROM sereno.slot WHERE schedule_id = $1 AND slot = $2
               UNION ALL
               SELECT 1 FROM sereno.slot_range
                WHERE schedule_id = $1 AND $2 BETWEEN first_slot AND last_slot)
"""


@dataclass(frozen=True)
class Filling:
    """A back-fill that was asked for: the slots that it must fill, as the world reckoned then."""

    schedule_id: int
    slots: frozenset[datetime]


class Fillings:
    """Those that are not over, as far as the world has seen."""

    def __init__(self, db: Database, eye: asyncpg.Connection) -> None:
        self._db = db
        self._eye = eye
        self._open: dict[int, Filling] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def ask(self, name: str, since: datetime, until: datetime, parallel: int) -> None:
        """Ask for a back-fill as a person does; the preview must tell what is reckoned here."""
        client = Client(self._db, requested_by="ana", max_backfill=MOST_FILLED)
        try:
            preview = await client.preview_backfill(name, since, until)
        except DeclarationError as error:  # one-off, disabled, or its job is not there
            if not re.search("one-off|disabled|not declared", str(error)):
                raise
            return
        row = await self._eye.fetchrow(_KNOWN, name)
        slots = await self._reckoned(row, name, since, until)
        if len(slots) > MOST_FILLED:
            assert preview.more
            return
        told = (preview.found, preview.more)
        assert told == (len(slots), False), (name, since, until, preview, sorted(slots)[:5])
        if slots:
            order = await client.start_backfill(
                name, since, until, parallel=parallel, expect=len(slots)
            )
            self._open[order.id] = Filling(row["id"], frozenset(slots))

    async def cancel(self, number: int) -> None:
        """Cancel one of them."""
        open_ = sorted(self._open)
        await backfills.stop(self._db, open_[number % len(open_)], "ana")

    async def _reckoned(
        self, row: asyncpg.Record, name: str, since: datetime, until: datetime
    ) -> set[datetime]:
        """Return which slots of a span have no run and shall have one, each looked up by itself."""
        rows = await self._db.fetch("verify_versions", row["id"])
        versions = [version_of(r) for r in rows]
        taken = {r["slot"] for r in await self._eye.fetch(_TAKEN, row["id"])}
        found: set[datetime] = set()
        for n, version in enumerate([versions[-1], *versions]):
            end = min([until - timedelta(microseconds=1), *(v.valid_from for v in versions[n:])])
            first = FIRST_INSTANT if n == 0 else version.valid_from
            trigger = trigger_of(version.trigger, version.jitter, name)
            slot = trigger.next_after(max(first, since - timedelta(microseconds=1)))
            while slot is not None and slot <= end and len(found) <= MOST_FILLED:
                opened = version.starts_at is None or slot >= version.starts_at
                closed = version.ends_at is not None and slot >= version.ends_at
                unsettled = slot > row["settled_to"] and version.state in ("active", "paused")
                old = row["kept_from"] is not None and row["created_at"] < slot <= row["kept_from"]
                if old and await self._eye.fetchval(_SETTLED, row["id"], slot):
                    old = False
                if opened and not (closed or unsettled or old or slot in taken):
                    found.add(slot)
                slot = trigger.next_after(slot)
        return found

    async def check(self) -> None:
        """Require that no run is one too many, and that each back-fill that is over has filled what
        it had to, or another has."""
        wrong = await self._eye.fetch(_WRONG)
        assert not wrong, [tuple(r) for r in wrong[:5]]
        done = await self._eye.fetch(
            "SELECT id, state, error FROM sereno.backfill WHERE id = ANY ($1::bigint[])"
            " AND state NOT IN ('queued', 'running')",
            list(self._open),
        )
        for row in done:
            filling = self._open.pop(row["id"])
            if row["state"] != "done":
                assert row["state"] == "cancelled" or "removed" in row["error"], dict(row)
                continue
            taken = {r["slot"] for r in await self._eye.fetch(_TAKEN, filling.schedule_id)}
            kept_from = await self._eye.fetchval("SELECT slots_kept_from FROM sereno.history")
            left = {s for s in filling.slots - taken if kept_from is None or s > kept_from}
            assert not left, (row["id"], sorted(left)[:5])
