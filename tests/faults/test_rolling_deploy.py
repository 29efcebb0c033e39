"""Old and new replicas work side by side while a deploy goes on, though the schema has grown."""

import shutil
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import ROOT, Process, process

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


def follows(ending: Process, *others: Process) -> Process:
    """Tell the leader `ending` to stop; return which of the others leads next."""
    before = [len(other.lines("leading")) for other in others]
    ending.signal(signal.SIGTERM)

    def leading() -> list[Process]:
        pairs = zip(others, before, strict=True)
        return [other for other, times in pairs if len(other.lines("leading")) > times]

    wait_until(leading, "another to lead")
    assert ending.end() == 0
    return leading()[0]


def test_replicas_of_two_versions_take_turns_and_lose_no_slot(
    database: str, newer: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        leader = stack.enter_context(process(database, tmp_path, JOBS))
        leader.said("leading")
        old = stack.enter_context(process(database, tmp_path, JOBS))
        old.said("ready")
        path = f"{newer}:{ROOT}"
        new = stack.enter_context(process(database, tmp_path, JOBS, PYTHONPATH=path))
        new.said("ready")
        assert new.said("migrated")["migration"].endswith("_pre_grown.sql")
        # The old one leads on, and one that must start again says why it does not.
        run = enqueue(database, "faults.long", '{"seconds": 0.1}')
        wait_until(lambda: state(database, run) == "succeeded", "a run of the old leader")
        assert not leader.lines("no longer leading")
        third = stack.enter_context(process(database, tmp_path, JOBS))
        assert third.end() == 1
        assert "upgrade this replica" in third.log.read_text()
        # Whoever leads next, old or new: the last one to lead is new.
        following = follows(leader, old, new)
        if following is old:
            assert follows(old, new) is new
        run = enqueue(database, "faults.long", '{"seconds": 0.1}')
        wait_until(lambda: state(database, run) == "succeeded", "a run of the new leader")
        fired = (
            "SELECT count(*) FROM sereno.slot s WHERE term = (SELECT max(term) FROM sereno.term)"
        )
        wait_until(lambda: value(database, fired) > 1, "slots of the new leader")
    assert value(database, LOST) == 0
