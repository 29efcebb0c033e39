"""The runner of the simulated year: no function is called, and attempts end as the world says."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sereno.engine.attempt import Attempt, Why, _Ended
from sereno.engine.executors.in_loop import InLoop
from sereno.engine.job_services import JobServices
from sereno.engine.node_context import NodeContext
from sereno.engine.occupancy import Occupancy
from sereno.engine.progress import RunProgress
from sereno.engine.runner import Runner
from sereno.engine.stalls import Stalls
from sereno.engine.status import Status
from sereno.engine.stragglers import Stragglers
from sereno.engine.unattempted_outcomes import refused
from sereno.model.errors import RunCancelled, SerenoError
from sereno.model.events import RunStalled
from sereno.model.job import Job
from sereno.model.ledger import Claim
from sereno.model.policies import EXECUTORS
from sereno.model.run import Outcome
from sereno.plugins.registry import Given
from sereno.store.pool import Database
from sereno.testing import FakeClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EverTrusted:
    """The lead of those who do not know yet that they were deposed."""

    leading = True
    trusted_until = float("inf")
    present_until = float("inf")
    supplied = False

    def outcome_written(self, outcome: Outcome) -> None:
        """Leave it to the world, which writes the outcomes."""

    def attempt_over(self) -> None:
        """Nothing stands in line here."""

    def place_freed(self) -> None:
        """Leave it to the world."""


class Hands(Runner):
    """The runner, but that it calls no function: it holds attempts until it is told what became of
    it. `claims`: those that it holds; `refusals`: why some of them cannot begin; `told`: which
    attempts have stalled, or speak again, since somebody looked."""

    def __init__(
        self,
        db: Database,
        node: UUID,
        clock: FakeClock,
        jobs: dict[str, Job],
        chance: random.Random,
    ) -> None:
        status = Status(node=node, label="", version="")
        super().__init__(
            NodeContext(
                db=db,
                status=status,
                clock=clock,
                publish=_nobody,
                services=JobServices(db.dsn, 1),
                chance=chance.random,
            ),
            jobs,
            lambda job: Given(settings=None, state=None),
            dict.fromkeys(EXECUTORS, InLoop()),
            Stragglers(db, status, Occupancy(0, {}), lambda: None),
            EverTrusted(),
        )
        self.claims: dict[UUID, Claim] = {}
        self.refusals: dict[UUID, str] = {}
        self.told: list[RunStalled] = []
        self._stalls = self._progress._stalls = Stalls(
            db,
            clock,
            cast(Callable[[object], None], self.told.append),
            lambda: (clock.now() - _EPOCH) / timedelta(seconds=1),
        )

    def start(self, claim: Claim, at: datetime | None = None) -> None:
        assert claim.run_id not in {c.run_id for c in self.claims.values()}, (
            "a run was started twice"
        )
        self.claims[claim.token] = claim
        try:
            attempt = self._attempt(claim)
        except SerenoError as error:
            self.refusals[claim.token] = str(error)
            return
        attempt.began = max(self._clock.now(), at or self._clock.now())
        self._attempts[claim.token] = attempt
        limit = attempt.policies.stalled_after
        if limit is not None:
            self._stalls.watch(claim, attempt.scope, limit, attempt.context.stop.is_set)

    def stop(self, token: UUID, why: Why, who: str | None = None) -> bool:
        if token in self._attempts:
            self._attempts[token].stop(why, who)
        return token in self.claims

    def attempt(self, token: UUID) -> Attempt:
        """Return one that is under way."""
        return self._attempts[token]

    def stopped(self, token: UUID) -> bool:
        """Tell whether an attempt was told to stop."""
        return token in self._attempts and self._attempts[token].why is not None

    def end(self, token: UUID, became: Any) -> Outcome:
        """End an attempt: with an error that its function raises, or what that returns. One that
        could not begin, or was told to stop, ends as such."""
        claim = self.claims[token]
        if token in self.refusals:
            del self.claims[token]
            return refused(claim, self.refusals.pop(token), self._clock.now())
        attempt = self._attempts[token]
        if attempt.why is not None:
            became = RunCancelled("it was told to stop")
        raised = became if isinstance(became, BaseException) else None
        over = asyncio.get_running_loop().create_future()
        over.set_result(_Ended(value=None if raised else became, error=raised))
        attempt.task = cast(Any, over)
        said = self.let_go(token)
        outcome = attempt.outcome()
        return outcome if said is None else said.added_to(outcome)

    def let_go(self, token: UUID) -> RunProgress | None:
        """Forget an attempt; return what it has said."""
        del self.claims[token]
        return self._forget(token)

    async def write_words(self) -> None:
        """Write what its attempts say, and find who is silent, as it does each second."""
        await self._progress.tick()


def _nobody(event: object) -> None:
    """Hear it for nobody."""
