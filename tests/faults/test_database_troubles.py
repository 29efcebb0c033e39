"""The database goes away, fills up, refuses or changes: a replica stays, says why, catches up."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from ..servers.postgres import PostgresServer, installed_programs
from ..servers.waiting import wait_until
from .asking import do, enqueue, for_seconds, value
from .process import Process, process

JOBS = "tests.faults.jobs"
UNSETTLED = """
    SELECT count(*) FROM generate_series(
        (SELECT min(slot) FROM sereno.slot), clock_timestamp() - interval '2 s', '1 s') AS due(slot)
     WHERE NOT EXISTS (SELECT 1 FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id
                        WHERE s.slot = due.slot AND r.state = 'succeeded')
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def ready(replica: Process) -> bool:
    return replica.page("/health/readiness").status_code == 200


def why_not_ready(replica: Process) -> str:
    answer = replica.page("/health/readiness")
    return "" if answer.status_code == 200 else str(answer.json()["reason"])


def never_ready(replica: Process, seconds: float) -> None:
    """Look again and again: a load balancer may look at any moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not ready(replica)
        for_seconds(0.1)


def caught_up(dsn: str) -> bool:
    """Tell whether every slot of every second, the last two apart, has run well."""
    try:
        return bool(value(dsn, UNSETTLED) == 0)
    except psycopg.OperationalError:
        return False


@contextmanager
def ticking(dsn: str, place: Path, **environment: str) -> Iterator[Process]:
    """Give a replica that leads and has run something."""
    with process(dsn, place, JOBS, **environment) as replica:
        ran = "SELECT count(*) FROM sereno.run WHERE state = 'succeeded'"
        replica.said("leading")
        wait_until(lambda: value(dsn, ran), "a first run")
        yield replica


@pytest.mark.every_postgres
def test_it_outlives_the_database_s_absence(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    dsn = private_postgres.dsn()
    with ticking(dsn, tmp_path) as replica:
        run = enqueue(dsn, "faults.long", '{"seconds": 2, "says": true}')
        replica.said("at work")
        private_postgres.stop()
        told = "the database did not do it"  # before, it may say that its session is lost
        wait_until(lambda: told in why_not_ready(replica), "why it is not ready")
        assert replica.page("/health/liveness").status_code == 200
        before = cpu_seconds(replica)
        for_seconds(6)
        assert cpu_seconds(replica) - before < 2
        assert 1 <= len(replica.lines("the session is lost")) < 5  # not said at every try
        private_postgres.start()
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")
        # It ended while nobody could be told: its outcome waited, and nobody ran it again.
        found = "SELECT state || attempt FROM sereno.run WHERE id = %s"
        wait_until(lambda: value(dsn, found, run) == "succeeded1", "its outcome")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


def test_a_database_that_becomes_read_only_is_waited_for(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    dsn = private_postgres.dsn()
    with ticking(dsn, tmp_path) as replica:
        private_postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        private_postgres.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "read-only" in why_not_ready(replica), "why it is not ready")
        never_ready(replica, 3)
        private_postgres.execute("SET default_transaction_read_only = off")
        private_postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
        private_postgres.execute("SELECT pg_reload_conf()")
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")


def test_it_waits_at_its_start_for_a_database_that_may_be_written(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    private_postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    private_postgres.execute("SELECT pg_reload_conf()")
    with process(private_postgres.dsn(), tmp_path, JOBS) as replica:
        assert "read-only" in replica.said("waiting for the database")["error"]
        private_postgres.execute("SET default_transaction_read_only = off")
        private_postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
        private_postgres.execute("SELECT pg_reload_conf()")
        replica.said("leading")


def test_a_standby_is_waited_for_until_it_is_promoted(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    slots = "SELECT count(*) FROM sereno.slot"
    standby = private_postgres.standby()
    try:
        dsn = f"postgresql://postgres@127.0.0.1:{private_postgres.port},127.0.0.1:{standby.port}"
        with ticking(f"{dsn}/postgres", tmp_path) as replica:
            before = value(private_postgres.dsn(), slots)
            made = "SELECT to_regclass('sereno.slot') IS NOT NULL"
            wait_until(lambda: value(standby.dsn(), made), "the standby to have the schema")
            wait_until(lambda: value(standby.dsn(), slots) > before, "the standby to follow")
            private_postgres.kill()
            wait_until(lambda: "recovery" in why_not_ready(replica), "why it is not ready")
            with process(standby.dsn(), tmp_path, JOBS) as late:
                assert "read-only" in late.said("waiting for the database")["error"]
                never_ready(replica, 3)
                assert len(replica.lines("the session is lost")) < 6
                standby.promote()
                late.said("ready")
                wait_until(lambda: caught_up(standby.dsn()), "every slot to have run", 40)
                wait_until(lambda: ready(replica) and ready(late), "both to be ready again")
    finally:
        standby.remove()


@contextmanager
def mounted(place: Path, megabytes: int) -> Iterator[None]:
    """Put a small disk at `place`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(place)]
    mounting = subprocess.run(mount, capture_output=True, text=True)
    if mounting.returncode != 0:  # as in a container that may not mount
        pytest.skip(f"root may mount no small disk here: {mounting.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_disk(private_postgres: PostgresServer) -> Iterator[Path]:
    """Give a file system of 24 MB on which the server may write."""
    place = Path(tempfile.mkdtemp(prefix="sereno-disk-", dir="/tmp"))
    try:
        with mounted(place, 24):
            try:
                yield place
            finally:
                private_postgres.stop()
    finally:
        place.rmdir()


@pytest.fixture
def cramped_postgres() -> Iterator[PostgresServer]:
    """Give a server whose own directory, its log of writes included, is on a small disk."""
    server = PostgresServer(next(iter(installed_programs().values())))
    place, account = server.log.parent, server.programs.account
    try:
        with mounted(place, 200):
            if account:
                os.chown(place, account.uid, account.gid)
            server.start()
            try:
                yield server
            finally:
                server.stop()
    finally:
        server.remove()


def test_a_server_that_a_full_disk_brings_down_is_waited_for(
    cramped_postgres: PostgresServer, tmp_path: Path
) -> None:
    """It cannot write its log of writes: unlike a table that cannot grow, that ends it."""
    dsn, ballast = cramped_postgres.dsn(), cramped_postgres.log.with_name("ballast")
    with ticking(dsn, tmp_path) as replica:
        with ballast.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(1_000_000))
                file.flush()
        with suppress(psycopg.OperationalError):
            while True:
                do(dsn, "SELECT pg_switch_wal(), pg_logical_emit_message(true, 'x', 'y')")
        wait_until(lambda: why_not_ready(replica), "not ready")
        never_ready(replica, 2)
        assert replica.popen.poll() is None
        ballast.unlink()
        cramped_postgres.stop()
        cramped_postgres.start()
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")


