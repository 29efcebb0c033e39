"""Asks the database one question and leaves it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sereno.cli.invocation import Invocation
from sereno.model.errors import StoreUnavailableError
from sereno.plugins import learn_all_kinds
from sereno.settings import redact
from sereno.store.pool import Database
from sereno.triggers import learn_when_asked

T = TypeVar("T")


def ask(invocation: Invocation, question: Callable[[Database], Awaitable[T]]) -> T:
    """Return what `question` finds in the database of this call."""
    learn_when_asked(lambda: learn_all_kinds(invocation.plugins))
    url = invocation.database_url  # before the loop: joining the embedded PostgreSQL blocks

    async def answer() -> T:
        database = Database(url, size=2, application="sereno cli")
        await database.open()
        try:
            return await question(database)
        finally:
            await database.close()

    try:
        return asyncio.run(answer())
    except StoreUnavailableError as error:
        place = invocation.settings.place("database_url")
        raise StoreUnavailableError(f"{error} ({redact(url)}, set by {place})") from error
