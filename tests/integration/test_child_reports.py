"""What a child of the process executor says last is heard, whatever is said to it meanwhile."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno import InProcess, job
from sereno.engine.executors.wire import Alive
from sereno.testing import run_context

from ..servers.waiting import wait_until


class Marked(msgspec.Struct):
    mark: str
    go: str


@job("tests.child", params=Marked, executor="process")
def child(run: Any) -> str:
    made = Path(run.params.mark)
    made.with_suffix(".new").write_text(str(os.getpid()))
    made.with_suffix(".new").rename(made)
    while not Path(run.params.go).exists():
        threading.Event().wait(0.01)
    return "done"


def ended(pid: int) -> bool:
    """Tell whether a process is over, whether or not somebody has taken note of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.every_loop
async def test_a_word_to_a_child_that_has_ended_does_not_cost_its_result(
    database: str, tmp_path: Path
) -> None:
    """As to one that ended while its node was frozen, and is told then that the node lives."""
    mark, go = tmp_path / "mark", tmp_path / "go"
    run = run_context(child, Marked(str(mark), str(go)), database_url=database)
    executor = InProcess(1)
    executing = asyncio.ensure_future(executor.execute(child, run, child.policies))
    while not mark.exists():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (begun,) = executor._children.values()
    # From here on nothing is heard of it until it is spoken to: the loop is held.
    go.touch()
    wait_until(lambda: ended(int(mark.read_text())), "the child to end", 30)
    begun.send(Alive())

    assert (await executing).text == b'"done"'
