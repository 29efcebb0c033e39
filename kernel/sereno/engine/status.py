"""What this node knows of itself: written by the engine, read by health, metrics and logs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from sereno.engine.clock import steady
from sereno.model.executor import Executor

_NAMED = 100

_IN_TOUCH = 0.8
"""Share of the lease after which silence may be a cut: what is left is for ending what works."""
"""Runs that a line of the log names."""


class AppsProcess(msgspec.Struct):
    """The process of apps that a node has started. `url`: where they are served, None while they
    are not; `why`: why not. `restarts`: how often it has ended by itself."""

    url: str | None = None
    why: str | None = "it is being started"
    restarts: int = 0


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin depends on, as this node found it last. `why`: what is the matter while it is
    not up; `since`: when it came to be as it is."""

    plugin: str
    name: str
    up: bool
    why: str | None
    since: datetime


class Status(msgspec.Struct, kw_only=True):
    """One node's view of itself; changes as it runs.

    `lease`: for how long a leader that has fallen silent is trusted. `firing`: it leads, and its
    jobs and schedules are registered. `clock_offset`, `loop_lag`:
    seconds. `followed`: the label of whom it stands by for, as last read, empty where it leads, or
    nobody does.
    `store_error`: why the database is not usable, a sentence without secrets, None while it is.
    `opening`: its plugins are still to be opened. `pulse`: when the leader's part last gave a sign
    of life, steady time, None before it stands. `heard`: when the database's server last said
    something to it, if only that it refuses, steady time; None before.
    `leaving`: SIGTERM has come. `draining`: people have asked it to take no part; `maintenance`:
    why all rest, None while they do not. `oldest_transaction`, `dead_rows`: what keeps PostgreSQL
    from cleaning up, its age in seconds, and what is left. `without_node`: by job, runs that are
    due and that no node may take, as the one that leads has last seen.
    `at_work`: the attempts whose functions are at work here, by token;
    as a text, each is its run's name. `executors`: by name, of which some are bounded.
    `overstaying`: attempts that were left behind and still work, since which steady time. `shown`:
    what the health page shows of this node, and until when. `apps`: None where no plugin brings
    one. `dependencies`: by plugin and name, once they were asked.
    """

    node: UUID
    label: str
    version: str
    lease: timedelta = timedelta(seconds=5)
    leading: bool = False
    firing: bool = False
    term: int = 0
    leader_changes: int = 0
    followed: str = ""
    store_up: bool = False
    store_error: str | None = "not connected yet"
    migrated: bool = False
    opening: bool = False
    clock_offset: float = 0.0
    pulse: float | None = None
    heard: float | None = None
    loop_lag: float = 0.0
    loop_blocked: int = 0
    leaving: bool = False
    draining: bool = False
    maintenance: str | None = None
    oldest_transaction: float = 0.0
    dead_rows: int = 0
    without_node: Mapping[str, int] = {}
    at_work: Mapping[UUID, object] = {}
    executors: Mapping[str, Executor] = {}
    overstaying: dict[UUID, float] = {}
    shown: dict[str, tuple[float, str]] = {}
    apps: AppsProcess | None = None
    dependencies: dict[tuple[str, str], Dependency] = {}

    def places(self) -> list[tuple[str, int, int]]:
        """Return each bounded executor, how many attempts it may have at work, and how many it
        has."""
        named: dict[str, Executor | None] = {"process": None, "thread": None}
        bounded = {n: e for n, e in self.executors.items() if e.capacity}  # 0: elsewhere alone
        return [
            (name, 0 if e is None else e.capacity or 0, 0 if e is None else e.busy)
            for name, e in sorted({**named, **bounded}.items())
        ]

    def in_touch(self) -> bool:
        """Return whether nobody can have taken this node for one that is cut off: the server has
        said something for less than its lease. One that refuses, as it begins anew, has said so."""
        if self.heard is None:
            return True
        return steady() - self.heard < _IN_TOUCH * self.lease.total_seconds()

    def trouble(self, about: str, sentence: str, seconds: float) -> None:
        """Show `sentence` on the health page for so long, in place of what it showed `about` it."""
        self.shown[about] = (steady() + seconds, sentence)

    def troubles(self) -> list[str]:
        """Return the sentences that are to be shown now."""
        now = steady()
        return [sentence for until, sentence in list(self.shown.values()) if now < until]

    def under_way(self) -> list[str]:
        """Name the runs that this node works on, at most a hundred; from any thread."""
        names = [str(attempt) for attempt in dict(self.at_work).values()]
        more = len(names) - _NAMED
        return names if more <= 0 else [*names[:_NAMED], f"{more} more"]

    @property
    def role(self) -> str:
        """Return ``leader``, ``standby`` or ``leaving``."""
        if self.leaving:
            return "leaving"
        return "leader" if self.leading else "standby"
