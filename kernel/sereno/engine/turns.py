"""Who is next of those that wait: by priority, and within one the keys take turns.

A turn is of one job's runs with one concurrency key, known by a number that the queue gives it.
Between turns it goes round: after the one that began last comes the next one that has something to
start, a run each, so that a thousand runs of one key hold up the one of another for one place.
Runs without a key go in the order of their instants; where both wait, every other place is theirs.

Children of a fan-out have a priority that is one lower, so that ten thousand of them hold up
nobody. They do not starve behind what comes without end either: where both wait, one place of four
is theirs.

Kept is, of each priority, whose turn was last: in memory alone, as a new leader that begins
somewhere else does nobody wrong.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from sereno.model.ledger import Queued

CHILD_EVERY = 4
"""Of so many places one is a child's, where others wait that are one priority above it."""


class Turns:
    """Whose turn it is, of one term."""

    def __init__(self) -> None:
        self.last: dict[int, int] = {}
        self._key_next = True
        self._since_child = 0

    def merged(self, free: Sequence[Queued], keyed: Sequence[Queued]) -> list[Queued]:
        """Return both in the order in which they are to start; each is in its own already."""
        if not keyed or not free:
            return [*free, *keyed]
        found: list[Queued] = []
        both = sorted([*free, *keyed], key=lambda run: -run.priority)  # stable
        for _, level in groupby(both, key=lambda run: run.priority):
            of_level = list(level)
            found += self._alternating(
                [run for run in of_level if run.turn is None],
                [run for run in of_level if run.turn is not None],
            )
        return found

    def _alternating(self, free: list[Queued], keyed: list[Queued]) -> Iterable[Queued]:
        first, second = (keyed, free) if self._key_next else (free, keyed)
        both = min(len(first), len(second))
        for pair in zip(first, second, strict=False):
            yield from pair
        yield from first[both:]
        yield from second[both:]

    def with_children(self, found: Sequence[Queued], children: Sequence[Queued]) -> list[Queued]:
        """Return `found`, which is in its order, with `children` at the places that are theirs."""
        moved = {child.run_id for child in children}
        rest, order, since = list(children), list[Queued](), self._since_child
        for run in found:
            if run.run_id in moved:
                continue
            if since >= CHILD_EVERY - 1 and rest and rest[0].priority >= run.priority - 1:
                order.append(rest.pop(0))
                since = 0
            order.append(run)
            since += 1
        return order + rest

    def taken(self, run: Queued) -> None:
        """Take note that `run` has its place."""
        self._since_child = 0 if run.child else self._since_child + 1
        if run.child:
            return
        self._key_next = run.turn is None
        if run.turn is not None:
            self.last[run.priority] = run.turn
