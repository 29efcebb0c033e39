"""Tells in words what a rehearsal has found."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sereno.cli.moments import lasting, moment
from sereno.client import RehearsedFinding, RehearsedPool

_TROUBLES = {
    "waits": "waits",
    "late": "late",
    "skipped": "skipped",
    "missed": "missed",
    "timed_out": "times out",
    "cancelled": "cancelled",
    "full": "full",
}
_HINDRANCES = {
    "schedule": "an earlier run of it that is not over",
    "job": "max_running of its job",
    "key": "its concurrency key",
    "executor": "the places of its executor",
    "node": "max_running of the node",
    "time": "its timeout",
    "other": "",
}


def trouble_words(trouble: str) -> str:
    """Return a kind of trouble in words."""
    return _TROUBLES[trouble]


def hindrance_words(finding: RehearsedFinding) -> str:
    """Return what is in the way in words."""
    known = _HINDRANCES[finding.hindrance]
    if finding.hindrance == "other":
        return finding.detail
    return f"{known} '{finding.detail}'" if finding.detail else known


def pool_words(pools: Sequence[RehearsedPool], now: datetime) -> Iterator[str]:
    """Yield a sentence for each pool that is used."""
    for pool in pools:
        if not pool.most or pool.most_at is None:
            continue
        name = "all runs" if pool.pool == "node" else f"the executor '{pool.pool}'"
        told = f"of {pool.places:,} places for {name} {pool.most:,} are taken at once at most"
        if not pool.full:
            yield f"{told}, first {moment(pool.most_at, now)}"
            continue
        times = "once" if pool.full == 1 else f"{pool.full:,} times"
        first = pool.spans[0] if pool.spans else None
        since = "" if first is None else f", first {moment(first.since, now)}"
        yield f"{told}: all of them {times}{since}, {lasting(pool.full_for)} together"
