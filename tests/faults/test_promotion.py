"""A standby is promoted that lacks the last commits: what they held has happened all the same.

No run carries another's result, nothing that must not run twice is begun twice, no number is given
out again, and who looks is told.
"""

import asyncio
import json
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sereno.engine.verification import Account, verify
from sereno.store.pool import Database

from ..servers.lines import whole_lines
from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .asking import enqueue, value
from .process import Process, process

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240), pytest.mark.every_postgres]

FAR = 1_000_000_000
STRANGE = """
    SELECT count(*) FROM sereno.run
     WHERE state = 'succeeded'
       AND (result ->> 'token', (result ->> 'run')::bigint) IS DISTINCT FROM (token::text, id)
"""
DOUBTFUL = """
    SELECT (SELECT count(*) FROM sereno.slot WHERE reason LIKE 'it may have run%')
           + (SELECT coalesce(sum(slots), 0) FROM sereno.slot_range
               WHERE reason LIKE 'it may have run%')
"""
OPEN = "SELECT count(*) FROM sereno.run WHERE state = 'running' AND job = 'promoted.hold'"


@dataclass
class Pair:
    """A primary and what follows it, a replica that knows both, and what its jobs said."""

    primary: PostgresServer
    standby: PostgresServer
    notes: Path
    replicas: list[Process] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{hosts}/postgres"

    def noted(self, job: str = "") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in whole_lines(self.notes)]
        return [line for line in found if line["job"].endswith(job)]

    def more(self, job: str, count: int) -> None:
        """Wait until so many more attempts of `job` have begun."""
        enough = len(self.noted(job)) + count
        wait_until(lambda: len(self.noted(job)) >= enough, f"{count} more attempts of {job}")

    def lag(self, count: int = 8) -> None:
        """Let `count` runs of each job begin that the standby will never hear of."""
        wait_until(lambda: self.standby.has_all_of(self.primary), "the standby to follow")
        self.standby.deafen()
        for job in ("hold", "once", "again"):
            self.more(job, count)

    def promote(self) -> None:
        """Lose the primary, and go on with the standby."""
        self.primary.kill(signal.SIGKILL)
        self.standby.promote()

    def led_on(self, dsn: str) -> None:
        """Wait until runs of a later timeline have ended."""
        done = f"SELECT count(*) FROM sereno.run WHERE id > {FAR} AND state = 'succeeded'"
        wait_until(lambda: value(dsn, done) > 5, "runs with numbers of the later timeline")

    def account(self, dsn: str) -> Account:
        """Let go, and check everything: by the notes, by the database, by `sereno verify`."""
        Path(f"{self.notes}.go").touch()
        wait_until(lambda: value(dsn, OPEN) == 0, "all that held on to end")
        for replica in self.replicas:
            assert replica.popen.poll() is None
            ours = [n for n in replica.log.read_text().splitlines() if '"logger":"sereno' in n]
            assert [line for line in ours if "Traceback" in line or "KeyError" in line] == []
        assert value(dsn, STRANGE) == 0
        slots = defaultdict(set)
        for line in self.noted():
            slots[line["run"]].add(line["slot"])
        assert {run: told for run, told in slots.items() if len(told) > 1} == {}
        began = Counter(line["slot"] for line in self.noted("once"))
        assert {slot: times for slot, times in began.items() if times > 1} == {}
        return verified_now(dsn)


def verified_now(dsn: str) -> Account:
    """Return what ``sereno verify`` finds."""
    return asyncio.run(verified(dsn))


async def verified(dsn: str) -> Account:
    db = Database(dsn)
    await db.open()
    try:
        return await verify(db, timedelta(hours=1))
    finally:
        await db.close()


