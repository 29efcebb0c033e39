"""What this node knows of itself: written by the engine, read by health, metrics and logs."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from sereno.engine.clock import steady
from sereno.engine.executors.executor import Executor

_NAMED = 100
"""Runs that a line of the log names."""


class AppsProcess(msgspec.Struct):
    """The process of apps that a node has started. `url`: where they are served, None while they
    are not; `why`: why not. `restarts`: how often it has ended by itself."""

    url: str | None = None
    why: str | None = "it is being started"
    restarts: int = 0


class Status(msgspec.Struct, kw_only=True):
    """One node's view of itself; changes as it runs.

    `lease`: for how long a leader that has fallen silent is trusted. `clock_offset`, `loop_lag`:
    seconds. `leader_*`: whom the database names, as last read.
    `store_error`: why the database is not usable, a sentence without secrets, None while it is.
    `opening`: its plugins are still to be opened. `pulse`: when the leader's part last gave a sign
    of life, steady time, None before it stands.
    `leaving`: SIGTERM has come. `at_work`: the attempts whose functions are at work here, by token;
    as a text, each is its run's name. `executors`: by name, of which some are bounded.
    `overstaying`: attempts that were left behind and still work, since which steady time. `shown`:
    what the health page shows of this node, and until when. `apps`: None where no plugin brings
    one.
    """

    node: UUID
    label: str
    version: str
    lease: timedelta = timedelta(seconds=5)
    leading: bool = False
    term: int = 0
    leader_changes: int = 0
    store_up: bool = False
    store_error: str | None = "not connected yet"
    migrated: bool = False
    opening: bool = False
    clock_offset: float = 0.0
    pulse: float | None = None
    loop_lag: float = 0.0
    loop_blocked: int = 0
    leaving: bool = False
    at_work: Mapping[UUID, object] = {}
    executors: Mapping[str, Executor] = {}
    overstaying: dict[UUID, float] = {}
    shown: dict[str, tuple[float, str]] = {}
    apps: AppsProcess | None = None

    def places(self) -> list[tuple[str, int, int]]:
        """Return each bounded executor, how many attempts it may have at work, and how many it
        has."""
        named: dict[str, Executor | None] = {"process": None, "thread": None}
        bounded = {n: e for n, e in self.executors.items() if e.capacity is not None}
        return [
            (name, 0 if e is None else e.capacity or 0, 0 if e is None else e.busy)
            for name, e in sorted({**named, **bounded}.items())
        ]

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
