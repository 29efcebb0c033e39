"""Translates the driver's errors where they enter."""

import asyncio
import errno
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from sereno.model.errors import (
    ClusterError,
    NotFoundError,
    ParamsError,
    PoolerError,
    SchemaError,
    SerenoError,
    StoreError,
    StoreLockedError,
    StoreRightsError,
    StoreUnavailableError,
)

# Away, starting up, shutting down, full, read-only, or this statement lost a race: try again later.
LATER = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    OSError,
    asyncio.TimeoutError,
)
"""What is no fault of the statement: the same may succeed later."""

_SCHEMA = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedFunctionError,
)

_OURS = re.compile(r'"sereno(\.\w+)?" does not exist')
"""The kernel's schema, or a table of it."""

_GIVEN = (asyncpg.InvalidParameterValueError, asyncpg.UntranslatableCharacterError)

_OTHER_CLUSTER = "SR001"
"""What the trigger of `sereno.node` raises, see migration 0045."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreError's subclasses in place of the driver's errors."""
    try:
        yield
    except SerenoError:
        raise
    except _GIVEN as error:
        raise ParamsError(_of_what_is_given(error)) from error
    except asyncpg.NoDataFoundError as error:  # as sereno.enqueue says it of a job
        raise NotFoundError(str(error)) from error
    except asyncpg.LockNotAvailableError as error:
        raise StoreLockedError(
            "the database did not do it: another session keeps a row or table of schema 'sereno' "
            "locked; SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE "
            "cardinality(pg_blocking_pids(pid)) > 0 shows which one while somebody waits"
        ) from error
    except LATER as error:
        if isinstance(error, ValueError):  # the driver cannot encode an argument: a fault of ours
            raise StoreError(_sentence(error)) from error
        raise StoreUnavailableError(_sentence(error)) from error
    except _SCHEMA as error:
        raise SchemaError(_of_the_schema(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRightsError(_of_rights(error)) from error
    except (asyncpg.PostgresError, UnicodeDecodeError) as error:  # the second: no words of ours
        raise _refusal(error) from error


def _refusal(error: Exception) -> StoreError:
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate == _OTHER_CLUSTER:
        return ClusterError(f"{error.message}; {error.hint}")
    return StoreError(_sentence(error))


def _of_the_schema(error: asyncpg.PostgresError) -> str:
    if _OURS.search(str(error)):
        return (
            f"this database has no schema 'sereno' yet, or an older one ({error}); a replica that "
            "starts on it brings it (`sereno run`), or run 'sereno migrate'; the demonstration has "
            "a database of its own: --database-url embedded/demo"
        )
    return (
        f"the database's schema does not fit this version of sereno ({error}); run 'sereno migrate'"
    )


def _of_rights(error: asyncpg.PostgresError) -> str:
    remedy = "`sereno grants runner` prints what a role that does it must be granted"
    if "for database" in str(error):
        remedy = (
            "sereno needs CREATE on the database once, for its schema 'sereno'; docs/rights.md "
            "lists what a role that does not own that schema must be granted"
        )
    return f"the database role may not do this ({error}); {remedy}"


def _of_what_is_given(error: asyncpg.PostgresError) -> str:
    if not isinstance(error, asyncpg.UntranslatableCharacterError):
        return str(error)  # a sentence of our own
    return (
        "what is given has a character that the database cannot keep: "
        f"{error.detail or error.message} A database in UTF8 keeps all but NUL"
    )


def _sentence(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        text = "no answer within the time limit"
    if (
        isinstance(error, ConnectionRefusedError) or "Connect call failed" in text
    ):  # uvloop, asyncio
        text += "; nothing answers there: start PostgreSQL, or correct the address in database_url"
    if isinstance(error, socket.gaierror):
        text += "; correct the host's name in database_url"
    if isinstance(error, asyncpg.TooManyConnectionsError):
        text += (
            "; have others hold fewer sessions (SELECT usename, application_name, count(*) FROM "
            "pg_stat_activity GROUP BY 1, 2 shows who has them) or raise max_connections; a "
            "replica takes at most 10, and for its jobs job_connections, and 4 for run.client"
        )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        text += (
            "; correct its name in the URL, or create it (the demonstration's own is there once "
            "`sereno demo` has started)"
        )
    if isinstance(error, asyncpg.QueryCanceledError):
        text += (
            "; where a pooler stands between, the role's or the database's own statement_timeout "
            "ends ours: SELECT setdatabase, setrole::regrole, setconfig FROM pg_db_role_setting "
            "shows whose"
        )
    if isinstance(error, asyncpg.SequenceGeneratorLimitExceededError):
        text += "; 'sereno cluster' says what sets it right"
    return f"the database did not do it: {text}"


def answered(error: BaseException) -> bool:
    """Return whether a server has said what is behind `error`: it is in reach, whatever it said."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PoolerError):
            return True
        if isinstance(cause, asyncpg.PostgresError):
            return not isinstance(cause, asyncpg.PostgresConnectionError)
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            # Of several addresses the error is one that quotes each.
            return cause.errno in _REFUSALS or any(f"[Errno {n}]" in str(cause) for n in _REFUSALS)
        cause = cause.__cause__ or cause.__context__
    return False


_REFUSALS = (errno.ECONNREFUSED, errno.ECONNRESET)
