"""Reads which runs a run came from along chains, and which came from it, as people see it."""

import msgspec

from sereno.store.chain_walk import FanOutView, walk
from sereno.store.pool import Database
from sereno.store.views import RunView, listed, run

_MOST_RUNS = 200
"""Runs of one chain that are shown at most: a tree of chains may have as many as anybody likes."""

_CHILDREN = 20
"""Children of one fan-out that are shown, those first that did not succeed."""


class RunChain(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that belong together, the newest first, and by whose end another was queued: `links`
    are pairs of the run before and the run after (or that repeats it). `fan_outs`: with their
    counts, and the first of their children. `repeated`: those that another was queued in the place
    of. `failed`: how many did not succeed, and are not repeated. `over`: nothing of it waits or is
    under way. `whole`: none is left out."""

    run_id: int
    runs: tuple[RunView, ...]
    links: tuple[tuple[int, int], ...]
    whole: bool
    fan_outs: tuple[FanOutView, ...] = ()
    repeated: tuple[int, ...] = ()
    over: bool = False
    failed: int = 0

    @property
    def succeeded(self) -> bool:
        """Tell whether all of it is over and went well."""
        return self.over and not self.failed


async def chain(db: Database, run_id: int, *, up: bool = True) -> RunChain:
    """Return the chain in which `run_id` stands, alone where it is in none; raises
    NotFoundError. `up` false: from that run on."""
    first = await run(db, run_id, lines=0)
    found = await walk(db.fetch, first.id, up=up, most=_MOST_RUNS, children=lambda _: _CHILDREN)
    views = await listed(db, sorted(found.runs))
    shown = sorted(pair for pair in found.links if found.runs.keys() >= set(pair))
    return RunChain(
        run_id=run_id,
        runs=tuple(sorted(views, key=lambda each: -each.id)),
        links=tuple(shown),
        whole=found.whole,
        fan_outs=tuple(found.fan_outs.values()),
        repeated=tuple(sorted(found.repeated)),
        over=found.over,
        failed=found.failed,
    )
