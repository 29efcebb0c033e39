"""Translates the driver's errors where they enter."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from sereno.model.errors import (
    NotFoundError,
    ParamsError,
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


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreError's subclasses in place of the driver's errors."""
    try:
        yield
    except SerenoError:
        raise
    except asyncpg.InvalidParameterValueError as error:
        raise ParamsError(str(error)) from error
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
        raise SchemaError(
            f"the database's schema does not fit this version of sereno ({error}); "
            "run 'sereno migrate'"
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StoreRightsError(
            f"the database role may not do this ({error}); sereno needs CREATE on the database "
            "once, for its schema 'sereno'; docs/rights.md lists what a role that does not own "
            "that schema must be granted"
        ) from error
    except (asyncpg.PostgresError, UnicodeDecodeError) as error:  # the second: no words of ours
        raise StoreError(_sentence(error)) from error


def _sentence(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        text = "no answer within the time limit"
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
