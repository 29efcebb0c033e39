"""What became of three replicas that were broken in every way: the record that this version was
released with. `chaos.json` is made of docs/failover.md (`make docs`)."""

from functools import cache
from importlib.resources import files

import msgspec

from sereno_console.pages.navigation import _

_FAULTS = {
    "kill -9 of the leader": _("kill -9 of the leader"),
    "SIGTERM of the leader": _("SIGTERM of the leader"),
    "SIGSTOP, then SIGCONT": _("SIGSTOP, then SIGCONT"),
    "blocked event loop": _("blocked event loop"),
    "network cut, both ways": _("network cut, both ways"),
    "network cut, to the server": _("network cut, to the server"),
    "network cut, from the server": _("network cut, from the server"),
    "network cable pulled": _("network cable pulled"),
    "Postgres restarted, immediate": _("Postgres restarted, immediate"),
    "lagging standby promoted": _("lagging standby promoted"),
    "lock session terminated": _("lock session terminated"),
    "a backend killed with -9": _("a backend killed with -9"),
    "PgBouncer restarted": _("PgBouncer restarted"),
    "kill -9 of a worker": _("kill -9 of a worker"),
    "SIGTERM of a worker": _("SIGTERM of a worker"),
    "a worker frozen": _("a worker frozen"),
    "a worker cut off": _("a worker cut off"),
    "wall clock set wrong": _("wall clock set wrong"),
}


class ChaosFault(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault. `p50`, `p99`, `longest`: seconds until the next leader led, None where the
    lead stays; `bound`: seconds that it may take."""

    fault: str
    tried: int
    p50: float | None
    p99: float | None
    longest: float | None
    bound: float | None
    slots_lost: int
    slots_doubled: int
    runs_lost: int
    runs_doubled: int
    two_leaders: int
    anothers_result: int
    begun_twice: int

    @property
    def words(self) -> str:
        """Return its name, to be translated."""
        return _FAULTS.get(self.fault, self.fault)

    @property
    def lost(self) -> int:
        """Return how many slots and runs were lost."""
        return self.slots_lost + self.runs_lost

    @property
    def doubled(self) -> int:
        """Return how many slots and runs were made twice."""
        return self.slots_doubled + self.runs_doubled

    @property
    def wrong(self) -> int:
        """Return how often anything was not as it must be."""
        times = self.two_leaders + self.anothers_result + self.begun_twice
        return times + self.lost + self.doubled


class ChaosRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A whole record. `command`: what makes one; `lease`: in seconds."""

    command: str
    lease: float
    faults: tuple[ChaosFault, ...]

    @property
    def tried(self) -> int:
        """Return how many faults were tried."""
        return sum(fault.tried for fault in self.faults)

    @property
    def wrong(self) -> int:
        """Return how often anything was not as it must be."""
        return sum(fault.wrong for fault in self.faults)


@cache
def chaos_record() -> ChaosRecord:
    """Return the record."""
    text = files("sereno_console.pages").joinpath("chaos.json").read_bytes()
    return msgspec.json.decode(text, type=ChaosRecord)
