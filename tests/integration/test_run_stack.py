"""Where a run is at this moment: asked by a row, told by the node that works on it."""

import asyncio
import threading
from typing import Any

import pytest

from sereno import Client, ConflictError, NotFoundError, ParamsError, RunContext, job
from sereno.model.errors import WaitTimeoutError

from .node import LiveNode, looking, running

pytestmark = pytest.mark.every_postgres


class Gate(threading.Event):
    """Tells that somebody waits at it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


_GATE = Gate()


async def deep(levels: int) -> None:
    if levels:
        await deep(levels - 1)
    else:
        await asyncio.get_running_loop().run_in_executor(None, _GATE.wait)


@job("tests.awaits")
async def awaits(run: RunContext) -> None:
    await deep(3)


@job("tests.blocks")
def blocks(run: RunContext) -> None:
    _GATE.wait()


@job("tests.apart", executor="process")
def apart(run: RunContext) -> None:
    threading.Event().wait()


@pytest.fixture(autouse=True)
def gate() -> Any:
    _GATE.clear()
    _GATE.reached.clear()
    yield
    _GATE.set()


async def begun(name: str, node: LiveNode, dsn: str) -> int:
    """Return a run that its node works on: its function is where it waits, but in a process."""
    async with looking(dsn) as eye:
        run = await eye.enqueue(name)
        await node.heard.wait("RunStarted", job=name, limit=30)
    if name != "tests.apart":
        assert await asyncio.to_thread(_GATE.reached.wait, 30)
    return run


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tests.awaits", ["in awaits", "await deep(3)", "in deep", "run_in_executor"]),
        ("tests.blocks", ["in blocks", "_GATE.wait()"]),
        ("tests.apart", ["it works in a process of its own, whose stack its node does not see"]),
    ],
)
async def test_a_run_under_way_tells_where_it_is(
    name: str, words: list[str], database: str
) -> None:
    async with running(database, awaits, blocks, apart) as node, Client.open(database) as client:
        run = await begun(name, node, database)
        told = await client.stack(run, timeout=30)
        _GATE.set()
        await client.cancel(run)

    for word in words:
        assert word in told, told


async def test_a_run_that_nobody_works_on_has_no_stack_and_it_is_said(database: str) -> None:
    async with running(database, blocks) as node, Client.open(database) as client:
        await begun("tests.blocks", node, database)
        later = await client.enqueue("tests.blocks", {}, delay="1h")
        with pytest.raises(ConflictError, match=f"run {later} is queued: no node works on it"):
            await client.stack(later)
        with pytest.raises(NotFoundError):
            await client.stack(later + 1_000)
        with pytest.raises(ParamsError):
            await client.stack(-1)
        _GATE.set()


async def test_a_node_that_does_not_answer_is_not_waited_for_for_ever(database: str) -> None:
    async with running(database, blocks) as node, Client.open(database) as client:
        run = await begun("tests.blocks", node, database)
        async with looking(database) as eye:  # another's, which answers none
            await eye.value("UPDATE sereno.run SET node = gen_random_uuid() WHERE id = $1", run)
        with pytest.raises(WaitTimeoutError, match=r"has not answered in 0\.1 s"):
            await client.stack(run, timeout=0.1)
        _GATE.set()
