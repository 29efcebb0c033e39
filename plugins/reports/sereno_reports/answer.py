"""Asks a report's SQL: it cannot write, takes so long at most, and gives so many rows at most."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from sereno_reports.declared import DeclaredError, Folder
from sereno_reports.query import query
from sereno_reports.statement import StatementError, bound

MOST_ROWS = 20_000
"""A table with more is no report."""

STATEMENT_SECONDS = 300


class ReportRows(msgspec.Struct, frozen=True):
    """Rows as the driver gives them."""

    columns: list[str]
    rows: list[Any]


@asynccontextmanager
async def snapshot(connection: Any, zone: str) -> AsyncIterator[None]:
    """Open the one read-only snapshot that a report's SQL sees, on the clock of `zone`."""
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(query("zone"), zone, f"{STATEMENT_SECONDS}s")
            yield
    except asyncpg.InterfaceError as error:
        if not connection.is_closed():
            raise
        raise ConnectionError("the database ended the session while a report was read") from error


async def answer(
    connection: Any, folder: Folder, file: str, values: Mapping[str, Any], table: str = ""
) -> ReportRows:
    """Return what the SQL in `file` gives, inside of a `snapshot`.

    Raises DeclaredError where the SQL is at fault.
    """
    place = f", table '{table}'" if table else ""
    subject = f"report '{folder.name}'{place}: {file}"
    try:
        statement, given = bound(folder.sql(file), values)
        prepared = await connection.prepare(statement)
        columns = [attribute.name for attribute in prepared.get_attributes()]
        if not columns:  # COPY, DO, COMMIT: whatever they do, they tell nothing
            raise DeclaredError(f"{subject}: gives no column; it must be one SELECT")
        cursor = await prepared.cursor(*given)
        rows = await cursor.fetch(MOST_ROWS + 1)  # of millions, no more come
    except StatementError as error:
        raise DeclaredError(f"{subject}: {error}") from error
    except asyncpg.QueryCanceledError as error:
        raise DeclaredError(
            f"{subject}: took over {STATEMENT_SECONDS} s and was ended; a report's SQL may take no "
            "longer: read what is kept ready, or give it an index"
        ) from error
    except asyncpg.PostgresConnectionError:
        raise
    except (asyncpg.PostgresError, asyncpg.DataError) as error:
        raise DeclaredError(f"{subject}: {error}") from error
    if len(rows) > MOST_ROWS:
        raise DeclaredError(f"{subject}: gives over {MOST_ROWS:,} rows; it may give no more")
    return ReportRows(columns, rows)
