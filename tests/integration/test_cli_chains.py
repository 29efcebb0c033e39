"""What the command line does with whole chains."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sereno.testing import Kernel

from ..servers.warm_python import python_run
from .test_fan_out import jobs, named
from .test_whole_chains import Broken, diamond


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def sereno(database: str, *args: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, and what it said."""
    environment = {**os.environ, "SERENO_DATABASE_URL": database, "SERENO_CONFIG": os.devnull}
    command = [sys.executable, "-m", "sereno", *args]
    done = await asyncio.to_thread(python_run, command, env=environment)
    return done.returncode, done.stdout, done.stderr


async def led(kernel: Kernel, waiting: Any) -> Any:
    """Run what is queued until `waiting` is over."""
    task = asyncio.ensure_future(waiting)
    while not task.done():
        await kernel.drain()
        await asyncio.wait({task}, timeout=0.05)
    return task.result()


async def test_a_chain_is_waited_for_and_the_worst_is_the_exit_code(sereno_database: str) -> None:
    broken = Broken("d.c")
    async with Kernel(*diamond(broken), database=sereno_database) as kernel:
        asked = sereno(sereno_database, "trigger", "d.a", "--wait", "--chain", "--timeout", "1m")
        code, out, err = await led(kernel, asked)
        assert (code, err) == (1, "")
        first, *steps = [line.split(" after ")[0].split(maxsplit=2) for line in out.splitlines()]
        assert first == ["run", "1", "d.a succeeded"]
        assert sorted(step[2] for step in steps) == ["d.b succeeded", "d.c failed"]
        (failed,) = [int(step[1]) for step in steps if step[2] == "d.c failed"]
        broken.names.clear()
        code, out, _ = await sereno(sereno_database, "retry", "2", "--chain")
        again = f"run 4 is queued, with the params of run {failed}"
        assert (code, out.splitlines()[0]) == (0, again)
        asked = sereno(sereno_database, "retry", "2", "--chain", "--json")
        code, _, err = await led(kernel, asked)
        assert code == 1
        assert "no step of the chain of run 2 has failed" in err
        code, out, _ = await sereno(sereno_database, "show", "4", "--chain", "--json")
        found = json.loads(out)
        assert (code, found["succeeded"], found["repeated"]) == (0, True, [failed])
        assert {one["job"] for one in found["runs"]} == {"d.a", "d.b", "d.c", "d.d"}


async def test_a_chain_is_cancelled_and_shown(sereno_database: str) -> None:
    async with Kernel(
        *jobs([], named("a", "b", failing=("b",))), database=sereno_database
    ) as kernel:
        await kernel.client.enqueue("site.all")
        code, out, _ = await sereno(sereno_database, "cancel", "1", "--chain", "--reason", "no")
        assert code == 0
        assert out == (
            "the chain of run 1 is cancelled: 1 runs that waited, and 0 under way are asked to"
            " stop; nothing follows\n"
        )
        code, _, err = await sereno(sereno_database, "cancel", "1", "--chain")
        assert code == 1
        assert "the chain of run 1 is over already" in err
        await kernel.client.retry_chain(1)
        await kernel.drain()
        code, out, _ = await sereno(sereno_database, "show", "2", "--chain")
        assert out.splitlines()[0].startswith("run 1 site.all cancelled")
        assert "    2 runs of site.pull: 1 succeeded, 1 did not, 0 to come; then site.report" in out
        assert "run 5 site.report failed" in out
        code, out, _ = await sereno(sereno_database, "verify")
        assert "1 fan-outs: 1 have what follows, once" in out


async def test_a_run_alone_is_told_of(sereno_database: str) -> None:
    async with Kernel(*diamond(Broken()), database=sereno_database):
        code, out, _ = await sereno(sereno_database, "trigger", "d.a", "--alone")
        assert (code, out) == (
            0,
            "run 1 of job 'd.a' is queued, alone; `sereno show 1` tells of it\n",
        )
        _, out, _ = await sereno(sereno_database, "show", "1")
        assert "what is chained after it does not run" in out


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("trigger", "d.a", "--chain"), "--chain says what --wait waits for"),
        (("trigger", "d.a", "--alone", "--wait", "--chain"), "nothing follows --alone"),
        (("cancel", "--chain", "--job", "d.a", "--yes"), "--chain is of one run; name it"),
        (("retry", "--chain"), "--chain is of one run"),
        (("retry", "1", "--chain", "-p", "a=b"), "takes no -p"),
        (("show", "d.a", "--chain", "--at", "08:00"), "'d.a' is no number of a run"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    sereno_database: str, args: tuple[str, ...], why: str
) -> None:
    code, _, err = await sereno(sereno_database, *args)
    assert code == 2
    assert why in " ".join(err.split())
