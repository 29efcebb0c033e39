"""Writes the target's SQL for one layout: pure."""

from collections.abc import Mapping

import msgspec

from sereno_etl_ivr.layout import Layout, LayoutCell
from sereno_etl_ivr.query import query
from sereno_etl_ivr.table import Kind

_TYPES: dict[Kind, str] = {
    "text": "text",
    "integer": "integer",
    "bigint": "bigint",
    "numeric": "numeric",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "json": "jsonb",
    "uuid": "uuid",
}
_WHOLE = ("smallint", "integer", "bigint")


class Statements(msgspec.Struct, frozen=True):
    """`stage` makes the session's staging table, `stage_raw` that of one damaged page.

    `remove`: takes out what the page lacks. `made`: makes the target's table.
    """

    stage: str
    stage_raw: str
    days: str
    pour: str
    merge: str
    fill: str
    highest: str
    remove: str
    made: str
    needs: tuple[str, ...]


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def statements(layout: Layout, types: Mapping[str, str] | None = None) -> Statements:
    """Return the statements for `layout`.

    `types`: of the target's columns as they are there, where a number is narrower than ours.
    """
    cells = layout.cells
    held = types or {}
    names = [quoted(cell.name) for cell in cells]
    return Statements(
        stage=query("stage").format(
            columns=", ".join(f"{quoted(c.name)} {_staged(c, held)}" for c in cells)
        ),
        days=query("days").format(cursor=quoted(layout.cursor.name)),
        stage_raw=query("stage_raw").format(texts=", ".join(f"{name} text" for name in names)),
        pour=query("pour").format(
            cells=", ".join(names),
            casts=", ".join(_cast(quoted(c.name), _staged(c, held)) for c in cells),
        ),
        merge=_merge(layout),
        fill=_fill(layout),
        highest=query("highest").format(target=layout.table.target),
        remove=query("remove").format(target=layout.table.target),
        needs=(
            *("source", "position", "content", "ordinal", "loaded_at", "extra", "time_note"),
            layout.table.instant,
            *(cell.name for cell in layout.mapped),
        ),
        made=query("made_table").format(
            target=layout.table.target,
            columns=", ".join(f"{quoted(c.name)} {_TYPES[c.kind]}" for c in layout.table.columns),
            instant=quoted(layout.table.instant),
            index=quoted(f"{layout.table.target.rpartition('.')[2]}_{layout.table.instant}"),
        ),
    )


def _staged(cell: LayoutCell, held: Mapping[str, str]) -> str:
    """Return the type of a cell in the staging table."""
    found = held.get(cell.name, "")
    return found if cell.kind == "numeric" and found in _WHOLE else _TYPES[cell.kind]


def _cast(name: str, kind: str) -> str:
    """Write a text as a value; 12.000 is whole, and 12.5 is refused where only whole ones fit."""
    if kind in _WHOLE:
        return f"trim_scale({name}::numeric)::text::{kind}"
    return f"{name}::{kind}"


def _fill(layout: Layout) -> str:
    table = layout.table
    cursor = f"page.{quoted(layout.cursor.name)}"
    written = {quoted(cell.name): f"page.{quoted(cell.name)}" for cell in layout.mapped}
    if layout.extras:
        written["extra"] = _built(layout)
    written[quoted(table.instant)] = query("plain_instant").format(cursor=cursor)
    return query("fill").format(
        target=table.target, columns=", ".join(written), values=", ".join(written.values())
    )


def _merge(layout: Layout) -> str:
    table = layout.table
    cursor = f"page.{quoted(layout.cursor.name)}"
    seconds = {"epoch": _second_in(layout.epoch), "begun": _second_in(layout.begun)}
    written = {quoted(cell.name): f"page.{quoted(cell.name)}" for cell in layout.mapped}
    written["extra"] = _extra(layout)
    written[quoted(table.instant)] = query("instant").format(cursor=cursor, **seconds)
    written["time_note"] = query("time_note").format(cursor=cursor, **seconds)
    return query("merge").format(
        target=table.target,
        cursor=cursor,
        held_key=_key([_held(cell) for cell in layout.key]),
        page_key=_key([f"page.{quoted(cell.name)}" for cell in layout.key]),
        columns=", ".join(written),
        values=", ".join(written.values()),
        named_values=", ".join(f"{value} AS {name}" for name, value in written.items()),
        news=", ".join(f"new.{name}" for name in written),
    )


def _second_in(cell: LayoutCell | None) -> str:
    if cell is None:
        return query("no_epoch")
    return query("epoch").format(column=f"page.{quoted(cell.name)}")


def _key(expressions: list[str]) -> str:
    return f"ROW ({', '.join(expressions)})::text" if expressions else "NULL::text"


def _held(cell: LayoutCell) -> str:
    return f"extra ->> {_literal(cell.source.name)}" if cell.extra else quoted(cell.name)


def _extra(layout: Layout) -> str:
    if not layout.extras:
        return "page.aside"
    built = _built(layout)
    return f"CASE WHEN page.aside IS NULL THEN {built} ELSE {built} || page.aside END"


def _built(layout: Layout) -> str:
    keys = ", ".join(_literal(cell.source.name) for cell in layout.extras)
    values = ", ".join(f"page.{quoted(cell.name)}" for cell in layout.extras)
    return f"jsonb_object(ARRAY[{keys}], ARRAY[{values}])"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
