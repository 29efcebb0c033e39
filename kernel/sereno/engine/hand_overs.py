"""Hands runs over to other nodes, and learns what became of them: the leader's half.

States of a run, as counted here: placed (its node is chosen, and its place counted); handed (its
row names the node; it has not begun), to begin at once or in line there for a place; claimed, as is
seen once it has had `CLAIM_WITHIN`; over, by the node's word, or by a look at its row. Handed and
not claimed by then, it is taken back, and its node shunned for a while, unless it stood in line.

Invariants: a word is of an attempt, so that one that comes twice or late ends no other; what no
word came of is looked for, so that a place is never kept for ever.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from sereno.engine.clock import steady
from sereno.engine.occupancy import Occupancy
from sereno.engine.placement import Placement
from sereno.engine.term import Term
from sereno.model.ledger import Queued
from sereno.model.run import FINAL
from sereno.store import hand_overs, runs

log = logging.getLogger("sereno.leader")

CLAIM_WITHIN = 1.0
"""Seconds that a node has to claim what it was handed: it takes milliseconds, and for what stands
in line there a quarter of a second, if it is as it was."""

_LOOK_EVERY = 5.0
"""Seconds between looks at all that runs elsewhere: its node tells when it ends, this is for the
word that was lost."""

Left = list[tuple[int, str | None]]
"""Runs that are their node's no more, and the state that they are in."""


class _Handed(msgspec.Struct, frozen=True, gc=False):
    """A run on its way. `until`: the steady time by which it is to be claimed; `line`: it stands in
    line."""

    node: UUID
    until: float
    line: bool


