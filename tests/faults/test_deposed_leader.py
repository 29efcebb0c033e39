"""What a leader does that was deposed at the worst moment, and what the next one does about it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sereno import Job, RunContext, job
from sereno.engine.clock import steady
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity, NodeSession

from ..integration.node import looking, running

Run = RunContext[dict[str, Any]]
OLD, NEW = UUID(int=1), UUID(int=2)
LEASE = 60.0
"""Seconds: of sessions alone. A lease is over when a test says so, not when the machine is full."""


async def test_an_attempt_does_not_begin_once_its_node_trusts_itself_no_more(database: str) -> None:
    """As when the process was frozen between the claim and the start: the run may be another's."""
    made: list[int] = []

    @job("t.once")
    async def once(run: Run) -> None:
        made.append(run.attempt)

    async with running(database, once) as node, looking(database) as eye:
        first = await node.leads()
        leader, runner = node.kernel.leader, node.kernel.runner
        assert leader is not None
        assert runner is not None
        start, frozen = runner.start, iter([True])

        def start_frozen(*claimed: Any) -> None:
            if next(frozen, False):
                leader._trust.end()
            start(*claimed)

        runner.start = start_frozen  # type: ignore[method-assign]
        row = await eye.ran("t.once")
        assert row["state"] == "succeeded"
        assert row["term"] > first
    assert made == [1]


def _note(run: Run) -> int:
    with Path(run.params["file"]).open("a") as file:
        file.write(f"{run.attempt}\n")
    return run.attempt


@job("t.loop")
async def in_the_loop(run: Run) -> int:
    return _note(run)


@job("t.thread")
def in_a_thread(run: Run) -> int:
    return _note(run)


@job("t.process", executor="process")
def in_a_process(run: Run) -> int:
    return _note(run)


@pytest.mark.parametrize("made", [in_the_loop, in_a_thread, in_a_process], ids=lambda j: j.name)
async def test_a_function_is_not_called_once_its_node_may_have_lost_the_run(
    made: Job, database: str, tmp_path: Path
) -> None:
    """As when the process was frozen while the thread or the child process started."""
    async with running(database, made) as node, looking(database) as eye:
        await node.leads()
        leader, runner = node.kernel.leader, node.kernel.runner
        assert leader is not None
        assert runner is not None
        asked: list[float | None] = []

        class TooLateAtFirst:
            leading = True
            outcome_written = leader.outcome_written
            place_freed = leader.place_freed
            attempt_over = leader.attempt_over

            @property
            def trusted_until(self) -> float | None:
                asked.append(leader.trusted_until if asked else steady() - 0.001)
                return asked[-1]

        runner._lead = TooLateAtFirst()
        file = tmp_path / "notes"
        row = await eye.over(await eye.enqueue(made.name, json.dumps({"file": str(file)})))
        assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 1, 0)
        assert len(asked) == 2  # the first time it was too late, and the run was given back
        assert file.read_text() == "1\n"
        assert await eye.value("SELECT count(*) FROM sereno.attempt") == 0


@job("t.slow", executor="process")
def slow_to_start(run: Run) -> int:
    return run.attempt


async def test_a_child_that_starts_more_slowly_than_the_lease_begins_all_the_same(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its run would be given back again and again."""
    customize = tmp_path / "sitecustomize.py"
    customize.write_text("import threading; threading.Event().wait(2.5)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with running(database, slow_to_start) as node, looking(database) as eye:
        await node.leads()
        row = await eye.ran("t.slow")
        assert (row["state"], row["attempt"]) == ("succeeded", 1)
        begun = [name for name, facts in node.heard.said if name == "RunStarted"]
        assert len(begun) <= 1


@asynccontextmanager
async def _session(dsn: str, node: UUID) -> AsyncIterator[NodeSession]:
    session = NodeSession(dsn, lease=LEASE, timeout=1.0, application=f"sereno {node}")
    await session.open(lambda _: None, lambda: None)
    try:
        yield session
    finally:
        session.terminate()


async def _led_by_old(eye: asyncpg.Connection) -> int:
    """Have the database say that the node OLD leads; return the number of its presence lock."""
    await eye.execute("INSERT INTO sereno.term (term, node) VALUES (1, $1)", OLD)
    await eye.execute(
        "UPDATE sereno.leadership SET term = 1, node = $1, beat_at = clock_timestamp()", OLD
    )
    insert = "INSERT INTO sereno.node (id, label, pid, version) VALUES ($1, 'old', 1, '1')"
    return int(await eye.fetchval(f"{insert} RETURNING key", OLD))


async def test_a_leader_that_lives_but_lost_its_lock_is_given_time_to_hear_of_it(
    database: str,
) -> None:
    """Somebody terminated its backend: its lease is not over, and it may trust itself yet."""
    async with looking(database) as eye, _session(database, NEW) as new:
        key = await _led_by_old(eye.connection)
        me = NodeIdentity(NEW, key + 1)
        async with _session(database, NEW) as late:
            assert await late.predecessor_unaware(me)  # we came later: who knows if it is dead
        assert not await new.predecessor_unaware(me)  # it is dead: it has no connection
        pool = Database(database, application=f"sereno {OLD}")
        await pool.open()
        try:
            await pool.fetchval("fence", 1)  # a pool connects as it is used
            assert await new.predecessor_unaware(me)
            async with _session(database, OLD) as again:  # it came back, so it has heard
                assert await again.claim_presence(NodeIdentity(OLD, key))
                assert not await new.predecessor_unaware(me)
            await eye.until("SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'")
            assert await new.predecessor_unaware(me)
            await eye.connection.execute(
                "UPDATE sereno.leadership SET beat_at = beat_at - interval '1 h'"
            )
            assert not await new.predecessor_unaware(me)  # it has outlived its lease
            await eye.connection.execute("UPDATE sereno.leadership SET beat_at = clock_timestamp()")
            await eye.connection.execute("UPDATE sereno.term SET ended_at = clock_timestamp()")
            assert not await new.predecessor_unaware(me)  # it gave the lead up itself
        finally:
            await pool.close()


async def test_a_frozen_writer_s_open_fence_does_not_hold_the_next_term_up(database: str) -> None:
    """It holds the old term's row; its backend is ended, and what it wrote is undone."""
    async with looking(database) as eye, looking(database) as frozen, running(database) as old:
        term = await old.leads()
        async with running(database) as new:
            await eye.until("SELECT count(*) = 2 FROM sereno.node")
            await frozen.connection.execute("BEGIN")
            fence = "SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE"
            assert await frozen.value(fence, term) == term
            await frozen.connection.execute(
                "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
                f" VALUES (1, clock_timestamp(), 'ran', {term})"
            )
            await old.die()
            assert await new.leads() > term
            with pytest.raises(
                (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
            ):
                await frozen.connection.execute("COMMIT")
            assert await eye.value("SELECT count(*) FROM sereno.slot") == 0
