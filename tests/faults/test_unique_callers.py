"""Of two programs that ask for one run at once, one gives it, whichever of them is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from ..servers.locks import BLOCKED
from ..servers.waiting import wait_until
from ..servers.warm_python import python_process
from .asking import value
from .process import ROOT

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
KNOWN = """
INSERT INTO sereno.job (name, plugin, policies) VALUES ('chain.up', 'chaos', '{}')
ON CONFLICT DO NOTHING
"""


class Asker:
    """A program that asks for the run, and waits to be told to go on."""

    def __init__(self, dsn: str, driver: str, level: str) -> None:
        self.popen = python_process(
            [sys.executable, "-m", "tests.faults.asker", driver, dsn, level],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def heard(self) -> str:
        """Return the next line that it says."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def goes_on(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def answer(self) -> dict[str, Any]:
        return dict(json.loads(self.heard()))


@contextmanager
def asking(dsn: str, *callers: tuple[str, str]) -> Iterator[list[Asker]]:
    """Start programs, each with its driver and level, and leave none behind."""
    with ExitStack() as stack:
        found = []
        for driver, level in callers:
            asker = Asker(dsn, driver, level)
            stack.enter_context(asker.popen)  # closes its pipes and waits for it
            stack.callback(asker.popen.kill)
            found.append(asker)
        for asker in found:
            assert asker.heard() == "open"
        yield found


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("drivers", [("psycopg", "asyncpg"), ("asyncpg", "psycopg")])
@pytest.mark.parametrize("killed", [True, False])
def test_of_two_at_once_one_gives_the_run_and_the_other_is_told(
    database: str, drivers: tuple[str, str], level: str, killed: bool
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(KNOWN)
    with asking(database, *((driver, level) for driver in drivers)) as (one, other):
        one.goes_on()
        first = one.answer()
        assert first["new"]
        other.goes_on()
        wait_until(lambda: value(database, BLOCKED), "the second to wait for the first")
        if killed:
            one.popen.kill()
        else:
            one.goes_on()
            assert one.heard() == "committed"
        second = other.answer()
        if killed:
            assert second["new"], "nobody else has it"
            kept = second["run_id"]
        else:
            kept = first["run_id"]
            if level == "READ COMMITTED":
                assert (second["run_id"], second["new"]) == (kept, False)
            else:
                assert second == {"refused": "40001"}, "a stricter one is to try again"
        if "refused" not in second:
            other.goes_on()
            assert other.heard() == "committed"
    assert value(database, "SELECT array_agg(id) FROM sereno.run") == [kept]
    with asking(database, (drivers[0], level)) as (again,):
        again.goes_on()
        found = again.answer()
        assert (found["run_id"], found["new"]) == (kept, False)


@pytest.mark.parametrize("level", LEVELS)
def test_who_is_killed_as_it_waits_leaves_the_run_to_the_other(database: str, level: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(KNOWN)
    with asking(database, ("psycopg", level), ("asyncpg", level)) as (one, other):
        one.goes_on()
        first = one.answer()
        other.goes_on()
        wait_until(lambda: value(database, BLOCKED), "the second to wait for the first")
        other.popen.kill()
        one.goes_on()
        assert one.heard() == "committed"
    ids = "SELECT array_agg(id) FROM sereno.run"
    assert value(database, ids) == [first["run_id"]]
