"""A database is restored to a point in time, dumped, copied, or goes over to another server.

Real servers and real replicas, as docs/backup.md, docs/new-cluster.md and docs/switch-over.md say.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ..servers.connections import let_go
from ..servers.lines import whole_lines
from ..servers.postgres import PostgresServer
from ..servers.recovery import Archive
from ..servers.waiting import wait_until
from ..servers.warm_python import python_run
from .asking import do, value
from .process import Process, process
from .test_promotion import FAR, STRANGE, verified_now

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

JOBS = ("hold", "once", "again")
LED = f"SELECT count(*) FROM sereno.run WHERE id > {FAR} AND state = 'succeeded'"


class Site:
    """What replicas of one cluster are given, and what their jobs noted."""

    def __init__(self, dsn: str, place: Path, **environment: str) -> None:
        self.dsn, self.notes = dsn, place / "notes"
        self.place = place
        place.mkdir()
        self.environment = {"NOTES": str(self.notes), "SERENO_THREADS": "200", **environment}

    def start(self, stack: ExitStack) -> Process:
        replica = process(self.dsn, self.place, "tests.faults.promoted", **self.environment)
        return stack.enter_context(replica)

    def noted(self, job: str = "") -> list[dict[str, Any]]:
        found = [json.loads(line) for line in whole_lines(self.notes)]
        return [line for line in found if line["job"].endswith(job)]

    def more(self, count: int = 3) -> None:
        """Wait until so many more attempts of each job have begun."""
        enough = {job: len(self.noted(job)) + count for job in JOBS}
        wait_until(
            lambda: all(len(self.noted(job)) >= n for job, n in enough.items()),
            f"{count} more attempts of each job in {self.notes}",
        )

    def let_go(self) -> None:
        Path(f"{self.notes}.go").touch()

    def call(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Call ``sereno`` on this database."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SERENO_")}
        command = [sys.executable, "-m", "sereno", "--database-url", self.dsn, *args]
        return python_run(command, env=environment, cwd=self.place)

    def holds(self) -> None:
        """Check what must be so of any cluster, whatever its database went through."""
        assert value(self.dsn, STRANGE) == 0
        began = Counter(line["slot"] for line in self.noted("once"))
        assert {slot: times for slot, times in began.items() if times > 1} == {}
        account = verified_now(self.dsn)
        assert account.holds, account.faults


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


@pytest.fixture
def site(private_postgres: PostgresServer, tmp_path: Path) -> Site:
    return Site(private_postgres.dsn(), tmp_path / "old")


def test_a_server_goes_back_to_a_point_in_time_and_numbers_and_slots_go_on(
    private_postgres: PostgresServer, site: Site, stack: ExitStack
) -> None:
    archive = Archive(private_postgres)
    replica = site.start(stack)
    site.more()
    archive.back_up()
    site.more()
    archive.mark("here")
    kept = value(site.dsn, "SELECT max(id) FROM sereno.run")
    site.more()
    archive.flush()
    site.let_go()
    replica.popen.terminate()
    assert replica.end() == 0
    forgotten = value(site.dsn, "SELECT max(id) FROM sereno.run")
    assert forgotten > kept
    let_go()
    private_postgres.stop()
    archive.restored("here", over=private_postgres)
    assert value(site.dsn, "SELECT max(id) FROM sereno.run") <= forgotten
    again = site.start(stack)
    wait_until(lambda: value(site.dsn, LED) > 5, "runs of the history that goes on")
    assert "the database goes on from another state" in again.log.read_text()
    site.holds()
    told = site.call("cluster")
    assert "had gone on from an older state" in told.stdout


def test_a_copy_beside_its_cluster_repeats_nothing_and_takes_in_none_of_its_replicas(
    private_postgres: PostgresServer, site: Site, stack: ExitStack, tmp_path: Path
) -> None:
    archive = Archive(private_postgres)
    site.start(stack)
    site.more(1)
    held = "SELECT sereno.enqueue('promoted.asked', run_at => clock_timestamp() + interval '1 day')"
    waits = value(site.dsn, held)
    site.more()
    archive.back_up()
    site.more()
    archive.mark("here")
    site.more()
    archive.flush()
    copied = archive.restored("here")
    stack.callback(copied.remove)
    copy = Site(copied.dsn(), tmp_path / "new")

    refused = site.call("new-cluster", "restored", "--yes")
    assert refused.returncode == 1
    assert "replicas are at work on the database 'postgres'" in refused.stderr
    looked = copy.call("new-cluster", "restored")
    assert looked.returncode == 0, looked.stderr
    assert "nothing was changed" in looked.stdout
    under_way = "SELECT count(*) FROM sereno.run WHERE state = 'running'"
    assert value(copy.dsn, under_way) > 0
    made = copy.call("new-cluster", "restored", "--yes", "--json")
    assert made.returncode == 0, made.stderr
    done = json.loads(made.stdout)
    assert done["ended"] >= 1
    assert done["first_run"] > FAR
    assert value(copy.dsn, under_way) == 0
    begun = value(copy.dsn, "SELECT max(doubtful_until) FROM sereno.timeline WHERE beside")

    stranger = copy.call("run", "--http-port", "0")
    assert stranger.returncode == 2, stranger.stderr
    assert "this database is of the cluster 'restored'" in stranger.stderr
    copy.environment["SERENO_CLUSTER"] = "restored"
    copy.start(stack)
    wait_until(lambda: value(copy.dsn, LED) > 5, "runs of the new cluster")
    site.more()
    for cluster in (site, copy):
        cluster.let_go()
        assert value(cluster.dsn, STRANGE) == 0
        account = verified_now(cluster.dsn)
        assert account.holds, account.faults
    assert [n for n in copy.noted() if n["run"] <= FAR] == []
    assert [n for n in copy.noted() if n["slot"] and n["slot"] <= begun.isoformat()] == []
    assert value(copy.dsn, "SELECT state FROM sereno.run WHERE id = %s", waits) == "queued"
    assert value(site.dsn, "SELECT max(id) FROM sereno.run") < FAR


def test_a_dump_restored_into_another_database_is_gone_on_with(
    private_postgres: PostgresServer, site: Site, stack: ExitStack, tmp_path: Path
) -> None:
    replica = site.start(stack)
    site.more()
    site.let_go()
    replica.popen.terminate()
    assert replica.end() == 0
    dump = private_postgres.place / "dump"
    private_postgres.run("pg_dump", "-Fc", "-f", dump, "-d", site.dsn)
    private_postgres.execute("CREATE DATABASE copy")
    dsn = private_postgres.dsn("copy")
    private_postgres.run("pg_restore", "--exit-on-error", "-d", dsn, dump)
    before = value(dsn, "SELECT max(id) FROM sereno.run")
    moved = Site(dsn, tmp_path / "moved")
    moved.start(stack)
    wait_until(lambda: value(dsn, LED) > 5, "runs in the database that was restored")
    moved.holds()
    slots = {line["slot"] for line in moved.noted("once")}
    assert slots.isdisjoint({line["slot"] for line in site.noted("once")})
    assert value(dsn, "SELECT max(id) FROM sereno.run") > before + FAR - 1


def test_a_logical_switch_over_loses_nothing_and_sequences_are_set_right(
    private_postgres: PostgresServer, site: Site, stack: ExitStack, tmp_path: Path
) -> None:
    private_postgres.options["wal_level"] = "logical"
    private_postgres.stop()
    private_postgres.start()
    target = PostgresServer(private_postgres.programs, private_postgres.options)
    stack.callback(target.remove)
    target.start()
    target.execute("CREATE DATABASE app")  # the servers begin as copies of one: another oid tells
    dsn = target.dsn("app")
    replica = site.start(stack)
    site.more()
    schema = private_postgres.place / "schema.sql"
    private_postgres.run("pg_dump", "--schema-only", "-f", schema, "-d", site.dsn)
    target.run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", schema, "-d", dsn)
    private_postgres.execute("CREATE PUBLICATION sereno FOR ALL TABLES")
    source = private_postgres.dsn()
    do(dsn, f"CREATE SUBSCRIPTION sereno CONNECTION '{source}' PUBLICATION sereno")
    copied = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
    wait_until(lambda: value(dsn, copied), "all tables to be copied")
    site.more()
    site.let_go()
    replica.popen.terminate()
    assert replica.end() == 0
    last = value(site.dsn, "SELECT pg_current_wal_lsn()::text")
    behind = "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots"
    wait_until(lambda: value(site.dsn, behind, last), "the subscription to have it all")
    do(dsn, "DROP SUBSCRIPTION sereno")
    counts = "SELECT count(*) || ' ' || max(id) FROM sereno.run"
    assert value(dsn, counts) == value(site.dsn, counts)
    told = Site(dsn, tmp_path / "told").call("check")
    assert "the numbers of runs are behind their rows" in told.stdout + told.stderr
    moved = Site(dsn, tmp_path / "moved")
    moved.start(stack)
    wait_until(lambda: value(moved.dsn, LED) > 5, "runs on the new server")
    moved.holds()
    slots = {line["slot"] for line in moved.noted("once")}
    assert slots.isdisjoint({line["slot"] for line in site.noted("once")})
