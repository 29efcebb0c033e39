"""Opens the target's one connection, and words what goes wrong on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from sereno_etl_ivr.errors import TargetAwayError, TargetError

_CONNECT_SECONDS = 10
_CALL_SECONDS = 90
_CLOSE_SECONDS = 5
BAD_ROW = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.WithCheckOptionViolationError,
    asyncpg.PLPGSQLError,
    asyncpg.ProgramLimitExceededError,
)
"""A row that does not fit: its values are none of the column's; or the target's constraints, a
trigger of it, or the length of an index's row are against it."""

_SESSION = {
    "application_name": "sereno etl_ivr target",
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    # A replica that is cut off must not keep the source's lock for hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "default_transaction_isolation": "read committed",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "jit": "off",
    # The merge's plan is made once, when the target may be empty, and must still be right when it
    # holds millions: index ranges and hash joins, whatever the statistics say.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_nestloop": "off",
    # A page that is lost with the server is lost together with its watermark. The run's last
    # commit waits for the disk, and all before it with it.
    "synchronous_commit": "off",
}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Connect to the target. Raises TargetAwayError."""
    with translated(url):
        connection = await asyncpg.connect(
            url, timeout=_CONNECT_SECONDS, command_timeout=_CALL_SECONDS, server_settings=_SESSION
        )
    try:
        yield connection
    finally:
        await _close(connection)


async def _close(connection: Any) -> None:
    """End the session, and wait until its locks are gone; what is open is rolled back."""
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


@contextmanager
def translated(url: str, *, of_rows: bool = False) -> Iterator[None]:
    """Turn the driver's errors into ours; `of_rows`: but for those of BAD_ROW."""
    parts = urlsplit(url)
    place = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
    try:
        yield
    except (
        OSError,
        TimeoutError,
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.TransactionRollbackError,
        asyncpg.LockNotAvailableError,
    ) as error:
        raise TargetAwayError(f"target {place}: {error or type(error).__name__}") from error
    except asyncpg.PostgresError as error:
        if of_rows and isinstance(error, BAD_ROW):
            raise
        raise TargetError(f"target {place}: {error}") from error
