"""Whatever is broken of a Dask cluster, of its leader or its database, no run is lost or doubled.

The short form of ``make chaos ARGS="--dask"``; docs/failover.md shows what the long one measured.
"""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .chaos.on_dask import account
from .chaos.on_dask.program import SECTION, section, table, torment
from .chaos.program import with_section

AT = datetime(2026, 11, 21, 10, tzinfo=UTC)
LEASE = 3.0
INSTANTS = {7: AT, 8: AT + timedelta(seconds=1)}


@pytest.mark.fault
@pytest.mark.long(
    "tests/faults/test_chaos.py::test_whatever_stops_the_leader_nothing_is_lost_or_doubled"
)
@pytest.mark.timeout(300)
def test_whatever_is_broken_of_a_dask_cluster_nothing_is_lost_or_doubled() -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    asked = "--faults 4 --freeze 5 --cut 2"
    print(f"python -m tests.faults.chaos --dask --seed {seed} {asked}")
    verdict = torment(seed=seed, count=4, lease=LEASE, freeze=LEASE + 2, cut=2)
    told = section(verdict, asked, LEASE, 60.0)
    print(told)
    assert told.startswith(SECTION)
    assert not verdict.wrong
    assert len({trial.name for trial in verdict.trials}) == 4
    assert "slot lost" in table(verdict)


def line(token: str, word: str, attempt: int = 1, run: int = 7, slot: datetime = AT) -> Any:
    found = {"job": "dask.once", "run": run, "attempt": attempt, "token": token, "word": word}
    return {**found, "slot": slot.isoformat()}


def test_an_attempt_at_work_beside_the_next_is_found_once() -> None:
    lines = [line("a", "began"), line("a", "beat"), line("b", "began", 2)]
    assert [*account.of_work(lines, INSTANTS)] == []
    other = [line("c", "began", run=8), line("a", "beat"), line("b", "beat", 2), line("a", "ended")]
    (found,) = account.of_work([*lines, *other], INSTANTS)
    assert (found.kind, found.at) == ("at work twice", AT)


def test_what_began_twice_is_found() -> None:
    once = [line("a", "began"), line("b", "began", run=8, slot=INSTANTS[8])]
    assert [*account.of_beginnings(once, INSTANTS)] == []
    again = [*account.of_beginnings([*once, line("a", "began")], INSTANTS)]
    assert [f.kind for f in again] == ["begun twice"] * 2  # the attempt, and its slot
    (found,) = account.of_beginnings([*once, line("c", "began", 2)], INSTANTS)
    assert found.at == AT


def test_slots_that_did_not_run_and_runs_that_ended_otherwise_are_found() -> None:
    def slot(verdict: str, state: str | None, job: str = "dask.again") -> tuple[Any, ...]:
        return ("s", AT, verdict, None, 7, state, None, job)

    well = [slot("ran", "succeeded"), slot("late", "lost", "dask.once")]
    assert [*account.of_slots(well, [])] == []
    ill = [slot("ran", "lost"), slot("missed", None), slot("ran", "failed", "dask.once")]
    kinds = [f.kind for f in account.of_slots(ill, [("s", AT, 3, "missed")])]
    assert kinds == ["run lost", "slot lost", "run lost", "slot lost"]


def test_the_section_takes_the_place_of_the_one_before_or_stands_before_the_last() -> None:
    page = "# A\n\n## B\nb\n\n## What it was\nc\n"
    first = with_section(page, SECTION, f"{SECTION}\nold")
    assert first == f"# A\n\n## B\nb\n\n{SECTION}\nold\n\n## What it was\nc\n"
    assert with_section(first, SECTION, f"{SECTION}\nnew") == first.replace("old", "new")
    assert with_section("", SECTION, f"{SECTION}\nnew") == f"{SECTION}\nnew\n"


def test_a_brief_run_that_began_twice_or_ended_otherwise_is_found() -> None:
    brief = [{**line("a", "began"), "job": "dask.brief", "slot": None}]
    assert [*account.of_beginnings(brief, INSTANTS)] == []
    again = {**brief[0], "token": "b", "attempt": 2}
    (found,) = account.of_beginnings([*brief, again], INSTANTS)
    assert found.kind == "begun twice"
    rows = [(7, AT, "succeeded", None), (8, AT, "lost", None)]
    assert [*account.of_brief(rows)] == []
    (found,) = account.of_brief([*rows, (9, AT, "cancelled", "x")])
    assert found.kind == "run lost"
