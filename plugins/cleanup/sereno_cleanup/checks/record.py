"""Keeps what checks have found, and shows the newest of each on every replica."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from sereno import Collector, Metric, Sample
from sereno_cleanup.checks.check import Found
from sereno_cleanup.database import connected, make_table
from sereno_cleanup.query import query
from sereno_cleanup.settings import CheckRule, Settings

FAILED = Metric("cleanup_check_failed", "gauge", "1 when the check failed when it was last made.")
MADE = Metric(
    "cleanup_check_timestamp_seconds",
    "gauge",
    "When the check was last made, 0 before the first time.",
)


async def add(database: Any, found: Sequence[Found], run_id: int, keep: timedelta) -> None:
    """Add what was found in one run, and forget what is older than `keep`."""
    await make_table(database, "check")
    await database.execute(
        query("check_add"),
        [one.check for one in found],
        [one.ok for one in found],
        [one.sentence for one in found],
        [msgspec.json.encode(one.examples).decode() for one in found],
        run_id,
    )
    await database.execute(query("check_forget"), keep)


class CheckResults(Collector):
    """Reads the newest result of each check."""

    def __init__(self, settings: Settings) -> None:
        self._rules: tuple[CheckRule, ...] = settings.checks

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return both families."""
        return FAILED, MADE

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each check that the settings declare."""
        newest: dict[str, Any] = {}
        async with connected(database_url, "cleanup checks") as database:
            if await database.fetchval(query("check_exists")):
                names = [rule.name for rule in self._rules]
                rows = await database.fetch(query("check_newest"), names)
                newest = {row["check"]: row for row in rows}
        samples = []
        for rule in self._rules:
            row = newest.get(rule.name)
            labels = {"check": rule.name, "severity": rule.severity}
            samples.append(Sample(FAILED, 0 if row is None or row["ok"] else 1, labels))
            samples.append(Sample(MADE, 0 if row is None else row["at"].timestamp(), labels))
        return samples
