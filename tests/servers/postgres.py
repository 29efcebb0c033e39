"""Throw-away PostgreSQL servers, and databases cloned from a template in milliseconds."""

import contextlib
import functools
import glob
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import psycopg

from sereno.embedded import PostgresPrograms, SystemAccount, find_programs
from sereno.model.errors import EmbeddedError

from .supervised import ServerError, Supervised, free_port
from .waiting import pauses

OLDEST = 14
_INSTALLED = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "dynamic_shared_memory_type": "mmap",  # goes with the data of a server that is killed
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "unix_socket_permissions": "0700",
}


@functools.cache
def installed_programs() -> dict[int, PostgresPrograms]:
    """Return the PostgreSQL versions of this machine, the embedded one included, newest first;
    also those in the folders, parted by colons, that SERENO_TEST_PROGRAMS names."""
    found: dict[int, PostgresPrograms] = {}
    account = SystemAccount.to_serve(Path("/nonexistent"))
    for place in itertools.chain.from_iterable(glob.glob(pattern) for pattern in _INSTALLED):
        major = re.search(r"(\d+)/bin$", place)
        if major and int(major[1]) >= OLDEST and Path(place, "initdb").exists():
            found[int(major[1])] = PostgresPrograms(Path(place), int(major[1]), account)
    with contextlib.suppress(EmbeddedError):
        # Where root's account cannot reach the virtual environment, a copy is left there.
        embedded = find_programs(Path("/var/lib/sereno"))
        found[embedded.major] = embedded
    for folder in filter(None, os.environ.get("SERENO_TEST_PROGRAMS", "").split(":")):
        asked = [Path(folder, "postgres"), "--version"]
        told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        version = int(told.split()[-1].partition(".")[0])
        found[version] = PostgresPrograms(Path(folder), version, account)
    return dict(sorted(found.items(), reverse=True))


