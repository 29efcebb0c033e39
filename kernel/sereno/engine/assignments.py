"""Claims what the leader hands to this node, and begins it: the other half of a hand-over.

States of a hand-over here: heard; in line for a place of its executor; being claimed (one statement
at a time); begun, or waiting for its instant with the `Runner`; left alone, as its term is over, it
was taken back, or this node may not begin anything: then the leader takes it back.

Invariants: nothing is claimed that this node could not begin, and nothing that stands in line
before there is a place for it; a claim carries the term under which the run was handed over, so
that what a new leader counts as waiting is claimed by nobody else.
"""

import asyncio
import logging
from collections import deque

from sereno.engine.lead import Lead
from sereno.engine.node_context import NodeContext
from sereno.engine.queue_events import late_slot
from sereno.engine.runner import Runner
from sereno.model.errors import LeaseLostError, StoreError
from sereno.store import hand_overs, parts, runs

log = logging.getLogger("sereno.runner")


class Assignments:
    """What this node was handed."""

    def __init__(self, context: NodeContext, lead: Lead) -> None:
        self._db = context.db
        self._node = context.status.node
        self._publish = context.publish
        self._lead = lead
        self._heard: deque[hand_overs.HandedRuns] = deque()
        self._lines: dict[str, deque[int]] = {}  # by executor, all handed under the same term
        self._term = 0
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    def put(self, message: str) -> bool:
        """Take what the leader says; return whether it is a hand-over."""
        found = hand_overs.handed_in(message)
        if found is None:
            return False
        if self._closed:
            return True
        if found.line is None:
            self._heard.append(found)
            self._idle.clear()
        elif found.term >= self._term:
            if found.term > self._term:
                self._lines.clear()
            self._term = found.term
            self._lines.setdefault(found.line, deque()).extend(found.runs)
        self._filled.set()
        return True

    def forget_lines(self) -> None:
        """Let what stands in line be another's."""
        self._lines.clear()

    def poll_lines(self) -> None:
        """Claim what stands in line and finds a place."""
        if self._lines:
            self._filled.set()

    @property
    def lined(self) -> bool:
        """Return whether anything stands in line."""
        return bool(self._lines)

    @property
    def busy(self) -> bool:
        """Whether a claim may be on its way."""
        return not self._idle.is_set()

    async def settled(self) -> None:
        """Return once no claim is on its way."""
        await self._idle.wait()

    async def close(self) -> None:
        """Claim nothing more; returns once no claim is on its way."""
        self._closed = True
        self._heard.clear()
        self._lines.clear()
        await self._idle.wait()

    async def work(self, runner: Runner) -> None:
        """Claim and begin for ever."""
        while True:
            self._filled.clear()
            if self._heard:
                term, parted, run_ids = self._next_heard()
            elif run_ids := self._next_in_line(runner):
                term, parted = self._term, False
            else:
                self._idle.set()
                await self._filled.wait()
                continue
            self._idle.clear()
            if self._lead.present_until is None:
                self._lines.clear()
            elif not await self._claim(runner, term, parted, run_ids) and term >= self._term:
                self._lines.clear()  # those would meet the same

    def _next_heard(self) -> tuple[int, bool, list[int]]:
        first = self._heard.popleft()
        run_ids = first.runs
        while self._heard and len(run_ids) < hand_overs.AT_ONCE:
            if (self._heard[0].term, self._heard[0].parted) != (first.term, first.parted):
                break
            run_ids += self._heard.popleft().runs
        return first.term, first.parted, run_ids

    def _next_in_line(self, runner: Runner) -> list[int]:
        """Return, and take out of their lines, those for which there is a place."""
        found: list[int] = []
        for executor, line in list(self._lines.items()):
            found += [line.popleft() for _ in range(min(len(line), _room(runner, executor)))]
            if not line:
                del self._lines[executor]
        return found

    async def _claim(self, runner: Runner, term: int, parted: bool, run_ids: list[int]) -> bool:
        """Claim these, and begin them; return whether that could be asked for."""
        try:
            if parted:
                claims = await parts.claim(self._db, term, self._node, run_ids)
            else:
                claims = await runs.claim(self._db, term, self._node, run_ids, handed=True)
        except LeaseLostError:
            return False  # the next leader hands them over anew
        except StoreError as error:
            log.warning("a hand-over cannot be claimed", extra={"error": str(error)})
            return False
        for claim in claims:
            if (late := late_slot(claim)) is not None:
                self._publish(late)
            runner.start(claim, claim.slot if claim.attempt == 1 else None)
        return True


def _room(runner: Runner, executor: str) -> int:
    """Return how many more attempts may begin in an executor whose places are bounded."""
    known = runner.executors.get(executor)
    under_way = {**runner.at_work, **runner.attempts}.values()  # the former: left behind, too
    taken = sum(attempt.policies.executor == executor for attempt in under_way)
    return max(0, ((known and known.capacity) or 0) - taken)
