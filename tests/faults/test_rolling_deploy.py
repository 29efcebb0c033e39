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


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Give a kernel that is one migration ahead of ours: the directory to import it from."""
    place = tmp_path / "newer"
    shutil.copytree(ROOT / "kernel" / "sereno", place / "sereno")
    migrations = place / "sereno" / "store" / "migrations"
    last = max(int(path.name[:4]) for path in migrations.glob("*.sql"))
    (migrations / f"{last + 1:04d}_pre_grown.sql").write_text(GROWN)
    return place


def runs_go_on(dsn: str) -> None:
    """Wait until whoever leads has fired slots and had a run made."""
    run = enqueue(dsn, "faults.long", '{"seconds": 0.1}')
    wait_until(lambda: state(dsn, run) == "succeeded", "a run")
    fired = "SELECT count(*) FROM sereno.slot s WHERE term = (SELECT max(term) FROM sereno.term)"
    wait_until(lambda: value(dsn, fired) > 1, "slots of this leader")


def test_replicas_of_two_versions_take_turns_and_lose_no_slot_as_a_deploy_comes_and_is_undone(
    database: str, newer: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(process(database, tmp_path, JOBS))
        old.said("leading")
        path = f"{newer}:{ROOT}"
        new = stack.enter_context(process(database, tmp_path, JOBS, PYTHONPATH=path))
        new.said("ready")
        assert new.said("migrated")["migration"].endswith("_pre_grown.sql")
        runs_go_on(database)
        assert not old.lines("no longer leading")
        old.signal(signal.SIGKILL)
        new.said("leading")
        runs_go_on(database)
        again = stack.enter_context(process(database, tmp_path, JOBS))
        again.said("ready")
        told = again.said("the schema is of a newer version, made for this one too")
        assert [name[4:] for name in told["migrations"]] == ["_pre_grown.sql"]
        new.signal(signal.SIGTERM)
        assert new.end() == 0
        again.said("leading")
        runs_go_on(database)
    assert value(database, LOST) == 0
