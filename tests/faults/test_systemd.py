"""A replica as a systemd service: what it says on the notification socket, and how it ends."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .asking import enqueue, for_seconds, state
from .process import ROOT, Process, process

JOBS = "tests.faults.jobs"
UNIT = ROOT / "conf" / "systemd" / "sereno.service"
UNPACKED = ROOT / ".sereno" / "tools" / "systemd-analyze"


class Manager:
    """Stands where systemd does: binds the socket, and keeps what it hears."""

    def __init__(self, place: Path) -> None:
        self.address = place / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))
        self._socket.setblocking(False)
        self.words: list[str] = []

    def heard(self, word: str) -> int:
        """Return how often a word was heard so far."""
        while True:
            try:
                self.words += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return sum(w.startswith(word) for w in self.words)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    found = Manager(tmp_path)
    yield found
    found.close()


@contextmanager
def service(dsn: str, place: Path, manager: Manager, **environment: str) -> Iterator[Process]:
    with process(
        dsn, place, JOBS, NOTIFY_SOCKET=str(manager.address), WATCHDOG_USEC="900000", **environment
    ) as found:
        yield found


@pytest.mark.fault
def test_it_says_that_it_is_ready_alive_and_stopping(
    database: str, tmp_path: Path, manager: Manager
) -> None:
    with service(database, tmp_path, manager) as replica:
        wait_until(lambda: manager.heard("READY=1"), "READY=1")
        wait_until(lambda: manager.heard("WATCHDOG=1") >= 3, "signs of life")
        wait_until(lambda: manager.heard("STATUS=leader of term 1"), "who it is")
        assert not manager.heard("STOPPING=1")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0
    assert manager.heard("READY=1") == manager.heard("STOPPING=1") == 1


@pytest.mark.fault
def test_a_standby_says_who_leads(database: str, tmp_path: Path, manager: Manager) -> None:
    with process(database, tmp_path, JOBS, SERENO_NODE_NAME="first") as leader:
        leader.said("leading")
        with service(database, tmp_path, manager):
            wait_until(lambda: manager.heard("STATUS=standby, first leads"), "whom it follows")


@pytest.mark.fault
def test_a_replica_whose_loop_hangs_does_not_feed_the_watchdog(
    database: str, tmp_path: Path, manager: Manager
) -> None:
    with service(database, tmp_path, manager) as replica:
        wait_until(lambda: manager.heard("WATCHDOG=1"), "signs of life")
        replica.signal(signal.SIGSTOP)
        before = manager.heard("WATCHDOG=1")
        for_seconds(1.5)
        assert manager.heard("WATCHDOG=1") <= before + 1


@pytest.mark.fault
def test_while_the_database_is_away_it_is_not_ready_and_asks_for_time(
    private_postgres: PostgresServer, tmp_path: Path, manager: Manager
) -> None:
    dsn = private_postgres.dsn()
    private_postgres.stop()
    with service(dsn, tmp_path, manager) as replica:
        wait_until(lambda: manager.heard("EXTEND_TIMEOUT_USEC=") >= 3, "that it asks for time")
        wait_until(lambda: manager.heard("STATUS=standby, the database did not do it"), "why")
        assert not manager.heard("READY=1")
        private_postgres.start()
        wait_until(lambda: manager.heard("READY=1"), "READY=1")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0


@pytest.mark.fault
def test_it_waits_for_its_runs_no_longer_than_the_limit(
    database: str, tmp_path: Path, manager: Manager
) -> None:
    with service(database, tmp_path, manager, SERENO_DRAIN_TIMEOUT="1s") as replica:
        wait_until(lambda: manager.heard("READY=1"), "READY=1")
        replica.said("leading")
        run = enqueue(database, "faults.long", '{"seconds": 50}')
        wait_until(lambda: state(database, run) == "running", "the run to begin")
        replica.signal(signal.SIGTERM)
        assert replica.end() == 0
    assert state(database, run) == "queued"


@pytest.mark.fault
def test_a_wrong_setting_ends_it_with_code_2_which_the_unit_does_not_restart(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "sereno", "--database-url", "mysql://nobody/none", "run"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "database_url" in ended.stderr
    assert "RestartPreventExitStatus=2" in UNIT.read_text()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SERENO_DATABASE_URL": "mysql://nobody/none"}, "database_url"),
        ({"SERENO_LEASE": "soon"}, "lease"),
        ({"SERENO_HTTP__PORT": "80", "SERENO_HTTP__HOST": "192.0.2.1"}, "http.host"),
    ],
)
def test_what_ends_a_replica_is_json_where_its_log_is(
    database: str, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    known = {"SERENO_DATABASE_URL": database, "SERENO_LOG__FORMAT": "json", **environment}
    ended = subprocess.run(
        [sys.executable, "-m", "sereno", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **known},
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == lines[-1]["exit_code"] == 2
    assert (lines[-1]["level"], lines[-1]["event"]) == ("critical", "this node cannot run")
    assert words in lines[-1]["error"]


def test_the_unit_starts_it_again_however_it_ended() -> None:
    assert re.search(r"(?m)^Restart=(.*)$", UNIT.read_text()).group(1) == "always"  # type: ignore[union-attr]


def analyzed(*args: str) -> "subprocess.CompletedProcess[str]":
    """Call systemd-analyze: the installed one, or what `make test` has unpacked."""
    path = os.pathsep.join([os.environ["PATH"], str(UNPACKED / "usr" / "bin")])
    analyze, environment = shutil.which("systemd-analyze", path=path), dict(os.environ)
    if analyze is None:
        pytest.fail(
            "systemd-analyze is needed and was not found: run tools/test-tools.sh systemd-analyze",
            pytrace=False,
        )
    if Path(analyze).is_relative_to(UNPACKED):
        libraries = [*UNPACKED.glob("usr/lib/*/systemd"), *UNPACKED.glob("**/lib/*-linux-*")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
        units = UNPACKED.glob("**/lib/systemd/system")
        environment["SYSTEMD_UNIT_PATH"] = os.pathsep.join(map(str, units))
    command = [analyze, *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


EXPOSURE = 16
"""Tenths of what systemd calls the exposure of a service, from 0 to 100."""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no systemd but on Linux")
@pytest.mark.parametrize("name", ["sereno.service", "sereno@.service", "sereno-apps.service"])
def test_the_unit_file_is_one_that_systemd_takes_and_calls_safe(name: str, tmp_path: Path) -> None:
    unit = UNIT.with_name(name)
    copy = tmp_path / name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text()))
    named = str(tmp_path / name.replace("@", "@8765"))
    ended = analyzed("verify", named)
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = analyzed("security", "--offline=true", f"--threshold={EXPOSURE}", named)
    assert ended.returncode == 0, ended.stdout
