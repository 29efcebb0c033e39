"""Three replicas, their servers and networks: what faults are done to."""

import asyncio
import contextlib
import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.servers.pgbouncer import PgBouncer, pgbouncer_program
from tests.servers.postgres import PostgresServer, installed_programs
from tests.servers.supervised import free_port
from tests.servers.waiting import wait_until

from sereno.engine.clock import steady
from sereno.store.migrator import migrate

from .eye import Eye
from .network import networks, why_not
from .replicas import Replica

DATABASE = "postgres"

SERVER = {
    # Durable as in life: neither a restart nor a killed backend may forget or tear anything.
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Before 18, a server that begins anew waits as long for who has connected and is silent: 60 s.
    "authentication_timeout": "5s",
}


@dataclass(frozen=True, slots=True)
class Promotion:
    """A standby took over. `since`: it had all commits from before; `until`: when the next leader
    heard of it; `lost`: commits that it never had."""

    since: datetime
    until: datetime
    lost: int


@dataclass
class Stage:
    """All that a fault may touch. Durations in seconds; `no_network`: why networks cannot be cut.

    `standby`: the server that is to take over from `postgres`, which the replicas know as well; it
    follows once a fault has had it begin. `pooled`: the replica whose statements, but not its lock,
    go through `pooler`.
    """

    postgres: PostgresServer
    standby: PostgresServer
    pooler: PgBouncer | None
    replicas: list[Replica]
    eye: Eye
    place: Path
    lease: float
    freeze: float
    block: float
    cut: float
    no_network: str | None
    dice: random.Random = field(default_factory=random.Random)
    promotions: list[Promotion] = field(default_factory=list)

    @property
    def pooled(self) -> Replica | None:
        return self.replicas[1] if self.pooler else None

    @property
    def misdated(self) -> Replica:
        """The replica whose wall clock can be set wrong."""
        return next(r for r in self.replicas if r.own_clock)

    @property
    def dsn(self) -> str:
        return self.postgres.dsn(DATABASE)

    @property
    def file(self) -> Path:
        """The file to which jobs append."""
        return self.place / "jobs"

    def take_over(self) -> None:
        """Have the standby take the place of the server, which is gone."""
        self.standby.promote()
        self.postgres, self.standby = self.standby, self.postgres
        self.eye.move(self.postgres.socket_dsn(DATABASE))
        if self.pooler:
            self.pooler.turn_to(self.postgres.port)

    def accepting_since(self) -> datetime:
        """Return when the server last began to accept connections, by its own log."""
        said = "database system is ready to accept connections"
        lines = [t for t in self.postgres.log.read_text().splitlines() if said in t]
        return datetime.fromisoformat(lines[-1][:23]).replace(tzinfo=UTC)

    def leader(self) -> tuple[Replica, int]:
        """Return the replica that leads, and its term."""
        found: list[tuple[Replica, int]] = []

        def led() -> bool:
            leading = self.eye.leader()
            if leading is None:
                return False
            found[:] = [(r, leading[1]) for r in self.replicas if r.label == leading[0]]
            return bool(found)

        wait_until(led, "a leader", 30)
        return found[0]

    def settle(self, seconds: float = 40) -> None:
        """Wait until all replicas are present, one leads, and nothing is behind."""
        end = steady() + seconds
        while (why := self.eye.unsteady([r.label for r in self.replicas])) is not None:
            for replica in self.replicas:
                if not replica.running:
                    raise AssertionError(f"replica {replica.label} has ended by itself")
            if steady() > end:
                raise AssertionError(f"the replicas did not come back in {seconds:g} s: {why}")
            self.until(steady() + 0.1)

    def until(self, instant: float) -> None:
        """Wait until this steady time."""
        threading.Event().wait(max(0.0, instant - steady()))


@contextlib.contextmanager
def stage(*, lease: float, freeze: float, cut: float) -> Iterator[Stage]:
    """Start everything, and leave nothing behind."""
    place = Path(tempfile.mkdtemp(prefix="sereno-chaos-"))
    no_network = why_not()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        cables = stack.enter_context(networks(3)) if no_network is None else []
        addresses = [c.here for c in cables]
        programs = next(iter(installed_programs().values()))
        postgres = PostgresServer(programs, SERVER, addresses)
        stack.callback(postgres.remove)
        postgres.start()
        standby = PostgresServer(programs, SERVER, addresses)
        stack.callback(standby.remove)
        standby.port = free_port()
        asyncio.run(migrate(postgres.dsn(DATABASE)))
        pooler = None
        if pgbouncer_program():
            pooler = PgBouncer(postgres.port, programs.account, addresses=addresses)
            stack.callback(pooler.remove)
            pooler.start()
        eye = Eye(postgres.socket_dsn(DATABASE))
        stack.callback(eye.close)
        found = Stage(
            postgres=postgres,
            standby=standby,
            pooler=pooler,
            replicas=[],
            eye=eye,
            place=place,
            lease=lease,
            freeze=freeze,
            block=lease + 2,
            cut=cut,
            no_network=no_network,
        )
        for number, letter in enumerate("abc"):
            network = cables[number] if cables else None
            host = network.here if network else "127.0.0.1"
            direct = postgres.dsn(DATABASE, f"{host}:{standby.port},{host}")
            pooled = pooler.dsn(DATABASE, host) if pooler and number == 1 else direct
            environment = {
                "SERENO_DATABASE_URL": pooled,
                "SERENO_LEADER_DATABASE_URL": direct,
                "SERENO_LEASE": f"{lease}s",
                "SERENO_DRAIN_TIMEOUT": "10s",
                "SERENO_HTTP__ENABLED": "false",
                "SERENO_LOG__LEVEL": "debug",
                "SERENO_LOG__FORMAT": "json",
                "SERENO_NODE_LABELS": f'["{letter}"]',
                "CHAOS_FILE": str(found.file),
                "CHAOS_BLOCK": str(found.block),
            }
            replica = Replica(letter, place, environment, network, own_clock=number == 2)
            stack.callback(replica.stop)
            found.replicas.append(replica)
        for replica in found.replicas:
            replica.start()
        yield found
