"""The jobs by Sereno. What it does by itself takes no line."""

# -- an hourly job: one at a time, 5 minutes at most, late rather than never
from shop.work import download, expire, merged

from sereno import RunContext, cron, every, job, retry


@job("shop.cleanup", schedule=cron("0 * * * *"), timeout="5m", overdue_after="2h")
async def cleanup(run: RunContext) -> dict[str, int]:
    return await expire()


# -- a chain with its result, each step tried three times more a minute apart
@job("shop.sync", schedule=every("2m"), retry=retry(4, delay="60s", factor=1))
async def sync(run: RunContext) -> dict[str, int]:
    return await download()


@job("shop.merge", after="shop.sync", retry=retry(4, delay="60s", factor=1))
async def merge(run: RunContext) -> dict[str, int]:
    return await merged(run.upstream["shop.sync"]["highest_id_after"])


# -- a record of every run: state, times, result, error with its stack
# -- a metric for an alert, when a job has not succeeded for too long
# -- several replicas, of which one schedules
# -- runs by hand, with their result: sereno trigger shop.sync --wait
