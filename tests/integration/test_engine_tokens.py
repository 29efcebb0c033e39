"""A node keeps an attempt that still works apart from another run that was given its number."""

import asyncio
from typing import Any

from sereno import RunContext, job

from .node import looking, running


async def test_a_number_that_comes_again_while_its_run_still_works_is_another_run(
    database: str,
) -> None:
    """As after a standby was promoted that lacked the last commits."""
    going = {"old": asyncio.Event(), "new": asyncio.Event()}
    begun: dict[str, RunContext[Any]] = {}
    ended = {"old": asyncio.Event(), "new": asyncio.Event()}

    @job("t.who", params=None)
    async def who(run: RunContext[Any]) -> str:
        name = run.params["who"]
        begun[name] = run
        try:
            await going[name].wait()
        except asyncio.CancelledError:
            await going["old"].wait()  # it takes its time to stop
        ended[name].set()
        return str(name)

    async with looking(database) as eye, running(database, who) as node:
        await node.leads()
        old = await eye.enqueue("t.who", '{"who": "old"}')
        await node.heard.wait("RunStarted", run_id=old, limit=10)
        await eye.connection.execute("DELETE FROM sereno.run")
        await eye.connection.execute(f"ALTER SEQUENCE sereno.run_id_seq RESTART WITH {old}")
        new = await eye.enqueue("t.who", '{"who": "new"}')
        assert new == old
        await node.heard.wait("RunStarted", run_id=new, limit=10)
        assert begun["old"].token != begun["new"].token
        assert len(node.kernel.runner.attempts) == 2
        node.kernel.runner.superseded([begun["old"].token])
        assert (begun["old"].cancelled, begun["new"].cancelled) == (True, False)
        going["old"].set()
        async with asyncio.timeout(10):
            await ended["old"].wait()
        assert await eye.value("SELECT state FROM sereno.run WHERE id = $1", new) == "running"
        going["new"].set()
        row = await eye.over(new)
        counts = await eye.rows("SELECT succeeded, lost FROM sereno.job_stat WHERE job = 't.who'")
        assert list(node.kernel.runner.attempts) == []
    assert (row["state"], row["result"]) == ("succeeded", '"new"')
    assert counts == [(1, 0)]
