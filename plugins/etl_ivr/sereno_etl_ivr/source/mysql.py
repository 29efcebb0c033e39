"""Reads calls from MariaDB and MySQL through aiomysql."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomysql

from sereno_etl_ivr.errors import SourceAwayError, SourceError, SourceRowError
from sereno_etl_ivr.layout import Family, Layout, SourceColumn, SourceTable
from sereno_etl_ivr.names import MOST_NAMES
from sereno_etl_ivr.page import Cell, Range, Row, SourcePage
from sereno_etl_ivr.plan import Digest, Extent
from sereno_etl_ivr.query import query
from sereno_etl_ivr.sargable import ends
from sereno_etl_ivr.source import mysql_copy
from sereno_etl_ivr.source import mysql_text as text
from sereno_etl_ivr.source.mysql_login import hang_up, log_in
from sereno_etl_ivr.tls import Tls, TlsSettings, mysql_tls

_CALL_SECONDS = 90
_LONGEST_PAGE = 64 * 2**20
_LONGEST_CHARACTER = 4
_ROWS_AT_ONCE = 100
_UNICODE = {"utf8", "utf8mb3", "utf8mb4", "ascii"}
# Who may not, or what is not there: the same will be so in a minute.
_WHO = (
    "check user and password in plugins.etl_ivr.source_url, and whether the account wants TLS "
    "(source_tls)"
)
_PERMANENT = {
    **dict.fromkeys((1045, 1698), _WHO),
    **dict.fromkeys(
        (1044, 1049), "check the database in plugins.etl_ivr.source_url, and its rights"
    ),
    **dict.fromkeys((1142, 1143, 1227, 1370), "the user needs SELECT on the table, and no more"),
    1146: "check plugins.etl_ivr.source_table",
    3159: "the server takes none without TLS: set plugins.etl_ivr.source_tls",
}
# What passes (locks, load, a session that was ended, a table that was altered meanwhile), and what
# is said of a statement, not of a row.
_OF_NO_ROW = {
    *(1023, 1040, 1053, 1054, 1060, 1064, 1077, 1129, 1130, 1152, 1154, 1155, 1156, 1157, 1158),
    *(1159, 1160, 1161, 1182, 1184, 1203, 1205, 1213, 1226, 1290, 1295, 1305, 1317, 1356, 1412),
    *(1568, 1637, 1792, 1836, 1927, 1969, 3024, 3058, 3101, 3572, 4031),
}
# What MariaDB 5.5 says to a statement that is younger: a syntax error, an unknown variable.
_TOO_OLD = {1064, 1193}
_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), "text"),
    **dict.fromkeys(("enum", "set", "json"), "text"),
    **dict.fromkeys(("tinyblob", "blob", "mediumblob", "longblob"), "binary"),
    **dict.fromkeys(("binary", "varbinary"), "binary"),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"), "number"),
    **dict.fromkeys(("float", "double"), "number"),
    **dict.fromkeys(("geometry", "point", "linestring", "polygon", "multipoint"), "shape"),
    **dict.fromkeys(("multilinestring", "multipolygon", "geometrycollection"), "shape"),
    **dict.fromkeys(("geomcollection",), "shape"),
    "bit": "bits",
    "datetime": "moment",
    "timestamp": "instant",
}


class MysqlSource:
    """A table of MariaDB or MySQL; see `Source`. Cells arrive as bytes, nothing is converted."""

    sessions = 2

    def __init__(self, url: str, place: str, database: str, table: str, tls: Tls) -> None:
        self._url = url
        self._tls = tls
        self._place = place
        schema, _, name = table.rpartition(".")
        self._schema = schema or database
        self._name = name
        self._table = text.quoted_table(table)
        self._connections: list[Any] = []
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        self._asked = 1
        self._longest = 0
        # What no cell is: whoever writes calls cannot guess it.
        self._never = f"\x1a{token_hex(16)}"

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, table: str, tls: TlsSettings | None = None
    ) -> AsyncIterator["MysqlSource"]:
        """Connect, and make the session read-only."""
        parts = urlsplit(url)
        place = f"{parts.hostname or 'localhost'}:{parts.port or 3306}"
        database = unquote(parts.path.lstrip("/"))
        source = cls(url, place, database, table, mysql_tls(url, tls))
        try:
            await source._connect()
            yield source
        finally:
            # Not ensure_closed(): it would wait for the rest of a result that nobody wants.
            for connection in source._connections:
                await hang_up(connection)

    async def describe(self) -> SourceTable:
        """Read the table's columns, key and indexes from the catalogue."""
        names = {"schema": self._literal(self._schema), "table": self._literal(self._name)}
        columns = await self._all(query("mysql_columns").format(**names))
        indexes = await self._all(query("mysql_indexes").format(**names))
        primary = tuple(_text(name) for index, _, name in indexes if index == b"PRIMARY")
        first = frozenset(_text(name) for _, number, name in indexes if int(number) == 1)
        return SourceTable(tuple(_column(*row) for row in columns), primary, first)

    def as_time(self, column: SourceColumn, time_format: str) -> SourceColumn:
        """Return a text or a number as the time that a format makes of it."""
        return text.as_time(column, time_format)

    async def extent(self, layout: Layout) -> Extent:
        """Read the first and last position, and the source's clock."""
        name = text.name_of(layout.cursor.source)
        nulls = query("mysql_has_nulls").format(
            table=self._table, cursor=name, none=text.no_time(layout.cursor)
        )
        first, last, has_nulls, clock = await self._one(
            query("mysql_extent").format(
                position=text.position_of(layout.cursor),
                cursor=name,
                order=text.order_of(layout.cursor.source),
                some=text.some_time(layout.cursor),
                table=self._table,
                nulls=nulls if layout.cursor.source.nullable else "0",
            )
        )
        return Extent(
            *ends(layout.cursor.source, first, last),
            nulls=bool(int(has_nulls)),
            clock=datetime.fromisoformat(_text(clock)).replace(tzinfo=UTC),
        )

    async def bound(self, layout: Layout, within: Range, rows: int) -> int | None:
        """Return the position of the row after the first `rows` ones, None when there is none."""
        found = await self._all(
            query("mysql_bound").format(
                position=text.position_of(layout.cursor),
                order=text.order_of(layout.cursor.source),
                table=self._table,
                where=text.where(layout, within),
                rows=rows,
            )
        )
        return int(found[0][0]) if found else None

    async def count(self, layout: Layout, within: Range, limit: int) -> int:
        """Count the rows, up to `limit`."""
        where = text.where(layout, within)
        counting = query("mysql_count").format(table=self._table, where=where, limit=limit)
        return int((await self._one(counting))[0])

    async def digests(
        self, layout: Layout, within: Range, *, checksums: bool = True
    ) -> dict[int, Digest]:
        """Digest the rows of each day; without `checksums` only their number is right."""
        found = await self._all(
            query("mysql_digests").format(
                day=text.day_of(layout.cursor),
                checksum=text.checksum(layout) if checksums else "0",
                table=self._table,
                where=text.where(layout, within),
            )
        )
        return {int(day): Digest(int(rows), int(total)) for day, rows, total in found}

    async def names(self, table: str, key: str, name: str) -> dict[str, str]:
        """Read names from a table of the source, by their keys."""
        found = await self._all(
            query("source_names").format(
                id=f"CONVERT(CAST({text.quoted(key)} AS CHAR) USING utf8mb4)",
                name=f"CONVERT(CAST({text.quoted(name)} AS CHAR) USING utf8mb4)",
                table=text.quoted_table(table),
                limit=MOST_NAMES,
            )
        )
        return {_text(one): _text(other) for one, other in found}

    async def page(self, layout: Layout, within: Range) -> SourcePage:
        """Read all rows of a range, in one statement and so of one instant.

        It has no line where there is more than the server joins, or where what stands for a NULL
        stands in a cell too, and that is noticed.
        """
        rows, nulls, joined = await self._one(
            query("mysql_page").format(
                nulls=text.null_count(layout),
                line=text.line(layout),
                table=self._table,
                where=text.where(layout, within),
            )
        )
        await asyncio.sleep(0)  # to receive it took the loop some milliseconds
        joined = joined or b""
        if len(joined) > self._longest - _LONGEST_CHARACTER:
            joined = b""  # perhaps cut, and then one cell is short though each row is there
        elif nulls is not None and joined.count(mysql_copy.NULL) != int(nulls):
            joined = b""
        return SourcePage(
            range=within,
            rows=int(rows),
            lines=mysql_copy.lines(joined) if joined else (),
            place=mysql_copy.POSITION,
            text=mysql_copy.text,
            null=self._never if nulls is None else mysql_copy.NULL.decode(),
        )

    async def rows(self, layout: Layout, within: Range) -> AsyncGenerator[Sequence[Row], None]:
        """Read the rows of a range cell by cell, a few at a time."""
        reading = query("mysql_rows").format(
            position=text.position_of(layout.cursor),
            cells=",".join(text.single_cell(cell.source) for cell in layout.cells),
            table=self._table,
            where=text.where(layout, within),
        )
        async with self._cursor(aiomysql.SSCursor) as cursor:
            await _limited(cursor.execute(reading))
            while found := await _limited(cursor.fetchmany(_ROWS_AT_ONCE)):
                yield [_row(int(row[0]), tuple(row[1:])) for row in found]

    async def _connect(self) -> None:
        """Open one more session."""
        with _translated(self._place):
            connection = await log_in(self._url, self._place, self._tls)
            self._connections.append(connection)
            await self._prepare(connection)
        self._free.put_nowait(connection)

    async def _prepare(self, connection: Any) -> None:
        async with connection.cursor(aiomysql.Cursor) as cursor:
            await _limited(cursor.execute("SELECT @@max_allowed_packet, VERSION()"))
            packet, version = await cursor.fetchone()
            self._longest = min(int(packet) - 1024, _LONGEST_PAGE)
            limit = "max_execution_time = 60000"
            if "mariadb" in _text(version).lower():
                limit = "max_statement_time = 60"
            session = query("mysql_session").format(length=self._longest)
            for statement, needed in (
                ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", True),
                (session, True),
                ("SET SESSION TRANSACTION READ ONLY", False),
                (f"SET SESSION {limit}", False),
            ):
                try:
                    await _limited(cursor.execute(statement))
                except aiomysql.Error as error:
                    if needed or error.args[0] not in _TOO_OLD:
                        raise

    async def _one(self, statement: str) -> tuple[Any, ...]:
        return (await self._all(statement))[0]

    async def _all(self, statement: str) -> Sequence[tuple[Any, ...]]:
        async with self._cursor(aiomysql.Cursor) as cursor:
            await _limited(cursor.execute(statement))
            return list(await cursor.fetchall())

    @asynccontextmanager
    async def _cursor(self, kind: Any) -> AsyncIterator[Any]:
        if self._free.empty() and self._asked < self.sessions:
            self._asked += 1
            with suppress(SourceError, SourceAwayError):  # a user may have no right to a second
                await self._connect()
        connection = await self._free.get()
        try:
            with _translated(self._place):
                async with connection.cursor(kind) as cursor:
                    yield cursor
        finally:
            self._free.put_nowait(connection)

    def _literal(self, value: str) -> str:
        return str(self._connections[0].escape(value))


