"""What the catalogue says of a table that a rule names, and whether its rows may go."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno_cleanup.query import query
from sereno_cleanup.table import quoted

TYPES = ("timestamp with time zone", "timestamp without time zone", "date")


class ShapeError(Exception):
    """The rule does not fit its table; the sentence says what to change."""


class Leaf(msgspec.Struct, frozen=True):
    """A table that holds rows: its quoted name, and whether all of them have expired."""

    name: str
    whole: bool


class Shape(msgspec.Struct, frozen=True):
    """A table with rows to delete. `cutoff`: what `column` must be below, as text of `type`."""

    table: str
    column: str
    type: str
    cutoff: str
    leaves: tuple[Leaf, ...]
    indexed: bool


async def shape_of(
    database: Any, table: str, column: str, keep: timedelta, zone: str, *, cascade: bool
) -> Shape | None:
    """Return the shape of `table`, None where there is none; raises ShapeError.

    `cascade`: rows of other tables may go or change with those that go.
    """
    name = quoted(table)
    found = await database.fetchrow(query("table_shape"), name, column)
    if found is None:
        return None
    kind = found["kind"].decode() if isinstance(found["kind"], bytes) else found["kind"]
    if kind not in ("r", "p"):
        raise ShapeError(f"'{table}' is no table: rows are deleted from tables alone")
    if found["type"] is None:
        raise ShapeError(f"table '{table}' has no column '{column}'")
    if found["type"] not in TYPES:
        raise ShapeError(
            f"column '{column}' of '{table}' is of type {found['type']}, it must be one of "
            f"{', '.join(TYPES)}"
        )
    if found["cascades"] and not cascade:
        raise ShapeError(
            f"rows of {', '.join(found['cascades'])} refer to rows of '{table}' and would go or "
            "change with them; cascade = true allows it"
        )
    cutoff = (await database.fetchrow(query("cutoff"), keep, zone))[found["type"]]
    leaves = []
    for row in await database.fetch(query("table_leaves"), name):
        whole = found["by_range"] and row["direct"] and row["upper_end"] is not None
        if whole:
            below = f"SELECT $1::text::{found['type']} <= $2::text::{found['type']}"
            whole = await database.fetchval(below, row["upper_end"], cutoff)
        leaves.append(Leaf(row["name"], whole))
    return Shape(
        table=name,
        column=quoted_column(column),
        type=found["type"],
        cutoff=cutoff,
        leaves=tuple(leaves),
        indexed=await database.fetchval(query("is_indexed"), name, column),
    )


def quoted_column(name: str) -> str:
    """Return the name of a column as an identifier; any name that PostgreSQL can hold will do."""
    return '"' + name.replace('"', '""') + '"'


def plain(instant: datetime) -> str:
    """Return an instant as it stands in names of files."""
    return f"{instant:%Y%m%dT%H%M%SZ}"
