"""Reads which runs a run came from along chains, and which came from it."""

import re

import msgspec

from sereno.store.pool import Database
from sereno.store.views import RunView, listed, run

_MOST_RUNS = 200
"""Runs of one chain that are shown at most: a tree of chains may have as many as anybody likes."""

_LOOKED_AT = 10_000
"""Runs of a chained job that are looked at: those queued soonest after the run that it follows."""

_UPSTREAM = re.compile(r"runs? (\d{1,18}(?:, \d{1,18})*)")


class RunChain(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that belong together, the newest first, and by whose success another was queued:
    `links` are pairs of the run before and the run after. `whole`: none is left out."""

    run_id: int
    runs: tuple[RunView, ...]
    links: tuple[tuple[int, int], ...]
    whole: bool


async def chain(db: Database, run_id: int) -> RunChain:
    """Return the chain in which `run_id` stands, alone where it is in none; raises
    NotFoundError."""
    first = await run(db, run_id, lines=0)
    known: dict[int, RunView] = {}
    links: set[tuple[int, int]] = set()
    waiting, whole = [first.id], True
    while waiting and len(known) < _MOST_RUNS:
        asked = waiting[: _MOST_RUNS - len(known)]
        rest = waiting[len(asked) :]
        found = await listed(db, asked)
        known |= {each.id: each for each in found}
        new: set[int] = set()
        for each in found:
            above = _upstream(each)
            below = [int(r["id"]) for r in await db.fetch("chain_below", each.id, _LOOKED_AT)]
            links |= {(n, each.id) for n in above} | {(each.id, n) for n in below}
            new.update(above, below)
        waiting = [*rest, *sorted(new.difference(known, rest))]
    if waiting:
        whole = False
    shown_links = sorted(pair for pair in links if known.keys() >= set(pair))
    runs = sorted(known.values(), key=lambda each: -each.id)
    return RunChain(run_id=run_id, runs=tuple(runs), links=tuple(shown_links), whole=whole)


def _upstream(found: RunView) -> list[int]:
    """Return the runs whose success queued `found`, as it says who asked for it."""
    named = _UPSTREAM.fullmatch(found.requested_by or "") if found.cause == "chain" else None
    return [] if named is None else [int(n) for n in named[1].split(", ")]
