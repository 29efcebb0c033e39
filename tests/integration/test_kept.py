"""A job says what is kept of its runs: their result, and their lines from which level on."""

from typing import Any

import pytest

from sereno import Client, RunContext, job

from .node import Eye, running
from .test_start_by import registered

Run = RunContext[dict[str, Any]]


def quick(run: Run) -> Any:
    """Return what is no JSON, after words of each level."""
    for level in ("debug", "info", "warning", "error"):
        getattr(run.log, level)(level)
    print("printed")
    run.warn("look here")
    return {"rows": 3, "more": object()}


async def quick_async(run: Run) -> Any:
    """Do the same in the loop."""
    return quick(run)


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_a_result_that_is_not_to_be_kept_is_neither_encoded_nor_written(
    database: str, eye: Eye, executor: Any
) -> None:
    function = quick_async if executor == "async" else quick
    pull = job("t.pull", keep_result=False, executor=executor)(function)
    seen = []

    async def after(run: Run) -> None:
        seen.append(run.upstream)

    then = job("t.then", after=["t.pull"])(after)
    async with running(database, pull, then) as node, Client.open(database) as client:
        await registered(eye, 2)
        run_id = await client.enqueue("t.pull")
        ended = await client.wait(run_id, timeout="20s")
        assert (ended.state, ended.result, ended.error) == ("succeeded", None, None)
        assert await eye.value("SELECT result IS NULL FROM sereno.run WHERE id = $1", run_id)
        heard = await node.finished("t.pull")
        assert heard["result"] is None
        await node.finished("t.then")
        assert seen == [{"t.pull": None}]


@pytest.mark.parametrize("executor", ["async", "thread", "process"])
async def test_lines_below_a_jobs_log_level_are_not_kept(
    database: str, eye: Eye, executor: Any
) -> None:
    function = quick_async if executor == "async" else quick
    poll = job("t.poll", keep_result=False, log_level="warning", executor=executor)(function)
    async with running(database, poll), Client.open(database) as client:
        await registered(eye, 1)
        ended = await client.wait(await client.enqueue("t.poll"), timeout="20s")
        assert [line.message for line in ended.lines] == ["warning", "error", "look here"]
        assert [warning.message for warning in ended.warned] == ["look here"]
