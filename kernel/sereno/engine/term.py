"""What everything shares that a leader does in one term."""

from collections.abc import Callable

import msgspec

from sereno.engine.clock import Clock
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One term of this node's lead. `number`: what each of its statements carries, so that the
    database refuses what is written after the next term has begun."""

    db: Database
    node: NodeIdentity
    number: int
    clock: Clock
    publish: Callable[[object], None]
    """Never blocks and never raises: no part of a term waits for who observes it."""