@pytest.fixture
def pair(private_postgres: PostgresServer, tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        standby = private_postgres.standby()
        stack.callback(standby.remove)
        found = Pair(private_postgres, standby, tmp_path / "notes")
        environment = {"NOTES": str(found.notes), "SERENO_THREADS": "200"}
        for _ in range(2):
            replica = process(found.dsn, tmp_path, "tests.faults.promoted", **environment)
            found.replicas.append(stack.enter_context(replica))
        for job in ("hold", "once", "again"):
            found.more(job, 3)
        yield found


def test_what_ran_in_lost_commits_is_no_other_s_result_and_begins_no_second_time(
    pair: Pair,
) -> None:
    pair.lag()
    pair.promote()
    dsn = pair.standby.dsn()
    pair.led_on(dsn)
    account = pair.account(dsn)
    assert account.holds, account.faults
    (told,) = account.timelines
    assert told.numbers["run.id"] > FAR
    doubt = (
        "SELECT count(*) FROM sereno.slot WHERE verdict = 'missed' AND reason LIKE 'it may have%'"
    )
    ranges = (
        "SELECT coalesce(sum(slots), 0) FROM sereno.slot_range WHERE reason LIKE 'it may have%'"
    )
    assert value(dsn, doubt) + value(dsn, ranges) >= 8
    terms = value(dsn, "SELECT max(term) FROM sereno.term")
    assert 1_000_000 < terms < 1_000_010


def test_what_was_asked_for_and_may_have_run_is_lost_and_says_so(pair: Pair) -> None:
    dsn = pair.primary.dsn()
    soon = "SELECT sereno.enqueue('promoted.asked', run_at => clock_timestamp() + interval '5 s')"
    late = "SELECT sereno.enqueue('promoted.asked', run_at => clock_timestamp() + interval '1 day')"
    asked = {value(dsn, soon) for _ in range(3)}
    later = value(dsn, late)
    pair.lag(count=1)
    wait_until(lambda: {n["run"] for n in pair.noted("asked")} == asked, "all to begin")
    pair.promote()
    dsn = pair.standby.dsn()
    pair.led_on(dsn)
    states = "SELECT count(*) FROM sereno.run WHERE id = ANY(%s) AND state = %s"
    assert value(dsn, states, list(asked), "lost") == 3
    error = value(dsn, "SELECT error FROM sereno.run WHERE id = %s", min(asked))
    assert error.startswith("it may have run: the database went on from an older state")
    assert value(dsn, states, [later], "queued") == 1
    told = [r for r in pair.replicas if r.lines("a run may have run already")]
    assert len(told) == 1
    assert pair.account(dsn).holds
    assert {line["run"] for line in pair.noted("asked")} == asked


def test_the_primary_that_comes_back_as_a_standby_is_not_written_and_may_take_over_again(
    pair: Pair,
) -> None:
    pair.lag(count=2)
    pair.promote()
    pair.led_on(pair.standby.dsn())
    pair.primary.follow(pair.standby)
    pair.more("once", 5)
    wait_until(lambda: pair.primary.has_all_of(pair.standby), "the old primary to follow")
    pair.primary.deafen()
    pair.more("once", 5)
    pair.standby.kill()
    pair.primary.promote()
    dsn = pair.primary.dsn()
    done = f"SELECT count(*) FROM sereno.run WHERE id > {2 * FAR} AND state = 'succeeded'"
    wait_until(lambda: value(dsn, done) > 5, "runs with numbers of the third timeline")
    account = pair.account(dsn)
    assert account.holds, account.faults
    assert [t.numbers["run.id"] // FAR for t in account.timelines] == [2, 1]


def test_a_replica_that_joins_in_between_has_no_other_s_place(pair: Pair, tmp_path: Path) -> None:
    """The one whose row is lost, and the one that comes at once, would have the same number."""
    pair.lag(count=1)
    environment = {"NOTES": str(pair.notes), "SERENO_THREADS": "200"}
    with process(pair.dsn, tmp_path, "tests.faults.promoted", **environment) as late:
        late.said("ready")
        pair.promote()
        dsn = pair.standby.dsn()
        with process(pair.dsn, tmp_path, "tests.faults.promoted", **environment) as last:
            last.said("ready")
            pair.led_on(dsn)
            keys = "SELECT count(DISTINCT key) FROM sereno.node WHERE left_at IS NULL"
            wait_until(lambda: value(dsn, keys) == 4, "four nodes with a number each")
            held = (
                "SELECT count(*) FROM pg_locks l JOIN sereno.node n ON l.objid = n.key::oid"
                " WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted"
            )
            wait_until(lambda: value(dsn, held) == 4, "four nodes that are present")
            for replica in (late, last):
                assert len(replica.lines("the session is lost")) < 5
            assert pair.account(dsn).holds


def test_a_promotion_that_loses_nothing_loses_nothing(pair: Pair) -> None:
    """Nobody can know that it did not: what must not run twice is still not begun."""
    wait_until(lambda: pair.standby.has_all_of(pair.primary), "the standby to follow")
    run = enqueue(pair.primary.dsn(), "promoted.hold")
    wait_until(lambda: pair.standby.has_all_of(pair.primary), "the standby to follow")
    pair.primary.stop()
    pair.standby.promote()
    dsn = pair.standby.dsn()
    pair.led_on(dsn)
    account = pair.account(dsn)
    assert account.holds, account.faults
    assert value(dsn, "SELECT state FROM sereno.run WHERE id = %s", run) == "succeeded"
    assert len(account.timelines) == 1
