"""Two replicas, a scheduler of Dask, three workers and a server: what faults are done to."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tests.servers.postgres import PostgresServer, installed_programs
from tests.servers.supervised import free_port
from tests.servers.waiting import wait_until

from sereno.engine.clock import steady
from sereno.store.migrator import migrate

from ..eye import Eye
from ..network import Network, networks, why_not
from ..replicas import ROOT, die_with_parent
from ..stage import DATABASE, SERVER
from .jobs import LONG_SECONDS

WORKERS, REPLICAS = 3, 2
_BRIEF = "SELECT count(sereno.enqueue('dask.brief')) FROM generate_series(1, 15)"
_OTHERS = '["etl_ivr", "cleanup", "reports", "notify", "console", "sun", "django"]'


@dataclass
class Member:
    """A place for a process, which is started again under a new name whenever it has ended.

    `command`: given that name; `before`: stands before "a1" in its node's label.
    """

    letter: str
    place: Path
    command: Callable[[str], Sequence[str]]
    environment: dict[str, str]
    before: str = ""
    network: Network | None = None
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"{self.letter}{self.starts}"

    @property
    def label(self) -> str:
        """What its node's row says."""
        return f"{self.before}{self.name}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> Path:
        return self.place / f"{self.name}.log"

    def start(self) -> None:
        if self.running:
            return
        self.starts += 1
        command = [sys.executable, "-m", *self.command(self.name)]
        if self.network is not None:
            command = ["ip", "netns", "exec", self.network.name, *command]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.place,
                env={**os.environ, "SERENO_NODE_NAME": self.name, **self.environment},
                preexec_fn=die_with_parent,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> None:
        """Wait for the process to end."""
        assert self._process is not None
        self._process.wait(seconds)

    def stop(self) -> None:
        """End the process, whatever it takes."""
        if self._process is None:
            return
        if self.running:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        self.wait(20)


@dataclass
class Stage:
    """All that a fault may touch. Durations in seconds; `no_network`: why none can be cut."""

    postgres: PostgresServer
    eye: Eye
    place: Path
    lease: float
    freeze: float
    cut: float
    no_network: str | None
    scheduler: Member
    workers: list[Member] = field(default_factory=list)
    replicas: list[Member] = field(default_factory=list)

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(DATABASE)

    @property
    def file(self) -> Path:
        """The file to which jobs append."""
        return self.place / "jobs"

    @property
    def members(self) -> list[Member]:
        return [*self.replicas, self.scheduler, *self.workers]

    def accepting_since(self) -> datetime:
        """Return when the server last began to accept connections, by its own log."""
        said = "database system is ready to accept connections"
        lines = [t for t in self.postgres.log.read_text().splitlines() if said in t]
        return datetime.fromisoformat(lines[-1][:23]).replace(tzinfo=UTC)

    def settle(self, seconds: float = 90) -> None:
        """Wait until all nodes are present, one leads, and nothing is behind."""
        end = steady() + seconds
        labels = [m.label for m in (*self.replicas, *self.workers)]
        while (why := self.eye.unsteady(labels, LONG_SECONDS + 6)) is not None:
            for member in self.members:
                if not member.running:
                    words = member.log.read_text(errors="replace")[-3000:]
                    raise AssertionError(f"{member.label} has ended by itself: {words}")
            if steady() > end:
                raise AssertionError(f"the cluster did not come back in {seconds:g} s: {why}")
            self.until(steady() + 0.1)

    def leader(self) -> tuple[Member, int]:
        """Return the replica that leads, and its term."""
        wait_until(lambda: self.eye.leader() is not None, "a leader", 30)
        label, term = self.eye.leader() or ("", 0)
        return next(r for r in self.replicas if r.label == label), term

    def until(self, instant: float) -> None:
        """Wait until this steady time."""
        threading.Event().wait(max(0.0, instant - steady()))


@contextlib.contextmanager
def stage(*, lease: float, freeze: float, cut: float) -> Iterator[Stage]:
    """Start everything, and leave nothing behind."""
    place = Path(tempfile.mkdtemp(prefix="sereno-chaos-dask-"))
    no_network = why_not()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        cables = stack.enter_context(networks(WORKERS)) if no_network is None else []
        for cable in cables:
            cable.reach_all()
        postgres = PostgresServer(
            next(iter(installed_programs().values())), SERVER, [c.here for c in cables]
        )
        stack.callback(postgres.remove)
        postgres.start()
        asyncio.run(migrate(postgres.dsn(DATABASE)))
        eye = Eye(postgres.socket_dsn(DATABASE))
        stack.callback(eye.close)
        host = cables[0].here if cables else "127.0.0.1"
        address = f"tcp://{host}:{free_port()}"
        found = Stage(
            postgres=postgres,
            eye=eye,
            place=place,
            lease=lease,
            freeze=freeze,
            cut=cut,
            no_network=no_network,
            scheduler=_scheduler(place, address),
        )
        for number in range(WORKERS):
            cable = cables[number] if cables else None
            found.workers.append(_worker(found, "xyz"[number], address, cable))
        for letter in "ab"[:REPLICAS]:
            found.replicas.append(_replica(found, letter, address, host))
        for member in found.members:
            stack.callback(member.stop)
        for member in found.members:
            member.start()
        stack.enter_context(_asking(postgres))
        yield found


@contextlib.contextmanager
def _asking(postgres: PostgresServer) -> Iterator[None]:
    """Queue brief runs, some at once each second, while the server is there."""
    over = threading.Event()

    def ask() -> None:
        eye = Eye(postgres.socket_dsn(DATABASE))
        while not over.wait(1):
            with contextlib.suppress(psycopg.Error):
                eye.rows(_BRIEF)
        eye.close()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def _scheduler(place: Path, address: str) -> Member:
    host, port = address.removeprefix("tcp://").split(":")
    words = ("distributed.cli.dask_scheduler", "--no-dashboard", "--no-show")
    command = (*words, "--host", host, "--port", port)
    return Member("scheduler", place, lambda name: command, {"PYTHONPATH": ""})


def _worker(scene: Stage, letter: str, address: str, cable: Network | None) -> Member:
    host = "127.0.0.1" if cable is None else cable.there
    words = ("distributed.cli.dask_worker", address, "--no-nanny", "--no-dashboard")
    return Member(
        letter,
        scene.place,
        lambda name: (*words, "--nthreads", "1", "--host", host, "--name", name),
        {"PYTHONPATH": str(ROOT), "CHAOS_FILE": str(scene.file)},
        before="dask ",
        network=cable,
    )


def _replica(scene: Stage, letter: str, address: str, host: str) -> Member:
    return Member(
        letter,
        scene.place,
        lambda name: ("sereno", "run"),
        {
            "PYTHONPATH": f"{ROOT / 'kernel'}:{ROOT}",
            "SERENO_DATABASE_URL": scene.postgres.dsn(DATABASE, host),
            "SERENO_LEASE": f"{scene.lease}s",
            "SERENO_DRAIN_TIMEOUT": "20s",
            "SERENO_HTTP__ENABLED": "false",
            "SERENO_LOG__FORMAT": "json",
            "SERENO_DISABLED_PLUGINS": _OTHERS,
            "SERENO_MODULES": '["tests.faults.chaos.on_dask.jobs"]',
            "SERENO_PLUGINS__DASK__ADDRESS": address,
            "SERENO_PLUGINS__DASK__ALLOW_PLAIN": "true",
            "CHAOS_FILE": str(scene.file),
        },
    )
