"""Bulks: changes of many runs by a frozen filter, each a row that the leader works off in chunks.

A chunk is looked for first, then changed in one transaction that takes the term, the bulk's row at
the place from which was looked, and leaves it at the next place: so a chunk is done whole or not at
all, by one leader, and the next one goes on behind it. What is looked for is asked again of each
row as it is changed.
"""

from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from sereno.model.errors import (
    LeaseLostError,
    NotFoundError,
    ParamsError,
    StoreError,
    StoreUnavailableError,
)
from sereno.model.fault import message
from sereno.model.stored_json import json_object
from sereno.model.text import shortened
from sereno.settings import hidden, redact
from sereno.store.bulk_queue import BulkAction, OpenBulk
from sereno.store.errors import translated
from sereno.store.filters import RunFilter
from sereno.store.pool import Database
from sereno.store.search import walk
from sereno.store.sql import sql

BulkState = Literal["queued", "running", "done", "cancelled", "failed"]

CHUNK = 100
"""Runs that one transaction changes at most."""

LOOKED_AT = 2_000
"""Runs that are looked at for a chunk, where what is wanted may be rare."""

_MAX_ERROR = 1_000


class BulkView(msgspec.Struct, frozen=True, kw_only=True):
    """A change of many runs, as it stands.

    `frozen_at`: runs that were queued later are not touched, nor are those queued again that were
    over later. `expected`: how many it was of then, None for too many to count. `matched`: so many
    it has met so far, of which it has changed `done`, and `failed` refused it, the first for
    `error`; the others were over already, or had been asked to stop.
    """

    id: int
    action: BulkAction
    filter: dict[str, Any]
    reason: str
    requested_by: str
    state: BulkState
    frozen_at: datetime
    matched: int
    done: int
    failed: int
    expected: int | None = None
    error: str | None = None
    cancelled_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Tell whether it goes no further."""
        return self.state not in ("queued", "running")


class _Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of runs that were to be changed. `error`: of the first that refused."""

    done: int = 0
    failed: int = 0
    error: str | None = None


async def make(
    db: Database,
    action: BulkAction,
    wanted: RunFilter,
    *,
    reason: str,
    by: str,
    expected: int | None,
) -> int:
    """Freeze a bulk at this instant, and wake the leader; return its number."""
    found = await db.fetchval("bulk_make", action, _kept(wanted), reason, by, expected)
    return int(found)


async def view(db: Database, bulk: int) -> BulkView:
    """Return a bulk as it stands; raises NotFoundError."""
    row = await db.fetchrow("view_bulk", bulk)
    if row is None:
        raise NotFoundError(f"there is no bulk {bulk}; `sereno bulks` lists them")
    return _view(row)


async def newest(db: Database, limit: int, before: int | None) -> list[BulkView]:
    """Return at most `limit` bulks, the newest first, older than `before` where that is given."""
    return [_view(row) for row in await db.fetch("view_bulks", limit, before)]


async def stop(db: Database, bulk: int, by: str) -> None:
    """Have a bulk go no further, if it is not over."""
    await db.execute("bulk_stop", bulk, by)


async def carry_on(db: Database, term: int, bulk: OpenBulk) -> None:
    """Do the next chunk of a bulk under `term`, and end it after its last.

    One whose filter cannot be asked any more is `failed`. Raises LeaseLostError, and StoreError
    when nothing of the chunk was done.
    """
    try:
        wanted = msgspec.convert(_narrowed(json_object(bulk.filter)), RunFilter)
        until = bulk.frozen_at if wanted.until is None else min(wanted.until, bulk.frozen_at)
        wanted = msgspec.structs.replace(wanted, until=until)
        found, place = await walk(db, wanted, bulk.place, looked=LOOKED_AT, most=CHUNK)
    except StoreUnavailableError:
        raise
    except (StoreError, NotFoundError, ParamsError, msgspec.ValidationError) as error:
        await _write(db, term, bulk, [], None, str(error))
        return
    await _write(db, term, bulk, found, place, None)


async def _write(
    db: Database, term: int, bulk: OpenBulk, found: list[int], place: int | None, error: str | None
) -> None:
    async with db.transaction() as connection:
        if await connection.fetchval(sql("bulk_hold"), term, bulk.id, bulk.place) is None:
            if await connection.fetchval(sql("fence"), term) is None:
                raise LeaseLostError(f"term {term} is over: its bulks are another node's")
            return  # it was cancelled meanwhile
        changed = await _change(connection, bulk, found) if found else _Changed()
        why = changed.error if error is None else error
        await connection.execute(
            sql("bulk_move"),
            *(bulk.id, place, len(found), changed.done, changed.failed),
            *(None if why is None else shortened(why, _MAX_ERROR), error is not None),
        )


async def _change(connection: asyncpg.Connection, bulk: OpenBulk, found: list[int]) -> _Changed:
    """Change all of `found` at once; where one refuses, one by one, so that it fails alone."""
    try:
        return _Changed(done=await _changed(connection, bulk, found))
    except StoreUnavailableError:
        raise
    except (StoreError, ParamsError, NotFoundError) as error:
        if len(found) == 1:
            return _Changed(failed=1, error=f"run {found[0]}: {message(error, _MAX_ERROR)}")
    each = [await _change(connection, bulk, [run]) for run in found]
    return _Changed(
        done=sum(one.done for one in each),
        failed=sum(one.failed for one in each),
        error=next((one.error for one in each if one.error is not None), None),
    )


async def _changed(connection: asyncpg.Connection, bulk: OpenBulk, found: list[int]) -> int:
    if bulk.action == "cancel":
        by = f"bulk {bulk.id} of {bulk.requested_by}"
        call = (sql("bulk_cancel"), found, by, bulk.reason, bulk.frozen_at)
    else:
        number = f"bulk {bulk.id}"
        call = (sql("bulk_retry"), found, bulk.requested_by, number, bulk.frozen_at)
    with translated():
        async with connection.transaction():
            return int(await connection.fetchval(*call))


def _kept(wanted: RunFilter) -> dict[str, Any]:
    """Return what a filter narrows by, as JSON keeps it."""
    default = RunFilter()
    names = [n for n in wanted.__struct_fields__ if getattr(wanted, n) != getattr(default, n)]
    found: dict[str, Any] = msgspec.to_builtins({name: getattr(wanted, name) for name in names})
    # A leader of a version that knows no tags would leave them out, and change far more than was
    # meant: what it reads instead is a filter that it refuses.
    return {"tagged": found, "states": ["by tag"]} if wanted.tags else found


def _narrowed(kept: dict[str, Any]) -> dict[str, Any]:
    return json_object(kept.get("tagged", kept))


def _view(row: asyncpg.Record) -> BulkView:
    facts = dict(row)
    filter_ = hidden("filter", _narrowed(json_object(facts.pop("filter"))), depth=_DEPTH)
    spoken = ("reason", "requested_by", "error", "cancelled_by")
    facts |= {name: redact(facts[name]) for name in spoken if facts[name] is not None}
    return BulkView(filter=filter_, **facts)


_DEPTH = 1_000
"""Deeper than any JSON is read."""
