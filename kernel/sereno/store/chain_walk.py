"""Walks along chains: from a run to those before and after it, those that repeat it, the children
that it fanned out to, and what followed them."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

_LOOKED_AT = 10_000
"""Runs of a job that are looked at: those queued soonest after the run that they may follow."""

_UPSTREAM = re.compile(r"runs? (\d{1,18}(?:, \d{1,18})*)")

Fetch = Callable[..., Awaitable[Sequence[Any]]]
"""Runs a named block and returns its rows: on a pool, or in a transaction."""

BAD = frozenset({"failed", "timed_out", "cancelled", "lost"})


class FanOutView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has fanned out to. `failed`: of those that `ended`, the ones that did not
    succeed. `rounds`: one more for each time that failed ones were tried again. `children`: the
    first of them, those that did not succeed before the others; `followed`: other jobs come after
    theirs."""

    id: int
    run_id: int
    key: str
    job: str
    on_failure: str
    total: int
    ended: int
    failed: int
    rounds: int
    made_at: datetime
    ended_at: datetime | None = None
    join_job: str | None = None
    join_run: int | None = None
    cancelled_by: str | None = None
    followed: bool = False
    children: tuple[int, ...] = ()

    @property
    def over(self) -> bool:
        """Tell whether all children are over, and what follows is queued."""
        settled = self.join_job is None or self.join_run is not None or self.cancelled_by
        return self.ended >= self.total and bool(settled)


class ChainNode(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as far as a walk needs it."""

    id: int
    job: str
    state: str
    cause: str
    requested_by: str | None
    repeats: int | None
    fan_out: int | None


class Walk(msgspec.Struct, kw_only=True):
    """What was found. `links`: pairs of the run before and the run after. `whole`: nothing is left
    out."""

    runs: dict[int, ChainNode] = {}
    links: set[tuple[int, int]] = set()
    fan_outs: dict[int, FanOutView] = {}
    whole: bool = True

    @property
    def failed(self) -> int:
        """Return how many have not succeeded, and are not repeated; of fan-outs by their counts."""
        bad = (n for n, one in self.runs.items() if one.state in BAD and one.fan_out is None)
        return len(set(bad) - self.repeated) + sum(fan.failed for fan in self.fan_outs.values())

    @property
    def over(self) -> bool:
        """Tell whether nothing of it waits or is under way."""
        return not self.live and all(fan.over for fan in self.fan_outs.values())

    @property
    def live(self) -> list[int]:
        """Return the runs that wait or are under way."""
        return sorted(n for n, one in self.runs.items() if one.state in ("queued", "running"))

    @property
    def repeated(self) -> set[int]:
        """Return the runs that another of the chain repeats."""
        return {one.repeats for one in self.runs.values() if one.repeats is not None}


async def walk(
    fetch: Fetch, start: int, *, up: bool, most: int, children: Callable[[FanOutView], int]
) -> Walk:
    """Return what belongs to the run `start`: what came after it, and with `up` before it, too.

    `children`: how many of a fan-out's are looked at.
    """
    found, waiting = Walk(), [start]
    while waiting and len(found.runs) < most:
        asked = waiting[: most - len(found.runs)]
        rest = waiting[len(asked) :]
        rows = await fetch("chain_runs", asked)
        nodes = [ChainNode(**dict(r)) for r in rows]
        found.runs |= {each.id: each for each in nodes}
        found.links |= {(r["before"], r["after"]) for r in await _after(fetch, nodes)}
        for row in await fetch("chain_fan_outs", [each.id for each in nodes]):
            await _fanned_out(fetch, FanOutView(**dict(row)), children, found)
        for each in nodes if up else ():
            found.links |= {(n, each.id) for n in _before(each)}
        ends = {n for link in found.links for n in (link if up else link[1:])}
        waiting = [*rest, *sorted(ends.difference(found.runs, rest, asked))]
    found.whole = not waiting and all(len(f.children) >= f.total for f in found.fan_outs.values())
    return found


async def _after(fetch: Fetch, nodes: Sequence[ChainNode]) -> Sequence[Any]:
    over = [each.id for each in nodes if each.state not in ("queued", "running")]
    return await fetch("chain_after", over, _LOOKED_AT) if over else ()


async def _fanned_out(
    fetch: Fetch, fan: FanOutView, children: Callable[[FanOutView], int], found: Walk
) -> None:
    limit = children(fan)
    rows = await fetch("chain_children", fan.id, limit) if limit else ()
    fan = msgspec.structs.replace(fan, children=tuple(r["id"] for r in rows))
    found.fan_outs[fan.id] = fan
    found.links |= {(fan.run_id, child) for child in fan.children}
    if fan.join_run is not None:
        found.links |= {(n, fan.join_run) for n in fan.children or (fan.run_id,)}


def _before(found: ChainNode) -> list[int]:
    """Return the runs by whose success `found` was queued, as it says who asked for it, or the one
    that it repeats."""
    if found.repeats is not None:
        return [found.repeats]
    named = _UPSTREAM.fullmatch(found.requested_by or "") if found.cause == "chain" else None
    return [] if named is None else [int(n) for n in named[1].split(", ")]
