"""What waits for a replica with labels, or with a plugin's executor, and why none has taken it."""

from datetime import UTC, datetime

import msgspec

from sereno.store.keys import LOCK_CLASS
from sereno.store.pool import Database


class PlacementWait(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of one job that wait for a replica. Of the replicas that are there, `labelled` have the
    labels, `able` of these the executor, and `same` of these the job as the leader declares it."""

    job: str
    labels: tuple[str, ...]
    executor: str
    runs: int
    labelled: int
    able: int
    same: int

    @property
    def sentence(self) -> str:
        """Return who waits for whom, and why."""
        waits = "1 run" if self.runs == 1 else f"{self.runs:,} runs"
        verb = "waits" if self.runs == 1 else "wait"
        labels = f"the labels {', '.join(self.labels)}" if self.labels else ""
        whom = labels or f"a place in the executor '{self.executor}'"
        return f"{waits} of job '{self.job}' {verb} for a replica with {whom}: {self.why}"

    def sentence_of(self, start_by: datetime | None, attempt: int) -> str:
        """Return the sentence of one run, and how long it waits. `start_by`: when it is too late to
        begin; `attempt`: how many have begun, after which that is no limit."""
        if attempt:
            return f"{self.sentence}; it has begun once, so there is no limit to that"
        if start_by is None:
            return f"{self.sentence}; it has no start_by, so there is no limit to that"
        instant = start_by.astimezone(UTC)
        return f"{self.sentence}; by {instant:%Y-%m-%d %H:%M:%S} UTC it begins, or ends unbegun"

    @property
    def why(self) -> str:
        """Return why none has taken them."""
        if not self.labelled:
            return "none is there that has all of them in its node_labels"
        if not self.able and not self.labels:
            return "none is there that works in it"
        if not self.able:
            return f"those that have them have no executor '{self.executor}'"
        if not self.same:
            those = "those that have them" if self.labels else "those that work in it"
            return (
                f"{those} declare the job otherwise than the leader does; a deploy that"
                " ends, or a lead that goes to one of them, mends it"
            )
        return "all their places are taken or closed, or the job's own limits are reached"


async def placement_waits(db: Database, run_id: int | None = None) -> list[PlacementWait]:
    """Return what waits for labels, of the first 10,000 that wait; `run_id`: this run alone."""
    rows = await db.fetch("view_placement_waits", LOCK_CLASS, run_id)
    return [msgspec.convert(dict(row), PlacementWait) for row in rows]