def _row(at: int, cells: tuple[Cell, ...]) -> Row:
    return Row(mysql_copy.content(mysql_copy.row_line(at, cells)), at, cells)


def _column(
    name: bytes,
    kind: bytes,
    nullable: bytes,
    charset: bytes | None,
    precision: bytes | None,
    scale: bytes | None,
) -> SourceColumn:
    family = _FAMILIES.get(_text(kind).lower(), "other")
    return SourceColumn(
        name=_text(name),
        type=_text(kind).lower(),
        family=family,
        nullable=nullable.upper() == b"YES",
        unicode=charset is not None and _text(charset) in _UNICODE and kind.lower() != b"enum",
        fine=precision != b"0",
        fractions=family == "number" and scale != b"0",
    )


async def _limited(call: Awaitable[Any]) -> Any:
    async with asyncio.timeout(_CALL_SECONDS):
        return await call


def _text(value: bytes) -> str:
    return value.decode()


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except (aiomysql.OperationalError, aiomysql.InterfaceError, OSError, TimeoutError) as error:
        if error.args and error.args[0] in _PERMANENT:
            remedy = _PERMANENT[error.args[0]]
            raise SourceError(f"source {place}: {_sentence(error)}; {remedy}") from error
        if _is_of_a_row(error):
            raise SourceRowError(f"source {place}: {_sentence(error)}") from error
        raise SourceAwayError(f"source {place}: {_sentence(error)}") from error
    except aiomysql.Error as error:
        if _is_of_a_row(error):
            raise SourceRowError(f"source {place}: {_sentence(error)}") from error
        raise SourceError(f"source {place}: {_sentence(error)}") from error


def _is_of_a_row(error: Exception) -> bool:
    """Tell whether the server raised at what it read, and not at who asks, or how, or when."""
    number = error.args[0] if error.args else None
    if not isinstance(number, int) or number in _OF_NO_ROW:
        return False
    return 1000 <= number < 2000 or number >= 3000


def _sentence(error: Exception) -> str:
    return str(error.args[-1]) if error.args else type(error).__name__
