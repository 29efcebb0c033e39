"""Reads calls from PostgreSQL through asyncpg."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from sereno_etl_ivr.errors import SourceAwayError, SourceError, SourceRowError
from sereno_etl_ivr.layout import Family, Layout, SourceColumn, SourceTable
from sereno_etl_ivr.names import MOST_NAMES
from sereno_etl_ivr.page import DELIMITER, Range, Row, SourcePage
from sereno_etl_ivr.plan import Digest, Extent
from sereno_etl_ivr.query import query
from sereno_etl_ivr.sargable import ends
from sereno_etl_ivr.source import postgres_text as text
from sereno_etl_ivr.tls import Tls, TlsSettings

_CONNECT_SECONDS = 10
_CALL_SECONDS = 90
_ROWS_AT_ONCE = 100
_SESSION = {
    "application_name": "sereno etl_ivr source",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "read committed",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "statement_timeout": "60s",
    "jit": "off",
}
_FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8"), "number"),
    **dict.fromkeys(
        ("uuid", "inet", "cidr", "date", "time", "timetz", "interval", "bool"), "other"
    ),
    "timestamp": "moment",
    "timestamptz": "instant",
    "bytea": "binary",
}

_OF_A_ROW = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.PLPGSQLError,
    asyncpg.ExternalRoutineError,
    asyncpg.InternalServerError,
)
"""What the server raises at what it reads: a cast or a function in a view, a damaged block."""


class PostgresSource:
    """A table of PostgreSQL; see `Source`."""

    sessions = 1

    def __init__(self, connection: Any, place: str, table: str) -> None:
        self._connection = connection
        self._place = place
        self._table = text.quoted_table(table)
        self._one_statement = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, table: str, tls: TlsSettings | None = None
    ) -> AsyncIterator["PostgresSource"]:
        """Connect with a read-only session."""
        parts = urlsplit(url)
        place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
        with _translated(place):
            connection = await asyncpg.connect(
                url,
                timeout=_CONNECT_SECONDS,
                command_timeout=_CALL_SECONDS,
                server_settings=_SESSION,
                **({} if tls is None else {"ssl": await _context(tls, place)}),
            )
        try:
            yield cls(connection, place, table)
        finally:
            connection.terminate()  # nothing of ours is open: the session only reads

    async def describe(self) -> SourceTable:
        """Read the table's columns, key and indexes from the catalogue."""
        columns = await self._all(query("postgres_columns"), self._table)
        indexes = await self._all(query("postgres_indexes"), self._table)
        return SourceTable(
            columns=tuple(
                SourceColumn(
                    c["name"],
                    c["type"],
                    _FAMILIES.get(c["type"], "text"),
                    c["nullable"],
                    fractions=c["fractions"],
                )
                for c in columns
            ),
            primary_key=tuple(i["name"] for i in indexes if i["is_primary"]),
            indexed=frozenset(i["name"] for i in indexes if i["number"] == 1),
        )

    def as_time(self, column: SourceColumn, time_format: str) -> SourceColumn:
        """Return a text or a number as the time that a format makes of it."""
        return text.as_time(column, time_format)

    async def extent(self, layout: Layout) -> Extent:
        """Read the first and last position, and the source's clock."""
        (found,) = await self._all(
            query("postgres_extent").format(
                position=text.position_of(layout.cursor),
                cursor=text.name_of(layout.cursor.source),
                order=text.order_of(layout.cursor.source),
                some=text.some_time(layout.cursor),
                none=text.no_time(layout.cursor),
                table=self._table,
            )
        )
        first, last = ends(layout.cursor.source, found["first"], found["last"])
        return Extent(first, last, found["nulls"], found["clock"])

    async def bound(self, layout: Layout, within: Range, rows: int) -> int | None:
        """Return the position of the row after the first `rows` ones, None when there is none."""
        found = await self._all(
            query("postgres_bound").format(
                position=text.position_of(layout.cursor),
                order=text.order_of(layout.cursor.source),
                table=self._table,
                where=text.where(layout, within, in_order=True),
                rows=rows,
            )
        )
        return int(found[0][0]) if found else None

    async def count(self, layout: Layout, within: Range, limit: int) -> int:
        """Count the rows, up to `limit`."""
        where = text.where(layout, within)
        counting = query("postgres_count").format(table=self._table, where=where, limit=limit)
        return int((await self._all(counting))[0][0])

    async def digests(
        self, layout: Layout, within: Range, *, checksums: bool = True
    ) -> dict[int, Digest]:
        """Digest the rows of each day; without `checksums` only their number is right."""
        found = await self._all(
            query("postgres_digests").format(
                day=text.day_of(layout.cursor),
                checksum=text.checksum(layout) if checksums else "0",
                table=self._table,
                where=text.where(layout, within),
            )
        )
        return {f["day"]: Digest(f["rows"], int(f["checksum"])) for f in found}

    async def names(self, table: str, key: str, name: str) -> dict[str, str]:
        """Read names from a table of the source, by their keys."""
        found = await self._all(
            query("source_names").format(
                id=f"{text.quoted(key)}::text",
                name=f"{text.quoted(name)}::text",
                table=text.quoted_table(table),
                limit=MOST_NAMES,
            )
        )
        return dict(map(tuple, found))

    async def page(self, layout: Layout, within: Range) -> SourcePage:
        """Read all rows of a range as COPY text, in one statement and so of one instant."""
        chunks: list[bytes] = []

        async def keep(chunk: bytes) -> None:
            chunks.append(bytes(chunk))

        async with self._one_statement:
            with _translated(self._place):
                status = await self._connection.copy_from_query(
                    self._reading(layout, within),
                    output=keep,
                    format="text",
                    delimiter=DELIMITER,
                    null=text.NULL_TEXT,
                    encoding="utf8",
                )
        return SourcePage(
            range=within,
            rows=int(status.split()[-1]),
            lines=b"".join(chunks).split(b"\n")[:-1],
            place=text.POSITION,
            text=text.copied,
            null=text.NULL_TEXT,
        )

    async def rows(self, layout: Layout, within: Range) -> AsyncGenerator[Sequence[Row], None]:
        """Read the rows of a range cell by cell, a few at a time."""
        found = await self._all(self._reading(layout, within))
        for at in range(0, len(found), _ROWS_AT_ONCE):
            yield [_row(record) for record in found[at : at + _ROWS_AT_ONCE]]

    def _reading(self, layout: Layout, within: Range) -> str:
        return query("postgres_page").format(
            content=text.content(layout),
            position=text.position_of(layout.cursor),
            cells=",".join(text.cell(cell.source) for cell in layout.cells),
            moment=text.moment_of(layout.cursor),
            table=self._table,
            where=text.where(layout, within),
        )

    async def _all(self, statement: str, *arguments: Any) -> Sequence[Any]:
        async with self._one_statement:
            with _translated(self._place):
                return list(await self._connection.fetch(statement, *arguments))


async def _context(tls: TlsSettings, place: str) -> ssl.SSLContext | None:
    try:
        return await asyncio.to_thread(Tls(tls).context)
    except OSError as error:
        raise SourceError(
            f"source {place}: TLS: {error}; check plugins.etl_ivr.source_tls"
        ) from error


def _row(record: Any) -> Row:
    content, at, *cells, _ = record
    return Row(content, at, tuple(None if cell is None else cell.encode() for cell in cells))


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
    ) as error:
        raise SourceAwayError(f"source {place}: {error or type(error).__name__}") from error
    except _OF_A_ROW as error:
        raise SourceRowError(f"source {place}: {error}") from error
    except asyncpg.PostgresError as error:
        raise SourceError(f"source {place}: {error}") from error