def fill(dsn: str, rows: int) -> None:
    """Let a table grow until the disk is full."""
    try:
        while True:
            do(dsn, f"INSERT INTO ballast SELECT * FROM ballast LIMIT {rows}")
    except psycopg.errors.DiskFull:
        return


def test_a_full_disk_is_waited_out(
    private_postgres: PostgresServer, small_disk: Path, tmp_path: Path
) -> None:
    space = small_disk / "space"
    space.mkdir()
    account = private_postgres.programs.account
    if account:
        os.chown(space, account.uid, account.gid)
    private_postgres.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
    private_postgres.execute("CREATE DATABASE full_one TABLESPACE small")
    dsn = private_postgres.dsn("full_one")
    with ticking(dsn, tmp_path) as replica:
        do(dsn, "CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 100)")
        fill(dsn, 1000)
        fill(dsn, 1)  # and the last free pages
        wait_until(lambda: "No space left" in replica.log.read_text(), "the disk to be full", 40)
        for_seconds(3)
        assert replica.popen.poll() is None
        do(dsn, "DROP TABLE ballast")
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")


@contextmanager
def crowd(dsn: str) -> Iterator[Callable[[], None]]:
    """Give a function that takes every connection that is free; they are let go at the end."""
    with ExitStack() as stack:

        def take() -> None:
            while True:
                try:
                    stack.enter_context(psycopg.connect(dsn, autocommit=True))
                except psycopg.OperationalError:
                    return

        yield take


def test_a_server_without_a_free_connection_is_worked_with_or_waited_for(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    private_postgres.execute("CREATE ROLE app LOGIN")
    private_postgres.execute("CREATE DATABASE app OWNER app")
    private_postgres.execute("ALTER SYSTEM SET max_connections = 20")
    private_postgres.stop()
    private_postgres._options.pop("max_connections")
    private_postgres.start()
    dsn = private_postgres.dsn("app").replace("postgres@", "app@")
    with ticking(dsn, tmp_path) as replica:
        with crowd(dsn) as take:
            take()
            for_seconds(5)
            with process(dsn, tmp_path, JOBS) as late:

                def waits() -> bool:
                    take()  # what the replica has let go meanwhile
                    return bool(late.lines("waiting for the database"))

                wait_until(waits, "the late one to wait for a connection")
                assert "connection" in late.said("waiting for the database")["error"]
            assert replica.popen.poll() is None
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")


def test_a_role_without_rights_ends_the_start_with_a_sentence(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    private_postgres.execute("CREATE ROLE nobody LOGIN")
    dsn = private_postgres.dsn().replace("postgres@", "nobody@")
    with process(dsn, tmp_path, JOBS) as replica:
        assert replica.end() == 1
        assert "sereno needs CREATE on the database" in replica.log.read_text()


def test_rights_taken_away_are_told_and_waited_for(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    private_postgres.execute("CREATE ROLE app LOGIN")
    private_postgres.execute("CREATE DATABASE app OWNER app")
    owner = private_postgres.dsn("app")
    dsn = owner.replace("postgres@", "app@")
    with ticking(dsn, tmp_path) as replica:
        do(owner, "ALTER TABLE sereno.slot OWNER TO postgres")
        wait_until(lambda: "may not do this" in why_not_ready(replica), "why it is not ready")
        never_ready(replica, 2)
        assert len(replica.lines("the session is lost")) < 25
        do(owner, "ALTER TABLE sereno.slot OWNER TO app")
        wait_until(lambda: caught_up(dsn), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "ready again")


def test_code_that_a_post_migration_has_left_behind_does_not_start_and_what_runs_goes_on(
    database: str, tmp_path: Path
) -> None:
    with ticking(database, tmp_path) as replica:
        do(
            database,
            "INSERT INTO sereno.migration (number, name, checksum)"
            " VALUES (9999, '9999_post_later.sql', 'x')",
        )
        with process(database, tmp_path, JOBS) as older:
            assert older.end() == 1
            assert "upgrade this replica" in older.log.read_text()
        for_seconds(2)
        wait_until(lambda: caught_up(database), "every slot to have run", 40)
        wait_until(lambda: ready(replica), "it to be ready as before")


def cpu_seconds(replica: Process) -> float:
    """Return how much processor time the replica has used."""
    stat = Path(f"/proc/{replica.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
