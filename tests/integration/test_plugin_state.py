"""What a plugin's lifespan yields, where its jobs and hooks meet it on a working node."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg

from sereno import RunContext, RunFinished, hookimpl, job

from .node import Eye, running

Run = RunContext[dict[str, Any]]


@job("s.apart", executor="process")
def apart(run: Run) -> bool:
    """Tell from a process of its own whether there is a state."""
    return run.state is None


class Opened:
    """A plugin whose state is a connection to the kernel's database, and what it has seen."""

    def __init__(self) -> None:
        self.heard = asyncio.Queue[tuple[str, Any]]()
        self.closed = asyncio.Event()

    @hookimpl
    @asynccontextmanager
    async def sereno_lifespan(self, settings: Any, database_url: str) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(database_url)
        # The schema is there by now.
        await connection.fetchval("SELECT count(*) FROM sereno.run")
        try:
            yield SimpleNamespace(connection=connection, threads=[])
        finally:
            await connection.close()
            self.closed.set()

    @hookimpl
    def sereno_register_jobs(self) -> list[Any]:
        @job("s.task")
        async def task(run: Run) -> int:
            return int(await run.state.connection.fetchval("SELECT 6 * 7"))

        @job("s.thread")
        def thread(run: Run) -> None:
            run.state.threads.append(threading.get_ident())

        return [task, thread, apart]

    @hookimpl
    async def sereno_on_run_finished(self, event: RunFinished, state: Any) -> None:
        await self.heard.put((event.job, state))


async def test_tasks_threads_and_hooks_meet_one_state_and_a_process_none(
    database: str, eye: Eye
) -> None:
    plugin = Opened()
    async with running(database, plugins=[("s", plugin)]):
        rows = {name: await eye.ran(name) for name in ("s.task", "s.thread", "s.apart")}
        heard = [await plugin.heard.get() for _ in rows]
    assert {name: row["error"] for name, row in rows.items()} == dict.fromkeys(rows)
    assert rows["s.task"]["result"] == "42"
    assert rows["s.apart"]["result"] == "true"
    assert {name for name, _ in heard} == set(rows)
    (state,) = {id(state): state for _, state in heard}.values()
    assert len(state.threads) == 1
    assert state.threads != [threading.get_ident()]
    assert plugin.closed.is_set()
