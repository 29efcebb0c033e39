"""A run at work that neither ends nor says anything is told, once, and again as it speaks."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sereno import Client, DeclarationError, RunContext, every, job, schedule
from sereno.observe.health import health
from sereno.observe.job_watch import Glance
from sereno.store.snapshot import snapshot

from .node import Eye, LiveNode, running

Run = RunContext[dict[str, Any]]


def held(run: Run, name: str) -> None:
    """Return once the file is there, or the run is told to stop."""
    while not Path(run.params[name]).exists():
        run.check()
        time.sleep(0.01)


def waits(run: Run) -> None:
    """Say nothing until told to, then one word, and nothing again until told to end."""
    held(run, "first")
    getattr(run, run.params["by"])(*run.params["words"])
    held(run, "last")


def logs(run: Run) -> None:
    """Do the same, and say a line that is not kept."""
    held(run, "first")
    run.log.info("on it goes")
    held(run, "last")


async def waits_in_the_loop(run: Run) -> None:
    """Do the same in the loop, which it does not hold up."""
    await asyncio.to_thread(held, run, "first")
    getattr(run, run.params["by"])(*run.params["words"])
    await asyncio.to_thread(held, run, "last")


class Pipes:
    """What holds a job up, whatever process it works in."""

    def __init__(self, place: Path) -> None:
        self.names = {name: str(place / name) for name in ("first", "last")}

    async def open(self, name: str) -> None:
        """Let the job go on that reads this one."""
        await asyncio.to_thread(Path(self.names[name]).touch)


@pytest.fixture
def pipes(tmp_path: Path) -> Pipes:
    return Pipes(tmp_path)


async def asked(client: Client, eye: Eye, name: str, pipes: Pipes, *said: Any) -> int:
    """Queue a run of the job `name` that says `said`: a method of its context, and arguments."""
    await eye.known(name)
    by, *words = said or ("progress", 1)
    return await client.enqueue(name, {**pipes.names, "by": by, "words": words})


def told(node: LiveNode) -> list[bool]:
    """Return what is heard and not waited for, of runs that stall: whether it is over."""
    return [facts["resolved"] for name, facts in node.heard.said if name == "RunStalled"]


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_one_that_says_nothing_is_told_once_and_again_as_it_speaks(
    database: str, eye: Eye, pipes: Pipes, executor: Any
) -> None:
    function = waits_in_the_loop if executor == "async" else waits
    silent = job("t.silent", stalled_after="1.5s", executor=executor)(function)
    lease = timedelta(seconds=30)  # that the cluster is well, but for this run
    async with (
        running(database, silent, lease=lease) as node,
        Client.open(database) as client,
    ):
        run_id = await asked(client, eye, "t.silent", pipes)
        event = await node.heard.wait("RunStalled", limit=45, run_id=run_id)
        assert event["job"] == "t.silent"
        assert event["silent"].total_seconds() >= 1.5
        assert not event["resolved"]
        await eye.until("SELECT count(*) FROM sereno.stall")
        assert node.kernel.runner is not None
        for _ in range(10):
            node.kernel.runner._stalls.poll()
        assert told(node) == []

        found = await client.run(run_id)
        assert found.stalled_since is not None
        assert found.stalled_since < found.now
        assert [line.message for line in found.lines] == [
            "this run has said nothing for 1s500ms, its stalled_after"
        ]
        (listed,) = (await client.runs()).items
        assert listed.stalled_since == found.stalled_since
        seen = await snapshot(node.kernel.db)
        facts = seen.jobs["t.silent"]
        assert (facts.stalled, facts.stalled_run) == (1, run_id)
        report = health(node.status, Glance(snapshot=seen, now=seen.now, error=None), [])
        assert f"run {run_id} of job 't.silent' has said nothing for" in str(report["problems"])
        assert report["status"] == "degraded"

        await pipes.open("first")
        await node.heard.wait("RunStalled", resolved=True, limit=45)
        await eye.until("SELECT count(*) = 0 FROM sereno.stall")
        await pipes.open("last")
        ended = await client.wait(run_id, timeout="45s")
        assert (ended.state, ended.stalled_since) == ("succeeded", None)
        assert (await snapshot(node.kernel.db)).jobs["t.silent"].stalled == 0
        await eye.until("SELECT count(*) = 0 FROM sereno.stall")


@pytest.mark.parametrize("said", [("checkpoint", 5), ("warn", "look"), ("progress", 0.5)])
async def test_whatever_it_says_counts(
    database: str, eye: Eye, pipes: Pipes, said: tuple[Any, ...]
) -> None:
    silent = job("t.silent", stalled_after="1s")(waits)
    async with running(database, silent) as node, Client.open(database) as client:
        await asked(client, eye, "t.silent", pipes, *said)
        await node.heard.wait("RunStalled", resolved=False, limit=45)
        await pipes.open("first")
        await node.heard.wait("RunStalled", resolved=True, limit=45)
        await pipes.open("last")
        await node.finished("t.silent")


@pytest.mark.parametrize("level", ["error", None])
async def test_a_line_counts_whether_it_is_kept_or_not(
    database: str, eye: Eye, pipes: Pipes, level: Any
) -> None:
    silent = job("t.silent", stalled_after="1s", log_level=level)(logs)
    async with running(database, silent) as node, Client.open(database) as client:
        run_id = await asked(client, eye, "t.silent", pipes)
        await node.heard.wait("RunStalled", resolved=False, limit=45)
        await pipes.open("first")
        await node.heard.wait("RunStalled", resolved=True, limit=45)
        await pipes.open("last")
        await node.finished("t.silent")
        lines = [line.message for line in (await client.run(run_id)).lines]
        assert ("on it goes" in lines) == (level is None)


async def test_a_schedule_may_say_it_and_one_without_is_not_watched(
    database: str, eye: Eye, pipes: Pipes
) -> None:
    plain = job("t.plain")(waits)
    held = schedule(every("1s"), params={**pipes.names, "by": "progress", "words": [1]},
                    stalled_after="1s")  # fmt: skip
    silent = job("t.silent", schedule=held)(waits)
    async with running(database, plain, silent) as node:
        event = await node.heard.wait("RunStalled", limit=45)
        assert event["job"] == "t.silent"
        assert event["slot"] is not None
        await eye.value("SELECT sereno.enqueue('t.plain')")
        await node.finished("t.plain")  # its params lack a key
        assert node.kernel.runner is not None
        assert {w.claim.job for w in node.kernel.runner._stalls._watched.values()} == {"t.silent"}
        await pipes.open("first")
        await pipes.open("last")
        await node.finished("t.silent")


async def test_a_row_of_a_node_that_died_shows_nothing_and_goes_with_the_next(
    database: str, eye: Eye, pipes: Pipes
) -> None:
    plain, silent = job("t.plain")(waits), job("t.silent", stalled_after="1s")(waits)
    async with running(database, plain, silent) as node, Client.open(database) as client:
        run_id = await asked(client, eye, "t.plain", pipes)
        await eye.until("SELECT state = 'running' FROM sereno.run WHERE id = $1", run_id)
        await eye.value("INSERT INTO sereno.stall VALUES (gen_random_uuid(), $1, now())", run_id)
        await eye.value("INSERT INTO sereno.stall VALUES (gen_random_uuid(), -5, now())")
        assert (await snapshot(node.kernel.db)).jobs["t.plain"].stalled == 0
        assert (await client.run(run_id)).stalled_since is None
        next_id = await asked(client, eye, "t.silent", pipes)
        await node.heard.wait("RunStalled", run_id=next_id, limit=45)
        await eye.until("SELECT count(*) = 1 FROM sereno.stall")
        await pipes.open("first")
        await pipes.open("last")
        for name in ("t.plain", "t.silent"):
            await node.finished(name)


@pytest.mark.parametrize(
    ("said", "fault"), [("0s", "longer than nothing"), ("later", "'later'"), (True, "True")]
)
def test_a_bad_one_is_refused_in_a_sentence(said: Any, fault: str) -> None:
    with pytest.raises(DeclarationError, match=f"stalled_after is .*{fault}"):
        job("t.a", stalled_after=said)(waits)
