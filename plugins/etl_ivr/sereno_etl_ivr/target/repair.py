"""Finds the rows of a page that cannot be loaded, so that the others can.

States of a row: read; refused here (a text that PostgreSQL cannot hold); copied as text, or refused
by the target's encoding; cast, or refused by a cast; merged, or refused by a constraint of the
target.

Invariants: each row of the page is merged or named as a reject, never both and never neither; a
trial leaves nothing behind, as it is rolled back to its savepoint.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import asyncpg
import msgspec

from sereno_etl_ivr.layout import Layout, LayoutCell
from sereno_etl_ivr.page import DELIMITER, GIANT, LONGEST_CELL, LONGEST_ID, Cell, Row
from sereno_etl_ivr.query import query
from sereno_etl_ivr.table import KNOWN
from sereno_etl_ivr.target.connection import BAD_ROW
from sereno_etl_ivr.target.statements import Statements

_GIANT = GIANT.encode()
_TIMES = ("timestamp", "date")
_WHOLE = ("integer", "bigint")
_BEYOND = 2**63


class Reject(msgspec.Struct, frozen=True):
    """A row that cannot be loaded. `raw`: its cells by the source's names, as JSON."""

    content: str
    position: int
    reason: str
    raw: str


class Repair:
    """Fills the staging table `page` from rows that came cell by cell, and names those it refuses.

    A text that PostgreSQL cannot hold is found here; any other fault by the server's own encoding,
    casts and constraints, which are tried on ever smaller halves: a page of n rows with one bad row
    costs about 2 log n tries. `utf8`: the target has every letter.
    """

    def __init__(self, layout: Layout, written: Statements, *, utf8: bool = True) -> None:
        self._layout = layout
        self._written = written
        self._utf8 = utf8
        self._kept: list[Row] = []
        self._staged: list[int] = []

    async def stage(self, connection: Any, rows: AsyncIterator[Sequence[Row]]) -> list[Reject]:
        """Fill `page` in the open transaction."""
        await connection.execute(query("at_once"))
        await connection.execute(self._written.stage_raw)
        kept = self._kept = []
        rejects: list[Reject] = []
        faults: list[tuple[int, str]] = []
        async for some in rows:
            numbers = []
            for row in some:
                if reason := row.fault or self._unwritable(row):
                    rejects.append(self._reject(row, reason))
                else:
                    numbers.append(len(kept))
                    kept.append(row)
            faults += await self._copied(connection, numbers)
        self._staged, refused = [], {number for number, _ in faults}
        copied = [number for number in range(len(kept)) if number not in refused]
        faults += await self._poured(connection, copied)
        return rejects + [self._reject(kept[number], reason) for number, reason in faults]

    async def merge(
        self, connection: Any, merged: Callable[[], Awaitable[Any]], rejects: list[Reject]
    ) -> Any:
        """Merge `page`; rows that the target itself refuses are taken out of it first.

        Adds them to `rejects`, and returns what `merged` does.
        """
        try:
            async with connection.transaction():
                return await merged()
        except BAD_ROW:
            pass
        # Accepted rows are tried again with each half: a constraint may be on two rows together.
        waiting = [self._staged]
        accepted: list[int] = []
        while waiting:
            some = waiting.pop()
            reason = await self._refused(connection, merged, accepted + some)
            if reason is None:
                accepted += some
            elif len(some) == 1:
                rejects.append(self._reject(self._kept[some[0]], reason))
            else:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
        await self._restage(connection, accepted)
        return await merged()

    async def _refused(
        self, connection: Any, merged: Callable[[], Awaitable[Any]], numbers: list[int]
    ) -> str | None:
        """Try to merge some rows, and undo it; return what the target has against one of them."""
        trial = connection.transaction()
        await trial.start()
        try:
            await self._restage(connection, numbers)
            await merged()
        except BAD_ROW as error:
            return str(error.args[0])
        finally:
            await trial.rollback()
        return None

    async def _restage(self, connection: Any, numbers: list[int]) -> None:
        await connection.execute(query("unstage"))
        await connection.execute(self._written.pour, numbers)

    async def _copied(self, connection: Any, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Copy rows as text; return the numbers and faults of those with a letter it lacks."""
        try:
            await self._copy(connection, numbers)
        except asyncpg.UntranslatableCharacterError as error:
            if len(numbers) > 1:
                middle = len(numbers) // 2
                left = await self._copied(connection, numbers[:middle])
                return left + await self._copied(connection, numbers[middle:])
            try:  # what has no place in the target costs no row
                await self._copy(connection, numbers, plain=True)
            except asyncpg.UntranslatableCharacterError:
                return [(numbers[0], str(error))]
        return []

    async def _copy(self, connection: Any, numbers: Sequence[int], *, plain: bool = False) -> None:
        async with connection.transaction():  # a savepoint
            lines = (self._line(n, self._kept[n], plain=plain) for n in numbers)
            await _copy(connection, b"".join(lines))

    async def _poured(self, connection: Any, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Cast rows into `page`; return the numbers and faults of those that do not fit."""
        if not numbers:
            return []
        try:
            async with connection.transaction():  # a savepoint
                await connection.execute(self._written.pour, list(numbers))
        except asyncpg.DataError as error:
            if len(numbers) == 1:
                return [(numbers[0], str(error))]
            middle = len(numbers) // 2
            left = await self._poured(connection, numbers[:middle])
            return left + await self._poured(connection, numbers[middle:])
        self._staged += numbers
        return []

    def _unwritable(self, row: Row) -> str | None:
        for cell, value in zip(self._layout.cells, row.cells, strict=True):
            fault = None if value is None or cell.extra else _fault(value)
            if value is not None and cell.name in self._layout.table.ids:
                fault = fault or _id_fault(value)
            if fault is not None:
                return f"column '{cell.source.name}' {fault}"
        return None

    def _line(self, number: int, row: Row, *, plain: bool) -> bytes:
        """Write a row of raw_page. What `_is_none` becomes NULL, and is put aside as it was.

        `plain`: what has no place in the target stands there in ASCII.
        """
        aside: dict[str, str] = {}
        cells = [str(number).encode(), row.content.encode(), str(row.position).encode()]
        for cell, value in zip(self._layout.cells, row.cells, strict=True):
            if cell.extra and value is not None and _has_no_place(value, plain=plain):
                value = _as_text(value)
            if value is not None and self._is_none(cell, value):
                aside[cell.source.name] = value.decode()
                value = None
            cells.append(_escaped(value))
        cells.append(_escaped(_json(aside) if aside else None))
        return DELIMITER.encode().join(cells) + b"\n"

    def _is_none(self, cell: LayoutCell, value: bytes) -> bool:
        """Tell whether a cell is no value of its kind, and costs no row all the same.

        So are times; and of tables that are known here an empty number, and a whole one that is
        none: no figure is made of it. Who maps a table has said what is to be in it.
        """
        if cell.kind in _TIMES:
            return not _is_time(value)
        if cell.extra or self._layout.table.name not in KNOWN:
            return False
        if cell.kind in _WHOLE:
            return not _is_whole(value)
        return cell.kind == "numeric" and not value.strip()

    def _reject(self, row: Row, reason: str) -> Reject:
        names = (cell.source.name for cell in self._layout.cells)
        raw = {name: self._shown(value) for name, value in zip(names, row.cells, strict=True)}
        if not self._utf8:
            reason = reason.encode("ascii", "backslashreplace").decode()
        return Reject(row.content, row.position, reason, _json(raw).decode())

    def _shown(self, cell: Cell) -> Any:
        """Return a cell as a reject tells it: as text, where the target has its letters."""
        if cell is None:
            return None
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            return {"hex": cell.hex()}
        kept = "\0" not in text and (self._utf8 or text.isascii())
        return text if kept else {"hex": cell.hex()}


def _fault(value: bytes) -> str | None:
    """Return why a cell cannot be a text of PostgreSQL, None when it can."""
    if value.startswith(_GIANT):
        return f"holds {_size(value)}, more than {LONGEST_CELL // 2**20} MB"
    if b"\0" in value:
        return "holds U+0000, which PostgreSQL cannot keep"
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"is no UTF-8: {error.reason} at {error.start}"
    return None


def _id_fault(value: bytes) -> str | None:
    if len(value) <= LONGEST_ID:
        return None
    return f"holds {len(value)} bytes, and nothing is known by more than {LONGEST_ID}"


def _has_no_place(value: bytes, *, plain: bool) -> bool:
    return _fault(value) is not None or (plain and not value.isascii())


def _as_text(value: bytes) -> bytes:
    """Return what stands in `extra` for a cell that is no text: nobody's call is lost by it."""
    if value.startswith(_GIANT):
        return f"({_size(value)})".encode()
    return b"\\x" + value.hex().encode()


def _size(giant: bytes) -> str:
    return giant[len(_GIANT) :].partition(b"\0")[0].decode()


async def _copy(connection: Any, lines: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield lines

    await connection.copy_to_table(
        "raw_page", schema_name="pg_temp", source=chunks(), delimiter=DELIMITER, encoding="utf8"
    )


def _escaped(cell: Cell) -> bytes:
    if cell is None:
        return b"\\N"
    for plain, coded in ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\x1f", b"\\x1f")):
        cell = cell.replace(plain, coded)
    return cell


def _is_time(value: bytes) -> bool:
    try:
        datetime.fromisoformat(value.decode())
    except ValueError:
        return False
    return True


def _is_whole(value: bytes) -> bool:
    try:
        number = Decimal(value.decode())
    except (InvalidOperation, UnicodeDecodeError):
        return False
    whole = number.is_finite() and number == number.to_integral_value()
    return whole and -_BEYOND <= number < _BEYOND


def _json(value: dict[str, Any]) -> bytes:
    # Letters as they are: `\u...` is what a jsonb in another encoding cannot take.
    return json.dumps(value, ensure_ascii=False).encode()
