"""Looks after runs that have a part at each host or node: who has one, where it works, when all is
over.

States of such a run, the whole: waiting, as any other; parted (its places are frozen, and it waits
until a part begins); running, from the first part's beginning; over, once all parts are. States of
a part: waiting for a node of its place; handed to one; running; over; or it ends unbegun: an
earlier one of its schedule at that place is not over, or its place is gone.

Invariants: a place has one part of a whole; a part works on a node of its place alone; limits of
its job are counted by place. What the table says holds: it is read again whenever a part has moved,
and now and then, so that a word that was lost, or a leader, costs nothing. Who has no such job asks
for nothing.
"""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from sereno.engine.agenda import LOOKAHEAD
from sereno.engine.clock import steady
from sereno.engine.completer import chains_of
from sereno.engine.hand_overs import HandOvers
from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.queue_events import late_slot
from sereno.engine.runner import Runner
from sereno.engine.term import Term
from sereno.model.events import RunFinished, SlotSettled
from sereno.model.job import Job
from sereno.model.ledger import Queued
from sereno.model.policies import Policies
from sereno.model.run import FINAL
from sereno.store import parts, runs
from sereno.store.parts import Part
from sereno.store.pool import Record

log = logging.getLogger("sereno.leader")

_LOOK_EVERY = 2.0
"""Seconds between looks at what is open, while anything is."""

RETURN_WITHIN = 60.0
"""Seconds that a host has to come back before a part that waits for it ends: a replica that is
started anew takes less. A node never comes back: it has a lease."""


