"""The job that delivers kept reports."""

from typing import Any

from sereno import RunContext, every, job, lazy


@job("reports.deliver", schedule=every("1m"), timeout="9m", overlap="skip", severity="warning")
async def deliver(run: RunContext[Any]) -> dict[str, int]:
    """Deliver what waits; fail where a delivery was given up."""
    # Loaded by the first delivery: a node that waits carries neither mail nor spreadsheets.
    counts: dict[str, int] = await lazy("sereno_reports.sender").sent(run)
    return counts
