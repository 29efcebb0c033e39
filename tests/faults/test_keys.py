"""So many runs of a key work at once and no more, and keys take turns, whatever ends the leader."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from .asking import enqueue, value
from .chaining_scene import TERM, Chaining, chaining

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

LIMIT = 3
MANY = "SELECT sereno.enqueue('chain.keyed', '{{\"key\": \"{key}\"}}') FROM generate_series(1, {n})"
DONE = "SELECT count(*) = {n} FROM sereno.run WHERE job = 'chain.keyed' AND state = 'succeeded'"
HELD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 0 AND granted"
FAR = "SELECT count(*) >= {n} FROM sereno.run WHERE job = 'chain.keyed' AND state = 'succeeded'"


@pytest.fixture
def scene(database: str, tmp_path: Path) -> Iterator[Chaining]:
    """Three replicas that run ten at once."""
    with chaining(database, tmp_path, SERENO_MAX_RUNNING="10") as found:
        found.start(3)
        yield found


def most_at_once(lines: list[dict[str, Any]], key: str) -> int:
    """Return how many attempts with `key` worked at once at the most, by what they said.

    One whose process was killed or frozen is over with it: frozen, it does nothing, and is lost.
    """
    at_work: set[tuple[int, int, int]] = set()
    most = 0
    for line in lines:
        if line["event"] == "cut":
            at_work = {one for one in at_work if one[0] != line["pid"]}
        elif line.get("key") == key:
            one = (line["pid"], line["run"], line["attempt"])
            (at_work.add if line["event"] == "begin" else at_work.discard)(one)
            most = max(most, len(at_work))
    return most


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_never_more_of_a_key_than_its_limit_work_whatever_ends_the_leader(
    scene: Chaining, fault: signal.Signals
) -> None:
    enqueue(scene.dsn, "chain.keyed", '{"key": "a"}')
    scene.do(MANY.format(key="a", n=99))
    scene.do(MANY.format(key="b", n=100))
    for far in (40, 100):
        scene.until(FAR.format(n=far), f"{far} runs")
        term = value(scene.dsn, TERM)
        struck = scene.struck(fault)
        scene.follows(term)
        if fault == signal.SIGSTOP:
            struck.signal(signal.SIGCONT)
    scene.until(DONE.format(n=200), "all runs")
    lines = scene.noted()
    assert [most_at_once(lines, key) for key in "ab"] == [LIMIT, LIMIT]
    assert len({x["run"] for x in scene.noted("chain.keyed")}) == 200
    scene.holds()


def test_keys_take_turns_under_the_next_leader_too(scene: Chaining) -> None:
    enqueue(scene.dsn, "chain.keyed", '{"key": "large"}')
    scene.do(MANY.format(key="large", n=299))
    scene.until(FAR.format(n=30), "some of the large key")
    term = value(scene.dsn, TERM)
    # They are there before another leads, however full the machine.
    with psycopg.connect(scene.dsn) as other:
        for n in range(20):
            other.execute(MANY.format(key=f"small {n}", n=1).encode())
        scene.struck(signal.SIGSTOP)
    scene.follows(term)
    waited = "SELECT count(*) = 20 FROM sereno.run WHERE concurrency_key LIKE 'k-small%'"
    scene.until(f"{waited} AND state = 'succeeded'", "each small key")
    lines = scene.noted()
    cut = next(n for n, line in enumerate(lines) if line["event"] == "cut")
    order = [x["key"] for x in lines[cut:] if x["event"] == "begin" and "key" in x]
    last = max(n for n, key in enumerate(order) if key != "large")
    # Of 20 keys and one more each has a place before any has its second; at most as many of the
    # large one begin before as there were places when the small ones came.
    assert order[: last + 1].count("large") <= 20, order[: last + 1]


@pytest.mark.parametrize("ended", [False, True])
def test_what_works_on_after_its_timeout_keeps_its_place_under_the_next_leader(
    scene: Chaining, ended: bool
) -> None:
    first, second = [enqueue(scene.dsn, "chain.straggler") for _ in range(2)]
    scene.until(f"SELECT state = 'timed_out' FROM sereno.run WHERE id = {first}", "the timeout")
    term, leader = value(scene.dsn, TERM), scene.leader()
    if ended:
        scene.struck(signal.SIGKILL)  # it is over with its process
    else:
        leader.signal(signal.SIGSTOP)
        scene.do(f"SELECT pg_terminate_backend(({HELD}))")
        scene.follows(term)
        leader.signal(signal.SIGCONT)
    scene.follows(term)
    other = enqueue(scene.dsn, "chain.keyed", '{"key": "a"}')
    scene.until(f"SELECT state = 'succeeded' FROM sereno.run WHERE id = {other}", "another key")
    if ended:
        scene.until(f"SELECT state <> 'queued' FROM sereno.run WHERE id = {second}", "its turn")
    else:
        assert [x["run"] for x in scene.noted("chain.straggler")] == [first]
    scene.let_go()
    scene.until(f"SELECT finished_at IS NOT NULL FROM sereno.run WHERE id = {second}", "the second")
    assert most_at_once(scene.noted(), "s") == 1
    scene.holds()
