"""Verbs of whole chains: see one, wait for it, stop it, try it again from where it failed."""

import asyncio
import math
from datetime import timedelta
from time import monotonic

import msgspec

from sereno.client.verbs import Duration, Verbs, check_texts, checked_id
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import (
    ConflictError,
    StoreRightsError,
    StoreUnavailableError,
    WaitTimeoutError,
)
from sereno.model.text import shortened
from sereno.store import chain_changes
from sereno.store.chain_changes import ChainRetried, ChainStopped
from sereno.store.chain_walk import FanOutView, walk
from sereno.store.chains import RunChain, chain

_FIRST_LOOK, _LAST_LOOK, _SLOWER = 0.05, 1.0, 1.3
"""Seconds between two looks at a chain: at first, in the end, and how they grow."""

_MOST = 200_000
_MAX_REASON = 1_000


class ChainVerbs(Verbs):
    """Verbs of chains: of all runs that one led to, and that led to it."""

    async def chain(self, run_id: int) -> RunChain:
        """Return the runs that `run_id` came from and that came from it, and what followed what.

        Of a chain at most 200 runs, and 20 of a fan-out. Raises NotFoundError.
        """
        return await chain(self._db, checked_id(run_id))

    async def wait_chain(
        self, run_id: int, *, timeout: Duration | None = None, whole: bool = False
    ) -> RunChain:
        """Return the chain from `run_id` on once nothing of it waits or is under way, however it
        ended: look at `succeeded`. `whole`: with what came before it, and beside.

        Goes on over a database that is away. Raises NotFoundError, and WaitTimeoutError after
        `timeout`: the chain goes on then.
        """
        limit = math.inf if timeout is None else parse_duration(timeout).total_seconds()
        until, pause, what = monotonic() + limit, _FIRST_LOOK, "not known yet"
        await chain(self._db, checked_id(run_id), up=whole)
        while True:
            try:
                found = await walk(self._db.fetch, run_id, up=whole, most=_MOST, children=_followed)
                if found.over:
                    shown = await chain(self._db, run_id, up=whole)
                    return msgspec.structs.replace(shown, failed=found.failed)
                what = _under_way(found.live, [f for f in found.fan_outs.values() if not f.over])
            except StoreRightsError:
                raise
            except StoreUnavailableError as error:
                what = f"not known: {error}"
            left = until - monotonic()
            if left <= 0:
                raise WaitTimeoutError(
                    f"the chain of run {run_id} is not over after "
                    f"{format_duration(timedelta(seconds=limit))}: {what}; it goes on, "
                    f"`sereno show {run_id} --chain` tells of it"
                )
            await asyncio.sleep(min(pause, left))
            pause = min(pause * _SLOWER, _LAST_LOOK)

    async def cancel_chain(
        self, run_id: int, *, reason: str | None = None, requested_by: str | None = None
    ) -> ChainStopped:
        """End what waits of the chain of `run_id`, ask what is under way to stop; nothing follows
        them. Raises NotFoundError, and ConflictError when all of it is over."""
        check_texts(reason=reason, requested_by=requested_by)
        reason = None if reason is None else shortened(reason, _MAX_REASON)
        await chain(self._db, checked_id(run_id))
        found = await chain_changes.stop(self._db, run_id, self._by(requested_by), reason)
        if not found.cancelled and not found.asked:
            raise ConflictError(f"the chain of run {run_id} is over already")
        return found

    async def retry_chain(self, run_id: int, *, requested_by: str | None = None) -> ChainRetried:
        """Queue again what failed of the chain of `run_id`, all or none; what succeeded is not run
        again, and what was to follow follows.

        Raises NotFoundError, ConflictError when nothing of it failed, and ParamsError for a step
        that cannot be repeated, as a secret param of its was not kept.
        """
        check_texts(requested_by=requested_by)
        await chain(self._db, checked_id(run_id))
        found = await chain_changes.retry(self._db, run_id, self._by(requested_by))
        if not found.steps and not found.children:
            raise ConflictError(
                f"no step of the chain of run {run_id} has failed, or each was repeated already"
            )
        return found


def _followed(fan: FanOutView) -> int:
    """Look at children only where something follows theirs: the others are counted."""
    return fan.total + fan.failed * fan.rounds if fan.followed else 0


def _under_way(live: list[int], fans: list[FanOutView]) -> str:
    told = [f"run {n}" for n in live[:10]]
    told += [f"{fan.ended:,} of {fan.total:,} runs of {fan.job} are over" for fan in fans[:10]]
    return ", ".join(told)
