"""Old and new replicas work side by side while a deploy goes on, though the schema has grown."""

import json
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import KEPT, ROOT, Process, process

JOBS = "tests.faults.jobs"
GROWN = """
    ALTER TABLE sereno.run ADD COLUMN later_one text NOT NULL DEFAULT 'new';
    ALTER TABLE sereno.slot ADD COLUMN later_one text;
    CREATE TABLE sereno.later (id bigint PRIMARY KEY);
"""
ELSEWHERE = """
    SELECT count(*) FROM sereno.run r, sereno.leadership l
     WHERE r.id > %s AND r.job = %s AND r.state = 'succeeded' AND r.node <> l.node
"""
LOST = """
    SELECT count(*) FROM generate_series(
        (SELECT min(slot) FROM sereno.slot), (SELECT max(slot) FROM sereno.slot), '1 s') due(slot)
     WHERE NOT EXISTS (SELECT 1 FROM sereno.slot s WHERE s.slot = due.slot)
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def kernel(place: Path, *texts: tuple[str, str]) -> str:
    """Return the PYTHONPATH of a kernel that has these migrations (name, text) more than ours."""
    shutil.copytree(ROOT / "kernel" / "sereno", place / "sereno")
    migrations = place / "sereno" / "store" / "migrations"
    for number, (name, text) in enumerate(texts, 9000):
        (migrations / f"{number}_{name}.sql").write_text(text)
    return f"{place}:{ROOT}"


def runs_go_on(dsn: str) -> None:
    """Wait until whoever leads has fired slots and had a run made."""
    run = enqueue(dsn, "faults.long", '{"seconds": 0.1}')
    wait_until(lambda: state(dsn, run) == "succeeded", "a run")
    fired = "SELECT count(*) FROM sereno.slot s WHERE term = (SELECT max(term) FROM sereno.term)"
    wait_until(lambda: value(dsn, fired) > 1, "slots of this leader")


def test_replicas_of_two_versions_take_turns_and_lose_no_slot_as_a_deploy_comes_and_is_undone(
    database: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(process(database, tmp_path, JOBS, **KEPT))
        old.said("leading")
        path = kernel(tmp_path / "newer", ("pre_grown", GROWN))
        new = stack.enter_context(process(database, tmp_path, JOBS, **KEPT, PYTHONPATH=path))
        new.said("ready")
        assert new.said("migrated")["migration"] == "9000_pre_grown.sql"
        runs_go_on(database)
        assert not old.lines("no longer leading")
        old.signal(signal.SIGKILL)
        new.said("leading")
        runs_go_on(database)
        again = stack.enter_context(process(database, tmp_path, JOBS, **KEPT))
        again.said("ready")
        told = again.said("the schema is of a newer version, made for this one too")
        assert told["migrations"] == ["9000_pre_grown.sql"]
        new.signal(signal.SIGTERM)
        assert new.end() == 0
        again.said("leading")
        runs_go_on(database)
    assert value(database, LOST) == 0


def test_what_a_killed_migrator_had_applied_stays_and_the_next_goes_on_from_there(
    database: str, tmp_path: Path
) -> None:
    grown, slow = ("pre_grown", GROWN), ("pre_slow", "CREATE TABLE sereno.slow (); SELECT {};")
    stuck = kernel(tmp_path / "stuck", grown, (slow[0], slow[1].format("pg_sleep(600)")))
    better = kernel(tmp_path / "better", grown, (slow[0], slow[1].format("1")))
    with ExitStack() as stack:
        old = stack.enter_context(process(database, tmp_path, JOBS, **KEPT))
        old.said("leading")
        killed = stack.enter_context(process(database, tmp_path, JOBS, **KEPT, PYTHONPATH=stuck))
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: value(database, asleep), "a migration under way")
        killed.signal(signal.SIGKILL)
        new = stack.enter_context(process(database, tmp_path, JOBS, **KEPT, PYTHONPATH=better))
        new.said("ready")
        assert [line["migration"] for line in new.lines("migrated")] == ["9001_pre_slow.sql"]
        runs_go_on(database)
        assert not old.lines("no longer leading")
    assert value(database, LOST) == 0


@contextmanager
def load(dsn: str, *jobs: str) -> Iterator[list[int]]:
    """Queue a run of each job again and again until the end of the block; give their numbers."""
    queued: list[int] = []
    over = threading.Event()

    def queue() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not over.wait(0.05):
                for name in jobs:
                    row = connection.execute("SELECT sereno.enqueue(%s)", (name,)).fetchone()
                    queued.append(row[0] if row else 0)

    thread = threading.Thread(target=queue)
    thread.start()
    try:
        yield queued
    finally:
        over.set()
        thread.join()


def test_three_versions_of_a_plugin_roll_out_under_load_and_work_goes_on_on_all_nodes(
    database: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    released = "SELECT count(*) FROM sereno.run WHERE job = %s AND result::int = %s"
    steady, changed = "released.steady", "released.changed"
    with ExitStack() as stack:

        def replica(release: int) -> Process:
            own = {**KEPT, "RELEASE": str(release), "NOTES": str(notes), "SERENO_THREADS": "1"}
            found = process(database, tmp_path, "tests.faults.released", **own)
            node = stack.enter_context(found)
            node.said("ready")
            return node

        def until_run_by(release: int) -> None:
            wait_until(
                lambda: value(database, released, changed, release), f"a run by release {release}"
            )

        replicas = [replica(1) for _ in range(3)]
        enqueue(database, changed)
        until_run_by(1)
        with load(database, steady, changed) as queued:
            wait_until(lambda: queued, "load")
            for release in (2, 3):
                for place, old in enumerate(replicas):
                    replicas[place] = replica(release)
                    after = queued[-1]
                    wait_until(
                        lambda after=after: value(database, ELSEWHERE, after, steady),
                        "a run on a node that does not lead",
                    )
                    old.signal(signal.SIGTERM)
                    assert old.end() == 0
                until_run_by(release)
        over = "SELECT count(*) FROM sereno.run WHERE state = 'succeeded' AND id = ANY (%s)"
        wait_until(lambda: value(database, over, queued) == len(queued), "all runs")
    rows = [json.loads(line) for line in notes.read_text().splitlines()]
    begun = Counter((row["run"], row["attempt"]) for row in rows)
    assert {begun[run, 1] for run in queued} == {1}
    assert max(begun.values()) == 1
    assert value(database, "SELECT max(attempt) FROM sereno.run") == 1
    assert value(database, LOST) == 0
