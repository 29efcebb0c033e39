"""Runs that the database says are this node's, and that it has no memory of: they may have run."""

from typing import Any

from sereno import RunContext, job

from .node import looking, running

UNKNOWN = """
INSERT INTO sereno.run (job, cause, state, attempt, node, term, token, started_at)
VALUES ($1, 'program', 'running', 1, $2, 1, gen_random_uuid(), now()) RETURNING id
"""
LOST = """
UPDATE sereno.run SET state = 'running', finished_at = NULL, result = NULL;
"""
CUT = """
SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l
 WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
"""

SOON = 25.0
"""Seconds within which the next session has it: a node looks by itself once half a minute is over.
"""


async def test_a_claim_whose_answer_was_lost_is_given_back_with_the_next_session(
    database: str,
) -> None:
    @job("t.quick")
    async def quick(run: RunContext[Any]) -> int:
        return run.attempt

    async with looking(database) as eye, running(database, quick) as node:
        await node.leads()
        await eye.known("t.quick")
        run_id = await eye.value(UNKNOWN, "t.quick", node.id)
        await eye.value(CUT)
        row = await eye.over(run_id, limit=SOON)
    assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 1, 0)


async def test_a_run_whose_outcome_the_database_has_lost_is_tried_again_and_its_attempt_counts(
    database: str,
) -> None:
    begun: list[int] = []

    @job("t.quick")
    async def quick(run: RunContext[Any]) -> int:
        begun.append(run.attempt)
        return run.attempt

    async with looking(database) as eye, running(database, quick) as node:
        await node.leads()
        row = await eye.ran("t.quick")
        await node.finished("t.quick")  # it knows that the outcome is written
        await eye.connection.execute(LOST)
        await eye.value(CUT)
        row = await eye.over(row["id"], limit=SOON)
        (first,) = await eye.rows("SELECT attempt, state, error FROM sereno.attempt")
    assert (row["state"], row["attempt"], row["losses"], row["result"]) == ("succeeded", 2, 1, "2")
    assert first[:2] == (1, "lost")
    assert "may have run" in first[2]
    assert begun == [1, 2]


async def test_one_that_may_not_run_twice_is_lost_when_its_outcome_was(database: str) -> None:
    begun: list[int] = []

    @job("t.once", on_lost="fail")
    async def once(run: RunContext[Any]) -> None:
        begun.append(run.run_id)

    async with looking(database) as eye, running(database, once) as node:
        await node.leads()
        row = await eye.ran("t.once")
        await node.finished("t.once")
        await eye.connection.execute(LOST)
        await eye.value(CUT)
        row = await eye.over(row["id"], limit=SOON)
    assert (row["state"], row["attempt"], row["losses"]) == ("lost", 1, 1)
    assert "may have run" in row["error"]
    assert begun == [row["id"]]


async def test_one_that_may_not_run_twice_is_lost_when_nobody_knows_of_it(
    database: str,
) -> None:
    begun: list[int] = []

    @job("t.once", on_lost="fail")
    async def once(run: RunContext[Any]) -> None:
        begun.append(run.run_id)

    async with looking(database) as eye, running(database, once) as node:
        await node.leads()
        await eye.known("t.once")
        run_id = await eye.value(UNKNOWN, "t.once", node.id)
        await eye.value(CUT)
        row = await eye.over(run_id, limit=SOON)
        lost, last = (
            await eye.rows("SELECT lost, last_run FROM sereno.job_stat WHERE job = 't.once'")
        )[0]
    assert (row["state"], row["losses"], begun) == ("lost", 1, [])
    assert "may have run" in row["error"]
    assert (lost, last) == (1, run_id)
