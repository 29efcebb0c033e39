"""Replicas whose jobs fan out and follow one another, and what these have said."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sereno import SyncClient

from ..servers.lines import whole_lines
from ..servers.waiting import wait_until
from .asking import do, value
from .process import Process, process

LEADER = (
    "SELECT n.pid FROM sereno.leadership l JOIN sereno.node n ON n.id = l.node"
    " JOIN sereno.term t ON t.term = l.term WHERE t.ended_at IS NULL"
)
TERM = "SELECT max(term) FROM sereno.term"
PLUGIN = "tests.faults.chaining"


class Chaining:
    """Replicas on one database, and the file to which their jobs append."""

    def __init__(self, dsn: str, place: Path, stack: ExitStack, **environment: str) -> None:
        self.dsn = dsn
        self.notes = place / "notes"
        self.notes.touch()
        self.replicas: list[Process] = []
        self._place = place
        self._stack = stack
        self._environment = environment

    def start(self, count: int = 1) -> None:
        """Start so many replicas more."""
        for _ in range(count):
            one = process(self.dsn, self._place, PLUGIN, NOTES=str(self.notes), **self._environment)
            self.replicas.append(self._stack.enter_context(one))
        for replica in self.replicas[-count:]:
            replica.said("ready", seconds=60)

    def leader(self) -> Process:
        """Return the replica that leads."""
        pid = wait_until(lambda: value(self.dsn, LEADER), "a leader")
        return next(r for r in self.replicas if r.popen.pid == pid)

    def struck(self, number: signal.Signals) -> Process:
        """Send `number` to the leader; what an end that is told by nobody cuts off is over."""
        leader = self.leader()
        leader.signal(number)
        if number == signal.SIGKILL:
            leader.end()
        if number in (signal.SIGKILL, signal.SIGSTOP):
            with self.notes.open("a") as file:
                file.write(json.dumps({"event": "cut", "pid": leader.popen.pid}) + "\n")
        return leader

    def follows(self, term: int) -> None:
        """Wait for a later term than this."""
        wait_until(lambda: (value(self.dsn, TERM) or 0) > term, f"a term after {term}")

    def let_go(self) -> None:
        """Let go of all that stays."""
        Path(f"{self.notes}.go").touch()

    def noted(self, job: str | None = None, event: str = "begin") -> list[dict[str, Any]]:
        """Return what the jobs have said, in its order."""
        lines = [json.loads(line) for line in whole_lines(self.notes)]
        return [x for x in lines if job is None or (x.get("job"), x["event"]) == (job, event)]

    def until(self, query: str, what: str, seconds: float = 60) -> None:
        """Wait until the database says so."""
        wait_until(lambda: value(self.dsn, query), what, seconds)

    def holds(self) -> None:
        """Check the account of all that was due and queued."""
        with SyncClient.open(self.dsn) as client:
            account = client.verify("1d")
        assert account.holds, account.faults

    def count(self, rest: str) -> int:
        return int(value(self.dsn, f"SELECT count(*) FROM sereno.run WHERE {rest}"))

    def do(self, statement: str) -> None:
        do(self.dsn, statement)


@contextmanager
def chaining(dsn: str, place: Path, **environment: str) -> Iterator[Chaining]:
    """Give a database that nobody is on yet."""
    with ExitStack() as stack:
        yield Chaining(dsn, place, stack, **environment)
