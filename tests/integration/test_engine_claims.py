"""A claim whose answer was lost on the way: the run is this node's, and nobody attends to it."""

from typing import Any

from sereno import RunContext, job

from .node import looking, running


async def test_a_claim_whose_answer_was_lost_is_given_back_with_the_next_session(
    database: str,
) -> None:
    @job("t.quick")
    async def quick(run: RunContext[Any]) -> int:
        return run.attempt

    async with looking(database) as eye, running(database, quick) as node:
        await node.leads()
        run_id = await eye.value(
            "INSERT INTO sereno.run (job, cause, state, attempt, node, term, started_at) "
            "VALUES ('t.quick', 'program', 'running', 1, $1, 1, now()) RETURNING id",
            node.id,
        )
        await eye.value(
            "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()"
        )
        row = await eye.over(run_id, limit=10)
    assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 1, 0)
