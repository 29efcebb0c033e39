"""Reads and writes the parts of runs whose job works at each host or node, and their wholes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from sereno.model.errors import LeaseLostError
from sereno.model.ledger import Claim
from sereno.model.run import RunState
from sereno.model.stored_json import json_object
from sereno.store import runs
from sereno.store.chained_runs import queue_chained
from sereno.store.hand_overs import NOWHERE
from sereno.store.pool import Connection, Database, Record
from sereno.store.sql import sql

WHOLE = "*"
"""Stands in `place` of a run that has parts, and that nobody works on."""


class PartPlace(msgspec.Struct, frozen=True):
    """Where a part works. `name`: "host:<id>" or "node:<id>"; `label`: as people call it."""

    name: str
    label: str


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is not over. `whole`: the run that it is a part of; `whole_state`: None where
    that is gone; `cancelled_by`: who wants all of it to stop."""

    id: int
    job: str
    state: Literal["queued", "running"]
    node: UUID | None
    term: int | None
    attempt: int
    run_at: datetime
    start_by: datetime | None
    schedule_id: int | None
    slot: datetime | None
    place: str
    place_name: str
    whole: int
    policies: dict[str, Any]
    concurrency_key: str | None
    whole_state: RunState | None
    cancelled_by: str | None

    @property
    def waits(self) -> bool:
        """Return whether it waits for a node of its place."""
        return self.state == "queued" and self.node in (None, NOWHERE)


class OpenParts(msgspec.Struct, frozen=True):
    """What is not over: wholes, by number, and parts, the first to begin first."""

    wholes: frozenset[int] = frozenset()
    parts: tuple[Part, ...] = ()


async def make(
    db: Database,
    term: int,
    run_id: int,
    places: Sequence[PartPlace],
    unbegun: Sequence[str | None],
    *,
    keyed: bool,
) -> bool:
    """Give a run that waits its parts, one at each of `places`; raises LeaseLostError.

    `unbegun`: why the part at that place ends unbegun, None where it waits; `keyed`: they have the
    run's concurrency key. Returns False where the run waits no longer, or is not for these places.
    """
    given = ([p.name for p in places], [p.label for p in places], list(unbegun), keyed)
    return bool(await _fenced(db, term, "parts_make", run_id, *given))


async def open_parts(db: Database) -> OpenParts:
    """Return what is not over."""
    rows = await db.fetch("parts_open")
    return OpenParts(
        frozenset(r["id"] for r in rows if r["place"] == WHOLE),
        tuple(_part(r) for r in rows if r["place"] != WHOLE),
    )


def _part(row: Record) -> Part:
    found = {
        name: row[name] for name in Part.__struct_fields__ if name not in ("whole", "policies")
    }
    return Part(whole=row["part_of"] or 0, policies=json_object(row["policies"]), **found)


async def claim(db: Database, term: int, node: UUID, parts: Sequence[int]) -> list[Claim]:
    """Make parts this node's that were handed to it, as `runs.claim` does; their wholes begin with
    the first of them, whose claim has the verdict of their slot. Raises LeaseLostError."""
    async with db.transaction() as connection:
        rows = list(await connection.fetch(sql("runs_claim"), term, node, list(parts), True))
        if not rows:
            await _check(connection, term)
        begun = await connection.fetch(sql("parts_begun"), [r["id"] for r in rows])
    wholes = {r["id"]: r for r in begun}
    found = []
    for row in rows:
        of = wholes.get(row["id"])
        if of is None:  # its whole is gone: somebody has deleted it by hand
            found.append(runs.claim_of(row, handed=True))
        else:
            one = runs.claim_of(row, of["verdict"], of["reason"], handed=True)
            found.append(msgspec.structs.replace(one, part_of_slot=of["of_slot"]))
    return found


async def end(db: Database, term: int, why: Mapping[int, str]) -> list[Record]:
    """End parts that wait and whose places are gone; return id, job, state, attempt, slot, error,
    lasted of those that were. Raises LeaseLostError."""
    return await _fenced(db, term, "parts_end", list(why), list(why.values()))


async def end_wholes(
    db: Database,
    term: int,
    wholes: Sequence[int],
    chains: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
) -> list[Record]:
    """End those of `wholes` whose parts all are over, and queue what is chained after them; return
    id, job, state, attempt, slot, error, result (JSON text), lasted, parts of those that were, with
    the schedule and the verdict of a slot that did not run."""
    async with db.transaction() as connection:
        rows = await connection.fetch(sql("wholes_end"), term, list(wholes))
        await queue_chained(connection, rows, chains, {None: None})
    return list(rows)


async def _fenced(db: Database, term: int, name: str, *given: object) -> list[Record]:
    async with db.connection() as connection:
        rows = await connection.fetch(sql(name), term, *given)
        if not rows:
            await _check(connection, term)
    return list(rows)


async def _check(connection: Connection, term: int) -> None:
    if await connection.fetchval(sql("fence"), term) is None:
        raise LeaseLostError(f"term {term} is over: its parts are another node's to look after")