class Parts:
    """Those of one term. `lease`: seconds."""

    def __init__(
        self,
        term: Term,
        runner: Runner,
        occupancy: Occupancy,
        jobs: Mapping[str, Job],
        hands: HandOvers,
        lease: float,
    ) -> None:
        self._term = term
        self._runner = runner
        self._occupancy = occupancy
        self._jobs = jobs
        self._hands = hands
        self._lease = lease
        self._chains = chains_of(jobs)
        self.jobs = frozenset(n for n, j in jobs.items() if j.policies.parted)
        self._to_part: list[tuple[Queued, bool]] = []
        self._refused: dict[int, float] = {}  # by run: when it may be tried again
        self._open = parts.OpenParts()
        self._own: dict[int, UUID] = {}  # those at work on the leader itself, and their tokens
        self._absent: dict[str, float] = {}  # by place, since when no node of it is there
        self._asked: set[int] = set()  # to stop
        self._moved = False
        self._held = False  # one waits for a node with room
        self._next_look = math.inf
        self.queued = False  # something may have been chained

    @property
    def due(self) -> float:
        """Return the steady time at which something is due."""
        if not self._open.wholes:  # then `work` has nothing to tend, whatever it was to look at
            return math.inf
        return 0.0 if self._moved or self._over() else self._next_look

    def admits(self, run: Queued) -> bool:
        """Take a run that waits, to be given its parts at the next `work`; False: not yet."""
        if self._refused.get(run.run_id, 0.0) > steady():
            return False
        self._to_part.append((run, False))
        return True

    def takes(self, run_id: int) -> bool:
        """Return whether a run has been taken so."""
        return bool(self._to_part) and any(run.run_id == run_id for run, _ in self._to_part)

    def left(self, run_id: int) -> None:
        """Take note that a run is its node's no more."""
        self._moved = self._moved or any(p.id == run_id for p in self._open.parts)

    def observe(self, reasons: Iterable[str]) -> None:
        """Take what has woken the loop as a reason to look again."""
        if not self._open.wholes:
            return
        heard = {reason.partition(" ")[0] for reason in reasons}
        if heard & {"cancel", "nodes", "left"} or (self._held and heard & {"end", "run", "over"}):
            self._moved = True

    async def load(self) -> None:
        """Read what the leader before has left; `Occupancy` has those that run."""
        await self._poll()
        mine = (p.id for p in self._open.parts if p.node == self._hands.here)
        tokens = ((run_id, self._occupancy.token(run_id)) for run_id in mine)
        self._own = {run_id: token for run_id, token in tokens if token is not None}
        self._moved = bool(self._open.wholes)

    async def work(self) -> None:
        """Give parts to what was taken, and do what is due."""
        self._to_part += [(run, True) for run in self._hands.taken_to_part()]
        if self._to_part:
            await self._poll()
            taken, self._to_part = self._to_part, []
            for run, on_time in taken:
                await self._part(run, on_time)
        if self._open.wholes and (self._moved or self._over() or steady() >= self._next_look):
            await self._tend()

    def _over(self) -> bool:
        return any(self._occupancy.token(run) != token for run, token in self._own.items())

    async def _poll(self) -> None:
        self._moved = False
        self._open = await parts.open_parts(self._term.db)
        token = self._occupancy.token
        self._own = {run: t for run, t in self._own.items() if token(run) == t}
        self._next_look = steady() + _LOOK_EVERY

    async def _part(self, run: Queued, on_time: bool) -> None:
        """Freeze the places of a run. `on_time`: it is of a slot that has just been settled."""
        policies = self._policies(run.job, run.policies, f"run {run.run_id}")
        places = [] if policies is None else self._hands.placement.places(run.job, policies)
        unbegun: list[str | None] = [None] * len(places)
        if policies is not None and on_time and run.schedule_id is not None:
            earlier = {p.place: p for p in self._open.parts if p.schedule_id == run.schedule_id}
            if policies.overlap == "skip" and policies.catch_up != "all":
                unbegun = [_overlap(earlier.get(place.name)) for place in places]
            elif policies.overlap == "cancel_previous" and earlier:
                await self._stop({p.id for p in earlier.values()}, "its schedule's next slot")
        keyed = policies is not None and policies.concurrency_key is not None
        db, number = self._term.db, self._term.number
        if places and await parts.make(db, number, run.run_id, places, unbegun, keyed=keyed):
            self._occupancy.remove(run.run_id)
            self._refused.pop(run.run_id, None)
            self._open = msgspec.structs.replace(
                self._open, wholes=self._open.wholes | {run.run_id}
            )
            self._moved = True
        else:  # nobody is there who may do it
            now = steady()
            self._refused = {r: t for r, t in self._refused.items() if t > now}
            self._refused[run.run_id] = now + _LOOK_EVERY

    async def _tend(self) -> None:
        await self._poll()
        open_ = self._open
        over = open_.wholes - {p.whole for p in open_.parts}
        if over:
            await self._end(sorted(over))
        stopping = [p for p in open_.parts if p.cancelled_by is not None or p.whole_state in FINAL]
        self._asked &= {p.id for p in open_.parts}
        for by in {p.cancelled_by for p in stopping}:
            which = {p.id for p in stopping if p.cancelled_by == by} - self._asked
            await self._stop(which, by or "its whole run, which is over")
        gone = self._gone([p for p in open_.parts if p.waits])
        if gone:
            for row in await parts.end(self._term.db, self._term.number, gone):
                self._report(row)
            self._moved = True
        stopped = gone.keys() | {p.id for p in stopping}
        await self._begin([p for p in open_.parts if p.waits and p.id not in stopped])

    async def _end(self, over: list[int]) -> None:
        ended = await parts.end_wholes(self._term.db, self._term.number, over, self._chains)
        for row in ended:
            self._term.publish(_ended(row))
        left = self._open.wholes - {row["id"] for row in ended}
        self._open = msgspec.structs.replace(self._open, wholes=left)
        self.queued = True

    async def _stop(self, which: set[int], by: str) -> None:
        if which:
            await runs.cancel(self._term.db, self._term.number, sorted(which), by)
            self._asked |= which
            self._moved = True

    def _gone(self, waiting: list[Part]) -> dict[int, str]:
        """Return why those end whose place is gone for longer than it may be."""
        there = self._hands.placement.is_there
        now = steady()
        absent = {p.place for p in waiting if not there(p.place)}
        self._absent = {place: self._absent.get(place, now) for place in absent}
        found = {}
        for part in waiting:
            limit = self._lease if part.place.startswith("node:") else RETURN_WITHIN
            since = self._absent.get(part.place)
            if since is None:
                continue
            if now - since >= limit:
                found[part.id] = _why_gone(part, limit)
            else:
                self._next_look = min(self._next_look, since + limit)
        return found

    def _report(self, row: Record) -> None:
        log.warning(
            "a part of a run ends, as its place is gone",
            extra={"run": row["id"], "job": row["job"], "error": row["error"]},
        )
        self._occupancy.remove(row["id"])
        self._term.publish(_finished(row))

    async def _begin(self, waiting: list[Part]) -> None:
        """Hand over those that may begin, and begin those that are the leader's own."""
        self._held = False
        busy = Counter((p.job, p.place) for p in self._open.parts if not p.waits)
        chosen: list[tuple[Part, UUID]] = []
        now = self._term.clock.now()
        for part in waiting:
            if part.run_at > now + LOOKAHEAD:
                due = steady() + self._term.clock.until(part.run_at - LOOKAHEAD)
                self._next_look = min(self._next_look, due)
                continue
            node = self._node_of(part, busy)
            if node is not None:
                busy[part.job, part.place] += 1
                chosen.append((part, node))
        if not chosen:
            return
        wait = max(self._term.clock.until(p.run_at) for p, _ in chosen)
        elsewhere = [(p.id, node) for p, node in chosen]
        for run_id in await self._hands.hand(elsewhere, wait, parts=True):
            self._occupancy.remove(run_id)
        own = {p.id: p for p, node in chosen if node == self._hands.here}
        if own:
            await self._claim(own)

    async def _claim(self, own: dict[int, Part]) -> None:
        here = self._hands.here
        claims = await parts.claim(self._term.db, self._term.number, here, list(own))
        claimed = {c.run_id for c in claims}
        self._hands.claimed(claimed)
        for claim in claims:
            old = self._occupancy.remove(claim.run_id)
            if old is not None:
                self._occupancy.add(
                    msgspec.structs.replace(old, token=claim.token, foreign=False, node=None)
                )
            self._own[claim.run_id] = claim.token
            if (late := late_slot(claim)) is not None:
                self._term.publish(late)
            self._runner.start(claim, claim.slot if claim.attempt == 1 else None)

    def _node_of(self, part: Part, busy: Counter[tuple[str, str]]) -> UUID | None:
        """Return the node that is to work on a part now, its place in `Occupancy` taken."""
        policies = self._policies(part.job, part.policies, f"run {part.id}")
        if policies is None or self._waits_for_another(part, policies):
            return None
        limit = policies.max_running
        if limit is not None and busy[part.job, part.place] >= limit:
            return None
        key, key_limit = part.concurrency_key, policies.key_limit
        self._held = True
        if not self._occupancy.admits(part.job, None, key, None, key_limit):
            return None
        node = self._hands.placement.at(part.place, part.job, policies)
        if node is not None:
            self._occupancy.add(
                Occupant(
                    run_id=part.id,
                    job=part.job,
                    key=key,
                    key_limit=key_limit,
                    executor=policies.executor,
                    foreign=True,
                    node=node,
                )
            )
        return node

    def _waits_for_another(self, part: Part, policies: Policies) -> bool:
        """Return whether an earlier part of its schedule at its place is not over."""
        return (
            part.schedule_id is not None
            and policies.overlap != "allow"
            and any(
                (p.schedule_id, p.place) == (part.schedule_id, part.place)
                and (p.run_at, p.id) < (part.run_at, part.id)
                for p in self._open.parts
            )
        )

    def _policies(self, job: str, overrides: dict[str, object], subject: str) -> Policies | None:
        declared = self._jobs.get(job)
        if declared is None:
            return None
        try:
            return declared.policies.changed(overrides, subject)
        except Exception:  # whatever JSON its row holds
            return declared.policies  # the runner says what is wrong with them


def _ended(row: Record) -> RunFinished | SlotSettled:
    """Return how a whole ended; one whose slot did not run is told as that slot."""
    if row["verdict"] is not None:
        return SlotSettled(
            job=row["job"],
            schedule=row["schedule"] or "",
            slot=row["slot"],
            verdict=row["verdict"],
            reason=row["error"] or "",
        )
    result = None if row["result"] is None else row["result"].encode()
    return _finished(row, result=result, parts=row["parts"])


def _finished(row: Record, result: bytes | None = None, parts: int = 0) -> RunFinished:
    """Return how a part, or a whole, ended."""
    return RunFinished(
        run_id=row["id"],
        job=row["job"],
        attempt=row["attempt"],
        slot=row["slot"],
        state=row["state"],
        duration=row["lasted"],
        error=row["error"],
        result=result,
        parts=parts,
    )


def _overlap(earlier: Part | None) -> str | None:
    return None if earlier is None else f"overlap: its earlier run {earlier.id} is not over"


def _why_gone(part: Part, limit: float) -> str:
    kind, _, name = part.place.partition(":")
    if kind == "node":
        return f"its node '{part.place_name}' ({name}) left before it was done"
    return f"its host '{part.place_name}' was without a replica for {limit:g} s"
