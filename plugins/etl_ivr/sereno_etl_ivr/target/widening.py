"""Gives `ivr.calls` of an earlier version columns that hold fractions of a second, step by step.

States: narrow (integer columns) → filling (wide columns beside them; a trigger fills those of rows
that are written, batches by key those of the rest) → wide (the new columns under the old names).
Each batch commits with how far it got, so that a run that was cut off, or whose time was up, goes
on. Nobody who loads or reads waits, but for the moment in which the columns change places.
"""

from collections.abc import Callable
from typing import Any

import asyncpg

from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.query import query
from sereno_etl_ivr.table import CDR

_ROWS = 5000
_NOTHING: tuple[Any, ...] = ("", None, None, None)


def needs_widening(layout: Layout, types: dict[str, str]) -> bool:
    """Tell whether the source has fractions of seconds that the plugin's own table cannot hold."""
    return layout.table.target == CDR.target and any(
        cell.kind == "numeric" and cell.source.fractions and types.get(cell.name) == "integer"
        for cell in layout.cells
    )


async def widen(connection: Any, is_late: Callable[[], bool]) -> bool:
    """Go on widening; False when the time was up before the end."""
    async with connection.transaction():
        await connection.execute(query("widening_begin"))
    at = await connection.fetchrow(query("widening_state")) or _NOTHING
    while at is not None:
        if is_late():
            return False
        at = await connection.fetchrow(query("widening_batch"), *at, _ROWS)
    try:
        async with connection.transaction():
            ending = query("widening_end").format(whole_calls=query("whole_calls"))
            await connection.execute(ending)
    except asyncpg.DependentObjectsStillExistError as error:
        raise TargetError(
            f"target ivr.calls: duration and billsec are to hold fractions of a second, and "
            f"{error.detail or error}; drop it, and make it again after the next sync"
        ) from error
    return True
