"""What a stranger can use up is not what the jobs live on."""

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import process

JOBS = "tests.faults.jobs"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def test_connections_that_ask_nothing_leave_the_jobs_their_descriptors(
    database: str, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        try:
            replica = stack.enter_context(process(database, tmp_path, JOBS))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        port = int(replica.said("ready")["pages"].rpartition(":")[2])
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        runs = [enqueue(database, "faults.open") for _ in range(5)]
        ended = ("succeeded", "failed")
        wait_until(lambda: all(state(database, run) in ended for run in runs), "the runs")
        assert [state(database, run) for run in runs] == ["succeeded"] * 5
        assert replica.page("/health/liveness").status_code == 200
        assert replica.page("/metrics").status_code == 200
        assert replica.said("the pages have as many connections as they may, idle ones are ended")


def test_a_server_without_a_free_session_is_told_with_the_remedy_and_waited_for(
    private_postgres: PostgresServer, tmp_path: Path
) -> None:
    private_postgres.execute("CREATE ROLE app LOGIN CONNECTION LIMIT 1")
    private_postgres.execute("CREATE DATABASE app OWNER app")
    dsn = private_postgres.dsn("app").replace("postgres@", "app@")
    with psycopg.connect(dsn), process(dsn, tmp_path, JOBS) as replica:
        told = replica.said("waiting for the database")["error"]
        assert "too many connections" in told
        assert "max_connections" in told
        private_postgres.execute("ALTER ROLE app CONNECTION LIMIT 20")
        replica.said("leading")
        fired = "SELECT count(*) FROM sereno.slot"
        owner = private_postgres.dsn("app")
        wait_until(lambda: value(owner, fired) > 0, "slots")
