"""What the parts of a node share from its start to its end, whoever leads."""

from collections.abc import Callable

import msgspec

from sereno.engine.clock import Clock
from sereno.engine.services import Services
from sereno.engine.status import Status
from sereno.engine.term import Term
from sereno.model.calendar import SharedPlans
from sereno.model.retry import chance
from sereno.store.hand_overs import Offer
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity


class NodeContext(msgspec.Struct, frozen=True, kw_only=True):
    """The surroundings of one node's parts. `status`: where they note how they are. `services`:
    what its jobs ask of it. `chance`: the random share of a retry's wait. `shared`: calendars and
    blackouts of the settings. `offer`: what it can be handed. `leads`: it stands for the lead."""

    db: Database
    status: Status
    clock: Clock
    publish: Callable[[object], None]
    services: Services
    chance: Callable[[], float] = chance
    shared: SharedPlans = SharedPlans()
    offer: Offer = Offer()
    leads: bool = True

    @property
    def lease(self) -> float:
        """Return for how many seconds a leader that has fallen silent is trusted."""
        return self.status.lease.total_seconds()

    def term(self, number: int, node: NodeIdentity) -> Term:
        """Return the term that begins with this number, led by this node as `node`."""
        return Term(db=self.db, node=node, number=number, clock=self.clock, publish=self.publish)
