"""A trigger of a plugin's kind is read wherever a schedule is, also where no job is asked for."""

import os
import sys
from datetime import timedelta

import pytest

from sereno.engine.verification import verify
from sereno.testing import declared
from sereno_sun import plugin

from ..servers.warm_python import python_run
from .scene import Scene, named, opened


@pytest.fixture
async def scene(database: str) -> Scene:
    declared(plugin)
    async with opened(database) as found:
        await found.declare("lights", "b", named("lights", "sun sunset 40.42 -3.7"), named("b"))
    return found


@pytest.mark.parametrize(
    "command",
    [["verify"], ["jobs"], ["next", "lights"], ["pause", "lights"], ["show", "lights", "--at=-1h"]],
    ids=lambda c: c[0],
)
def test_the_command_line_reads_it(scene: Scene, database: str, command: list[str]) -> None:
    environment = {**os.environ, "SERENO_DATABASE_URL": database}
    done = python_run([sys.executable, "-m", "sereno", *command], env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_verify_tells_of_a_schedule_that_cannot_be_read_and_holds_the_others(
    database: str,
) -> None:
    async with opened(database) as found:
        await found.declare("a", "b", named("a"), named("b"))
        await found.eye.execute(
            "UPDATE sereno.schedule_version v SET trigger = 'lunar full' FROM sereno.schedule s"
            " WHERE s.id = v.schedule_id AND s.name = 'a'"
        )
        account = await verify(found.db, timedelta(days=1))
    (fault,) = account.faults
    assert (fault.kind, fault.schedule) == ("unreadable", "a")
    assert "unknown kind 'lunar'" in fault.detail
    assert account.schedules == 2
    assert not account.holds