class PostgresServer:
    """A PostgreSQL server of one version on 127.0.0.1, without fsync; superuser `postgres`.

    `dsn()` leads over TCP, `socket_dsn()` over a Unix socket.
    """

    _pristine: ClassVar[dict[int, Path]] = {}

    def __init__(
        self,
        programs: PostgresPrograms,
        options: dict[str, str] | None = None,
        addresses: Sequence[str] = (),
    ) -> None:
        """`addresses`: of this machine, on which it listens beside 127.0.0.1."""
        self.programs = programs
        self.addresses = ("127.0.0.1", *addresses)
        self.version = programs.major
        self.port = 0
        self._options = {**_OPTIONS, **(options or {})}
        self._supervised = Supervised(f"pg{programs.major}", programs.account)
        self._data = self._supervised.place / "data"
        self._pidfile = self._data / "postmaster.pid"
        self._numbers = itertools.count(1)
        self._admin: psycopg.Connection[tuple[object, ...]] | None = None
        self._templates: set[str] = set()

    @classmethod
    def started(cls, programs: PostgresPrograms, **options: str) -> "PostgresServer":
        server = cls(programs, options)
        server.start()
        return server

    @property
    def log(self) -> Path:
        return self._supervised.log

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self._data

    @property
    def place(self) -> Path:
        """A directory that is this server's, and goes with it."""
        return self._supervised.place

    @property
    def options(self) -> dict[str, str]:
        """What it is started with, beside its own port and place; for its next start."""
        return self._options

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run a program of PostgreSQL's, or of the system, as the server's account."""
        own = self.programs.bin / program
        self._supervised.run(own if own.exists() else program, *arguments)

    @property
    def stopped(self) -> bool:
        """Tell whether it was never started, or was stopped or killed."""
        return self._supervised.stopped

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return int(self._pidfile.read_text().split()[0])

    def dsn(self, database: str = "postgres", host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{host}:{self.port}/{database}"

    def socket_dsn(self, database: str = "postgres") -> str:
        place = self._supervised.place
        return f"postgresql://postgres@/{database}?host={place}&port={self.port}"

    def keep_pristine(self) -> None:
        """Create data with which this server and later ones of its version begin."""
        pristine = self._data.with_name("pristine")
        self.programs.create(pristine, durable=False)
        self._pristine[self.version] = pristine

    def start(self) -> None:
        """Start the server: on a free port, and on the same port again after `stop` or `kill`."""
        if not self._data.exists():
            self._create()
            hosts = [
                f"host {what} all {address}/24 trust"
                for address in self.addresses
                for what in ("all", "replication")
            ]
            hba = "\n".join(["local all all trust", *hosts, ""])
            (self._data / "pg_hba.conf").write_text(hba)
        self._forget_readiness()
        waiting = pauses(60)
        while True:
            port = self.port or free_port()
            try:
                self._launch(port)
            except ServerError as error:
                # Another took the port, or the backends of a killed server have not noticed yet.
                passes = re.search("Address already in use|shared memory block", str(error))
                if passes is None or (pause := next(waiting, None)) is None:
                    raise
                time.sleep(pause)
            else:
                self.port = port
                return

    def standby(self, port: int = 0) -> "PostgresServer":
        """Return a started server that follows this one; nobody may write to it until `promote`.

        It follows asynchronously: the commits that it lacks are lost when this one is.
        """
        found = PostgresServer(self.programs, self._options, self.addresses[1:])
        found.port = port
        try:
            found.follow(self)
        except BaseException:
            found.remove()
            raise
        return found

    def follow(self, primary: "PostgresServer") -> None:
        """Begin as a new copy of `primary`, whatever this one was, and follow it."""
        self._disconnect()
        self._supervised.stop()
        shutil.rmtree(self._data, ignore_errors=True)
        copy = ["pg_basebackup", "-D", self._data, "-R", "-c", "fast", "-d", primary.dsn()]
        self._supervised.run(self.programs.bin / copy[0], *copy[1:])
        self.start()

    def deafen(self) -> None:
        """Have a standby hear of no further commit of its primary."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.execute("SELECT pg_reload_conf()")
        receivers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walreceiver'"
        while self._administrator().execute(receivers.encode()).fetchone() != (0,):
            time.sleep(0.005)

    def has_all_of(self, primary: "PostgresServer") -> bool:
        """Tell whether a standby has replayed all that its primary has written by now."""
        behind = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        try:
            found = primary._administrator().execute(b"SELECT pg_current_wal_lsn()").fetchone()
            return self._administrator().execute(behind.encode(), found).fetchone() == (True,)
        except psycopg.OperationalError:  # an earlier fault has ended all sessions, ours too
            primary._disconnect()
            self._disconnect()
            return False

    def promote(self) -> None:
        """Make a standby a server of its own, and return when it may be written."""
        self.execute("SELECT pg_promote()")

    def stop(self) -> None:
        """Stop the server as a shutdown of its machine would: sessions are cut, data is kept."""
        self._disconnect()
        self._supervised.stop()

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill the postmaster, SIGQUIT: as `pg_ctl stop -m immediate`; its data is kept."""
        self._disconnect()
        os.kill(self.pid, how)
        self._supervised.stop()

    def remove(self) -> None:
        """Stop the server, however it is, and remove all that was its."""
        if self._pristine.get(self.version) == self._data.with_name("pristine"):
            del self._pristine[self.version]
        self._disconnect()
        self._supervised.remove()

    def last_words(self) -> str:
        """Return the end of its log, and whether its postmaster lives."""
        alive = self._pidfile.exists() and Path(f"/proc/{self.pid}").exists()
        return f"{self.log.read_text(errors='replace')[-3000:]}(the postmaster lives: {alive})"

    def execute(self, statement: str) -> None:
        """Run one statement outside a transaction, in the database `postgres`."""
        self._administrator().execute(statement.encode())

    def _administrator(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._admin is None or self._admin.closed:
            self._admin = psycopg.connect(self.dsn(), autocommit=True)
        return self._admin

    @contextlib.contextmanager
    def database(self, template: str, fill: Callable[[str], None]) -> Iterator[str]:
        """Give the DSN of a new copy of the database `template`, which `fill(dsn)` fills once."""
        if template not in self._templates:
            self.execute(f"CREATE DATABASE {template} TEMPLATE template0")
            try:
                fill(self.dsn(template))
            except BaseException:
                self.execute(f"DROP DATABASE {template} WITH (FORCE)")
                raise
            self.execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS false IS_TEMPLATE true")
            self._templates.add(template)
        name = f"test_{next(self._numbers)}"
        # Without fsync, a copy of the files is the faster one; before 15 there was no other.
        strategy = "STRATEGY file_copy" if self.version >= 15 else ""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        try:
            yield self.dsn(name)
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        """Drop a database, whoever is in it.

        FORCE alone sleeps for 100 ms wherever a backend takes a moment to leave.
        """
        leave = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        for _ in range(1000):
            if not self._administrator().execute(leave, [name]).fetchall():
                break
            time.sleep(0.001)
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _create(self) -> None:
        """Create the data; by a copy where there is one, as initdb takes ten times longer."""
        pristine = self._pristine.get(self.version)
        if pristine is None:
            self.programs.create(self._data, durable=False)
        else:
            subprocess.run(["cp", "-a", pristine, self._data], check=True)

    def _launch(self, port: int) -> None:
        options = {
            **self._options,
            "listen_addresses": ",".join(self.addresses),
            "port": str(port),
            "unix_socket_directories": str(self._supervised.place),
        }
        self._supervised.start(
            self.programs.bin / "postgres",
            "-D",
            self._data,
            *(f"--{name}={value}" for name, value in options.items()),
            stop_signal="INT",
            ready=self._is_ready,
        )

    def _forget_readiness(self) -> None:
        """Drop the line in which a server that was killed said that it is ready."""
        with contextlib.suppress(FileNotFoundError):
            lines = self._pidfile.read_text().splitlines(keepends=True)
            self._pidfile.write_text("".join(lines[:7]))

    def _is_ready(self) -> bool:
        try:
            return self._pidfile.read_text().splitlines()[7].strip() in ("ready", "standby")
        except (FileNotFoundError, IndexError):
            return False

    def _disconnect(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
