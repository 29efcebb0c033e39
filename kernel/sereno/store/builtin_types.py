"""Spares connections the question what an array is that every server has.

The driver knows PostgreSQL's own types by heart, but not their arrays: each connection asks for
each of them, by a query that costs as much as ten of ours, and two more around it. A node that had
just begun to lead spent a third of what it asked of the server on that.
"""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import asyncpg

_FIXED = 10_000
"""Below this are the types whose numbers are written in PostgreSQL's source, for each version."""

_arrays: dict[int, asyncpg.Record] = {}
"""What the first connection that asked was told of each such array."""

_NOT_ASKED = SimpleNamespace(name="none")
"""In place of the statement that asks: as one with a name, it leaves the caller's prepared."""


class TypedConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that asks for such a type only where no other of this process has."""

    __slots__ = ()

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> Any:
        """Return rows for the driver, and the statement by which they were asked for."""
        wanted = list(typeoids)
        known = [_arrays[oid] for oid in wanted if oid in _arrays]
        if len(known) == len(wanted):
            return known, _NOT_ASKED
        missing = [oid for oid in wanted if oid not in _arrays]
        rows, asked = await super()._introspect_types(missing, timeout)
        _arrays.update((row["oid"], row) for row in rows if row["elemtype"] and row["oid"] < _FIXED)
        return [*known, *rows], asked
