"""A node that is cut off ends what its strict children work on, before others may have it."""

import asyncio
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from sereno import Executor, InProcess, RunContext, hookimpl, job
from sereno.engine.status import Status
from sereno.model.errors import PoolerError, StoreUnavailableError
from sereno.store.errors import answered
from sereno.store.session import NodeSession

from ..servers.lines import whole_lines
from ..servers.waiting import wait_until
from .node import looking, running

Run = RunContext[dict[str, Any]]

_NEVER = threading.Event()


def stay(run: Run) -> int:
    """Say who works; stay, on the first attempt, for ever."""
    with Path(run.params["notes"]).open("a") as notes:
        print(run.attempt, os.getpid(), file=notes, flush=True)
    while run.attempt == 1:
        _NEVER.wait(1)
    return run.attempt


again = job("t.again", executor="far", on_lost="retry")(stay)
once = job("t.once", executor="far", on_lost="fail")(stay)


@hookimpl
def sereno_register_executors() -> dict[str, Executor]:
    return {"far": InProcess(2, warm=True, strict=True)}


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Nodes take themselves for cut off while the list's one entry is true."""
    found = [False]
    monkeypatch.setattr(Status, "in_touch", lambda self: not found[0])
    return found


async def test_what_works_on_a_node_that_is_cut_off_ends_as_its_job_says(
    database: str, tmp_path: Path, cut: list[bool]
) -> None:
    plugin = SimpleNamespace(sereno_register_executors=sereno_register_executors)
    async with (
        running(database, again, once, plugins=[("farmer", plugin)]),
        looking(database) as eye,
    ):
        notes = {name: tmp_path / name for name in ("t.again", "t.once")}
        runs = {name: await eye.enqueue(name, f'{{"notes": "{notes[name]}"}}') for name in notes}
        begun = "SELECT count(*) = 2 FROM sereno.run WHERE state = 'running'"
        await eye.until(begun)
        await asyncio.to_thread(wait_until, lambda: all(map(whole_lines, notes.values())), "both")
        cut[0] = True
        row = await eye.over(runs["t.once"])
        assert (row["state"], row["attempt"]) == ("lost", 1)
        assert row["error"] == "its node had heard nothing of the database, and ended it"
        await eye.until("SELECT attempt >= 2 FROM sereno.run WHERE id = $1", runs["t.again"])
        cut[0] = False
        row = await eye.over(runs["t.again"])
        assert row["state"] == "succeeded"
        assert row["attempt"] >= 2
        (first, pid), *_ = [line.split() for line in notes["t.again"].read_text().splitlines()]
        assert first == "1"
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
        assert len(notes["t.once"].read_text().splitlines()) == 1


async def tried(port: int, timeout: float) -> StoreUnavailableError:
    session = NodeSession(
        f"postgresql://postgres@127.0.0.1:{port}/postgres",
        lease=1,
        timeout=timeout,
        application="t",
    )
    with pytest.raises(StoreUnavailableError) as caught:
        await session.open(lambda message: None, lambda: None)
    return caught.value


async def test_a_server_that_refuses_is_in_reach_and_one_that_says_nothing_is_not() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not answered(await tried(silent.getsockname()[1], 0.1))
        gone = silent.getsockname()[1]
    assert answered(await tried(gone, 30))
    assert answered(PoolerError("it is one"))
    assert not answered(StoreUnavailableError("of ours"))


def test_a_node_is_in_touch_until_most_of_a_lease_was_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = Status(node=uuid4(), label="a", version="1")
    assert status.in_touch()
    status.heard = 100.0
    for now, there in ((100.0, True), (103.9, True), (104.1, False)):
        monkeypatch.setattr("sereno.engine.status.steady", lambda now=now: now)
        assert status.in_touch() is there