class HandOvers:
    """Those of one term."""

    def __init__(
        self, term: Term, occupancy: Occupancy, placement: Placement | None = None
    ) -> None:
        self.placement = placement or Placement(occupancy)
        self._term = term
        self._occupancy = occupancy
        self._unclaimed: dict[int, _Handed] = {}
        self._due = math.inf  # the first of their instants, or earlier
        self._said: list[hand_overs.EndedElsewhere] = []
        self._to_part: list[Queued] = []
        self._next_look = 0.0

    @property
    def here(self) -> UUID:
        """Return the leader's own name among those that `Placement.choose` returns."""
        return self.placement.here

    async def load(self) -> None:
        """Have wait again what was handed over under another term, before anything begins."""
        await hand_overs.hand_back(self._term.db, self._term.number, None)
        self._next_look = steady() + _LOOK_EVERY

    def to_part(self, run: Queued) -> None:
        """Take a slot's run that is to have its parts in this tick."""
        self._to_part.append(run)

    def taken_to_part(self) -> list[Queued]:
        """Return those that were taken since."""
        taken, self._to_part = self._to_part, []
        return taken

    async def hand(
        self,
        chosen: Sequence[tuple[int, UUID]],
        instant: float = 0.0,
        *,
        lines: Mapping[int, str] | None = None,
        parts: bool = False,
    ) -> list[int]:
        """Hand runs over, each to its node; `instant`: seconds until they begin. `lines`: of those
        that stand in line there, the executor. `parts`: they are parts, and the leader may be among
        their nodes, which claims its own at once.

        Returns those that wait no longer. Raises LeaseLostError and StoreError: what was not
        claimed then is looked for in a second.
        """
        left: list[int] = []
        lines = lines or {}
        for n in range(0, len(chosen), hand_overs.AT_ONCE):
            part = chosen[n : n + hand_overs.AT_ONCE]
            until = steady() + CLAIM_WITHIN + max(0.0, instant)
            self._unclaimed |= {r: _Handed(node, until, r in lines) for r, node in part}
            self._due = min(self._due, until)
            ids = [run_id for run_id, _ in part]
            nodes = [node for _, node in part]
            done = await hand_overs.hand_over(
                *(self._term.db, self._term.number, ids, nodes),
                lines=[lines.get(run_id) for run_id in ids],
                parts=parts,
                silent=self.here,
            )
            for run_id in ids:
                if run_id in done:
                    self._occupancy.attempted(run_id, done[run_id] + 1)
                else:
                    del self._unclaimed[run_id]
                    left.append(run_id)
        return left

    def observe(self, reasons: Iterable[str]) -> bool:
        """Take what nodes say; return whether one of them leaves."""
        left = False
        for reason in reasons:
            if reason.startswith("over "):
                self._said += hand_overs.ended_in(reason)
            elif reason.startswith("left "):
                self._leaving(reason.removeprefix("left "))
                left = True
        return left

    def _leaving(self, name: str) -> None:
        """A node leaves, and has given back what it has not claimed: look at once."""
        for run_id, handed in self._unclaimed.items():
            if str(handed.node) == name:
                self._unclaimed[run_id] = msgspec.structs.replace(handed, until=0.0)
                self._due = 0.0
        self.placement.leaves(name)

    def ended(self) -> Left:
        """Return the runs that have ended by their nodes' words."""
        said, self._said = self._said, []
        left: Left = []
        for one in said:
            if self._occupancy.is_elsewhere(one.run_id, one.attempt):
                self._unclaimed.pop(one.run_id, None)
                self._place_freed(one.run_id)
                left.append((one.run_id, "queued" if one.again else "succeeded"))
        return left

    @property
    def due(self) -> float:
        """Return the steady time at which something is due."""
        return min(self.placement.due, self._due)

    def unclaimed(self) -> list[int]:
        """Return the runs that are handed over, and not known to be claimed."""
        return list(self._unclaimed)

    def in_line(self) -> list[int]:
        """Return the runs that stand in line, as far as it is known; the last ones first."""
        return [run_id for run_id, handed in reversed(self._unclaimed.items()) if handed.line]

    def claimed(self, run_ids: Iterable[int]) -> None:
        """Take note that runs which were handed over are known to be claimed."""
        for run_id in run_ids:
            self._unclaimed.pop(run_id, None)

    def poll_soon(self) -> None:
        """Look at the next poll: a word without a number has come."""
        self._next_look = 0.0

    async def poll(self) -> Left:
        """Take back what was not claimed in time; return what has left its node."""
        now = steady()
        if now < self._due:
            return []
        late = {run_id: one for run_id, one in self._unclaimed.items() if one.until <= now}
        if not late:
            self._renew_due()
            return []
        left = await self.take_back(list(late))
        back = [run_id for run_id, state in left if state == "queued" and not late[run_id].line]
        if back:
            nodes = {late[run_id].node for run_id in back}
            for node in nodes:
                self.placement.shun(node)
            log.warning(
                "runs were not claimed by the node they were handed to, and are taken back",
                extra={"runs": sorted(back)[:100], "nodes": sorted(map(str, nodes))},
            )
        return left

    async def take_back(self, run_ids: Sequence[int]) -> Left:
        """Take back those that are not claimed; return what is its node's no more."""
        back = await hand_overs.hand_back(self._term.db, self._term.number, run_ids)
        for run_id in run_ids:
            self._unclaimed.pop(run_id, None)
        self._renew_due()
        left: Left = [(run_id, "queued") for run_id in back]
        if rest := [run_id for run_id in run_ids if run_id not in back]:
            left += await self._gone(rest)
        return left

    def _renew_due(self) -> None:
        self._due = min((one.until for one in self._unclaimed.values()), default=math.inf)

    async def poll_all(self) -> Left:
        """Look, now and then, for runs of other nodes of whose end no word has come."""
        if steady() < self._next_look:
            return []
        self._next_look = steady() + _LOOK_EVERY
        asked = [run_id for run_id in self._occupancy.foreign() if run_id not in self._unclaimed]
        return await self._gone(asked) if asked else []

    async def _gone(self, asked: list[int]) -> Left:
        states = await runs.states(self._term.db, asked)
        left: Left = [(run_id, state) for run_id, state in states.items() if state != "running"]
        for run_id, state in left:
            if state in FINAL:  # its word is still on its way, or lost
                self._place_freed(run_id)
        return left

    def _place_freed(self, run_id: int) -> None:
        place = self._occupancy.run(run_id)
        if place is not None and place.node is not None:
            self.placement.ended(place.node, place.executor)
