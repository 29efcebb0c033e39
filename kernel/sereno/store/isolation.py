"""Finds, of what cannot be written together, whose it is that the database does not take; and keeps
a schedule whose own row is at fault apart from the others."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

import asyncpg
import msgspec

from sereno.model import fault
from sereno.model.errors import DeclarationError

log = logging.getLogger(__name__)

_OF_DATA = ("21", "22", "23", "54")
"""Classes of PostgreSQL's errors: cardinality, data, constraints, limits of the program."""


def is_of_data(error: Exception) -> bool:
    """Tell whether it is what was declared that the database, or the driver, cannot take."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in _OF_DATA
    return isinstance(error, ValueError | TypeError | OverflowError | msgspec.MsgspecError)


async def unfitting(
    connection: asyncpg.Connection, plugins: Iterable[str], write: Callable[[str], Awaitable[None]]
) -> dict[str, str]:
    """Return those of `plugins` whose part `write` cannot write alone, and why; each is undone,
    and what is at fault is logged by its plugin's name."""
    unfit: dict[str, str] = {}
    for plugin in plugins:
        trial = connection.transaction()
        await trial.start()
        try:
            await write(plugin)
        except Exception as error:
            if not is_of_data(error):
                raise
            unfit[plugin] = fault.sentence(error, 1_000)
            log.error(
                "a plugin cannot be registered, its jobs are left out",
                extra={"plugin": plugin, "error": unfit[plugin]},
            )
        finally:
            await trial.rollback()
    return unfit


@contextmanager
def apart(row: asyncpg.Record) -> Iterator[None]:
    """Leave the schedule that `row` holds as it is, and say so, when its own row cannot be read:
    that is found before anything of it is written, so the transaction goes on."""
    try:
        yield
    except DeclarationError as error:
        log.error(
            "a schedule cannot follow its declaration",
            extra={"schedule": row["name"], "job": row["job"], "error": str(error)},
        )
