"""A plugin with one of everything, as its author writes it: what a test builds and installs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from prometheus_client.core import Counter

from sereno import (
    App,
    Client,
    Job,
    Message,
    Migrations,
    RunContext,
    RunFinished,
    every,
    hookimpl,
    job,
)

NOTED = Counter("keeper_noted_total", "Notes that this replica has made.")

Pool = Any  # asyncpg's, whose types are its own


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    mark: str = "plain"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    text: str


class Kept(msgspec.Struct, frozen=True):
    text: str
    number: int


@job("keeper.note", params=Note)
async def note(run: RunContext[Note]) -> Kept:
    pool: Pool = run.state
    text = f"{run.settings.mark}: {run.params.text}"
    await pool.execute("INSERT INTO keeper.note (run, text) VALUES ($1, $2)", run.run_id, text)
    NOTED.inc()
    run.notify(Message(f"run {run.run_id} has noted"), key=str(run.run_id))
    return Kept(text, run.run_id)


@job("keeper.count", schedule=every("1s"))
async def count(run: RunContext) -> int:
    pool: Pool = run.state
    return int(await pool.fetchval("SELECT count(*) FROM keeper.note"))


def asking(client: Client) -> Any:
    """Queues a note of the path that it is asked for, and answers with its result."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        run = await client.enqueue("keeper.note", Note(text=scope["path"].rpartition("/")[2]))
        done = await client.wait(run, timeout="20s")
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": msgspec.json.encode(done.result)})

    return app


@hookimpl
def sereno_register_settings() -> type[Settings]:
    return Settings


@hookimpl
def sereno_register_jobs() -> list[Job]:
    return [note, count]


@hookimpl
def sereno_register_migrations() -> Migrations:
    return Migrations(schema="keeper", package="sereno_keeper")


@hookimpl
def sereno_register_apps() -> Mapping[str, App]:
    return {"/keeper": App("Notes", asking)}


@hookimpl
@asynccontextmanager
async def sereno_lifespan(database_url: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        await pool.fetchval("SELECT count(*) FROM keeper.note")
        yield pool


@hookimpl
async def sereno_on_run_finished(event: RunFinished, state: Pool) -> None:
    if event.job == "keeper.note":
        await state.execute("UPDATE keeper.note SET heard = true WHERE run = $1", event.run_id)
