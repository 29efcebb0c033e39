"""Decides on which node a run works: pure choice, over what nodes offer and who has which place.

The leader is one of them. `any`: threads and processes go to the node with the smallest share of
its places in use, the leader first among equals. What shares the leader's loop stays there: a
hand-over takes three round trips, and the loop does a thousand awaits meanwhile. So does what a
plugin's executor runs, whose places are no node's. Labels: the least loaded of the nodes that have
all of them, whatever executes it. A part works on a node of its place, the least loaded of a host.

Where no node has a place, a run may stand in line at one whose places are soon free (`Turnover`):
there it begins in the place of one that ends, and that place does not wait for the leader.

Invariants: a node is chosen that declares the job just as the leader does; none is that has no
place, but for a line; lines take no more than half of all that may run at once, so that slots find
room.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from sereno.engine.clock import steady
from sereno.engine.occupancy import Occupancy
from sereno.engine.turnover import Turnover
from sereno.model.policies import Policies, Scope
from sereno.store import hand_overs
from sereno.store.hand_overs import Offer, OfferingNode
from sereno.store.parts import PartPlace
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

_EVERY = 2.0
_EVERY_ALONE = 5.0
"""Seconds between reads of who offers what: who comes or leaves says so, this is for who says
nothing. The longer one: while nobody else was there."""

_SHUN = 5.0
"""Seconds for which a node is handed nothing more that has not claimed what it was handed."""

HANDED_ON = ("thread", "process")
"""Executors whose runs may work elsewhere without being told to."""


class Placement:
    """The nodes of one term. `own`: what the leader offers itself."""

    def __init__(
        self, occupancy: Occupancy, own: Offer | None = None, leader: UUID | None = None
    ) -> None:
        self._occupancy = occupancy
        self.own = own or Offer()
        self._leader = leader
        self._nodes: dict[UUID, OfferingNode] = {}
        self._declared: dict[UUID, Mapping[str, str]] = {}
        self._shunned: dict[UUID, float] = {}
        self._turnovers: dict[tuple[UUID, str], Turnover] = {}
        self._short: set[tuple[UUID, str]] = set()  # lines that are being filled
        self._next = 0.0 if leader is not None else float("inf")

    @property
    def known(self) -> frozenset[UUID]:
        """Return the other nodes that can be handed something."""
        return frozenset(self._nodes)

    @property
    def due(self) -> float:
        """Return the steady time at which who offers what is to be read again."""
        return self._next

    def pause(self) -> float:
        """Return the seconds until then."""
        return self._next - steady()

    def poll_soon(self) -> None:
        """Read it at the next tick: a node has come or has left."""
        self._next = min(self._next, 0.0)

    async def poll(self, db: Database) -> bool:
        """Read who offers what; return whether somebody is new."""
        if self._leader is None:
            return False
        found = await hand_overs.offering(db, self._leader, list(self._declared))
        self._next = steady() + (_EVERY if found else _EVERY_ALONE)
        new = {node.id for node in found} - self._nodes.keys()
        for node in found:
            if node.declared is not None:
                self._declared[node.id] = node.declared
        self._nodes = {node.id: node for node in found if node.id in self._declared}
        self._declared = {n: d for n, d in self._declared.items() if n in self._nodes}
        self._shunned = {n: t for n, t in self._shunned.items() if t > steady()}
        self._turnovers = {k: t for k, t in self._turnovers.items() if k[0] in self._nodes}
        self._short = {key for key in self._short if key[0] in self._nodes}
        if new:
            log.debug("nodes offer places", extra={"nodes": [n.label for n in found]})
        return bool(new)

    def leaves(self, name: str) -> None:
        """Hand the node with this id nothing more."""
        self._nodes = {node: offer for node, offer in self._nodes.items() if str(node) != name}

    def shun(self, node: UUID) -> None:
        """Hand this node nothing for a while: it has not claimed what it was handed."""
        self._shunned[node] = steady() + _SHUN

    def stays(self, policies: Policies) -> bool:
        """Return whether only the leader may work on it now, without a look at the others."""
        if policies.runs_on != "any":
            return policies.runs_on == "leader"
        executor = policies.executor
        if self.own.places.get(executor) == 0:  # a plugin's, whose places are others'
            return False
        if executor in HANDED_ON or not self._nodes:
            return not self._nodes
        return self._has(executor) or not any(executor in n.places for n in self._nodes.values())

    def _has(self, executor: str) -> bool:
        """Return whether the leader has this executor at all: one of an application that nodes are
        embedded in may be elsewhere alone."""
        return not self.own.places or self.own.places.get(executor, 0) != 0

    def choose(self, job: str, policies: Policies) -> UUID | None:
        """Return the node, the leader among them, that is to work on one more run of `job`; None
        where none has a place."""
        executor = policies.executor
        if self.stays(policies):
            return self.here if self._occupancy.has_place(executor) else None
        least, chosen = 1.0, None
        own = self._has(executor) and self._fits(self.own.labels, policies)
        if own and self._occupancy.has_place(executor):
            least, chosen = self._occupancy.load(executor), self.here
        return self._least_loaded(self._able(job, policies), executor, least, chosen)

    def _least_loaded(
        self, nodes: Iterable[OfferingNode], executor: str, least: float, chosen: UUID | None
    ) -> UUID | None:
        now = steady()
        for node in nodes:
            places = node.places[executor]
            used = self._occupancy.used(executor, node.id)
            limit = self._occupancy.max_running if places is None else places
            if used < limit and used / limit < least and self._shunned.get(node.id, 0.0) <= now:
                least, chosen = used / limit, node.id
        return chosen

    def ended(self, node: UUID, executor: str) -> None:
        """Take note that a run has ended on another node."""
        self._turnovers.setdefault((node, executor), Turnover()).ended()

    def choose_line(self, job: str, policies: Policies) -> UUID | None:
        """Return the node at which one more run of `job` is to stand in line for a place, where
        `choose` has none; None: nowhere."""
        if not self._turnovers or self._scarce() or self.stays(policies):
            return None
        executor, now = policies.executor, steady()
        least, chosen = float("inf"), None
        for node in self._able(job, policies):
            key = (node.id, executor)
            if key not in self._turnovers or not node.places[executor]:
                continue
            if self._shunned.get(node.id, 0.0) > now:
                continue
            waiting, line = self._in_line(key), self._turnovers[key].line()
            if waiting <= line // 2:
                self._short.add(key)
            if waiting >= line:
                self._short.discard(key)
            if key in self._short and waiting < least:
                least, chosen = waiting, node.id
        return chosen

    def supplied(self, node: UUID, executor: str) -> bool:
        """Return whether enough stand in line at a node for the place that became free there."""
        turnover = self._turnovers.get((node, executor))
        if turnover is None or self._scarce():
            return False
        return self._in_line((node, executor)) > turnover.line() // 2

    def free(self, job: str, policies: Policies) -> int:
        """Return how many more runs of `job` would find a place now."""
        executor, now = policies.executor, steady()
        found = 0
        for node in self._able(job, policies):
            places = node.places[executor]
            if places is not None and self._shunned.get(node.id, 0.0) <= now:
                found += max(0, places - self._occupancy.used(executor, node.id))
        if self._has(executor) and self._fits(self.own.labels, policies):
            found += self._occupancy.free(executor)
        return found

    def _in_line(self, key: tuple[UUID, str]) -> int:
        node, executor = key
        offer = self._nodes.get(node)
        places = None if offer is None else offer.places.get(executor)
        return 0 if places is None else self._occupancy.used(executor, node) - places

    def _scarce(self) -> bool:
        return self._occupancy.room() <= self._occupancy.max_running // 2

    def lacks(self, job: str, policies: Policies) -> bool:
        """Return whether no node that is there may work on `job` at all, however many places."""
        if isinstance(policies.runs_on, str) or self._fits(self.own.labels, policies):
            return False
        return next(iter(self._able(job, policies)), None) is None

    def places(self, job: str, policies: Policies) -> list[PartPlace]:
        """Return the hosts, or nodes, at which a run of `job` is to work now, however loaded."""
        found: dict[str, str] = {}
        if self._has(policies.executor) and self._fits(self.own.labels, policies):
            self._note(found, policies.scope, self.here, self.own)
        for node in self._able(job, policies):
            self._note(found, policies.scope, node.id, node)
        names = Counter(found.values())
        return [  # two that people call the same are told apart
            PartPlace(
                name, label if names[label] == 1 else f"{label} ({name.partition(':')[2][:8]})"
            )
            for name, label in found.items()
        ]

    def _note(
        self, found: dict[str, str], scope: Scope, node: UUID, offer: Offer | OfferingNode
    ) -> None:
        name = _place(scope, node, offer)
        if name is not None:
            label = (offer.host_name if scope == "host" else offer.label) or name.partition(":")[2]
            found.setdefault(name, label)

    def at(self, place: str, job: str, policies: Policies) -> UUID | None:
        """Return the node of `place` that is to work on a part there, the leader among them; None
        where none has room."""
        executor, scope = policies.executor, policies.scope
        least, chosen = 1.0, None
        if (
            self._has(executor)
            and self._fits(self.own.labels, policies)
            and _place(scope, self.here, self.own) == place
            and self._occupancy.has_place(executor)
        ):
            least, chosen = self._occupancy.load(executor), self.here
        able = (n for n in self._able(job, policies) if _place(scope, n.id, n) == place)
        return self._least_loaded(able, executor, least, chosen)

    def is_there(self, place: str) -> bool:
        """Return whether a node of `place` is there, whatever it can be handed."""
        own = {_place(scope, self.here, self.own) for scope in ("host", "node")}
        return place in own or any(
            place in (_place("host", n.id, n), _place("node", n.id, n))
            for n in self._nodes.values()
        )

    @property
    def here(self) -> UUID:
        """Return how the leader itself is named."""
        return HERE if self._leader is None else self._leader

    def _able(self, job: str, policies: Policies) -> Iterable[OfferingNode]:
        """Yield the other nodes that may work on `job`: they have it as the leader has it."""
        wanted = self.own.declared.get(job)
        for node in self._nodes.values():
            if (
                policies.executor in node.places
                and self._declared[node.id].get(job) == wanted
                and self._fits(node.labels, policies)
            ):
                yield node

    def _fits(self, labels: Iterable[str], policies: Policies) -> bool:
        return isinstance(policies.runs_on, str) or set(policies.runs_on).issubset(labels)


def _place(scope: Scope, node: UUID, offer: Offer | OfferingNode) -> str | None:
    """Return how a node's place is named for jobs of `scope`; None: nobody knows its host."""
    if scope == "host":
        return None if offer.host is None else f"host:{offer.host}"
    return f"node:{node}"


HERE = UUID(int=0)
"""How the leader is named where it has told no name."""
