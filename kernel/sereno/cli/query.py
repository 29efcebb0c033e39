"""Asks the cluster one question and leaves it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from sereno.cli.invocation import Invocation
from sereno.cli.schedule_fit import declared_job
from sereno.client import Client
from sereno.client.declarations import Declarations
from sereno.client.verbs import places_of
from sereno.model.errors import StoreUnavailableError
from sereno.model.job import Job
from sereno.plugins import learn_all_kinds
from sereno.settings import redact
from sereno.store.pool import Database
from sereno.triggers import learn_when_asked

T = TypeVar("T")


class CallDeclarations(Declarations):
    """What plugins and configuration of one call declare, loaded when it is first needed."""

    def __init__(self, invocation: Invocation) -> None:
        super().__init__({})
        self._invocation = invocation

    @property
    def known(self) -> Mapping[str, Job]:
        """Return the jobs."""
        return self._invocation.registry.jobs

    def job(self, name: str) -> Job:
        """Return the job of that name; raises NotFoundError, which names plugins that failed."""
        return declared_job(self._invocation, name)


def ask(invocation: Invocation, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return what `question` finds through a client of this call's database."""
    settings = invocation.settings

    def client(db: Database) -> Client:
        most, places = settings.max_backfill, places_of(settings)
        return Client(db, CallDeclarations(invocation), max_backfill=most, places=places)

    return ask_database(invocation, lambda db: question(client(db)))


def ask_database(invocation: Invocation, question: Callable[[Database], Awaitable[T]]) -> T:
    """Return what `question` finds in the database of this call; for what is no verb of a client.

    Nothing is asked of the schema: a command may be the first to come, and each says what it lacks.
    """
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
