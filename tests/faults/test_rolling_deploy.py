"""Old and new replicas work side by side while a deploy goes on, though the schema has grown."""

import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import ROOT, process

JOBS = "tests.faults.jobs"
GROWN = """
    ALTER TABLE sereno.run ADD COLUMN later_one text NOT NULL DEFAULT 'new';
    ALTER TABLE sereno.slot ADD COLUMN later_one text;
    CREATE TABLE sereno.later (id bigint PRIMARY KEY);
"""
LOST = """
    SELECT count(*) FROM generate_series(
        (SELECT min(slot) FROM sereno.slot), (SELECT max(slot) FROM sereno.slot), '1 s') due(slot)
     WHERE NOT EXISTS (SELECT 1 FROM sereno.slot s WHERE s.slot = due.slot)
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


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
        old = stack.enter_context(process(database, tmp_path, JOBS))
        old.said("leading")
        path = kernel(tmp_path / "newer", ("pre_grown", GROWN))
        new = stack.enter_context(process(database, tmp_path, JOBS, PYTHONPATH=path))
        new.said("ready")
        assert new.said("migrated")["migration"] == "9000_pre_grown.sql"
        runs_go_on(database)
        assert not old.lines("no longer leading")
        old.signal(signal.SIGKILL)
        new.said("leading")
        runs_go_on(database)
        again = stack.enter_context(process(database, tmp_path, JOBS))
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
        old = stack.enter_context(process(database, tmp_path, JOBS))
        old.said("leading")
        killed = stack.enter_context(process(database, tmp_path, JOBS, PYTHONPATH=stuck))
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: value(database, asleep), "a migration under way")
        killed.signal(signal.SIGKILL)
        new = stack.enter_context(process(database, tmp_path, JOBS, PYTHONPATH=better))
        new.said("ready")
        assert [line["migration"] for line in new.lines("migrated")] == ["9001_pre_slow.sql"]
        runs_go_on(database)
        assert not old.lines("no longer leading")
    assert value(database, LOST) == 0
