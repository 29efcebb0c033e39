"""The job that makes the declared checks."""

from typing import Any

import msgspec

from sereno import RunContext, cron, job
from sereno_cleanup.checks import record
from sereno_cleanup.checks.check import make
from sereno_cleanup.database import connected
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.settings import Settings


class IntegrityError(Exception):
    """Checks have failed; the sentence names them."""


class IntegrityParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`check`: only the one of this name."""

    check: str | None = None


@job(
    "cleanup.integrity",
    schedule=cron("30 4 * * *"),
    params=IntegrityParams,
    timeout="2h",
    overdue_after="25h",
    severity="warning",
)
async def integrity(run: RunContext[IntegrityParams]) -> dict[str, Any]:
    """Make every check and keep what was found.

    Raises IntegrityError, after all were made, when one failed.
    """
    settings: Settings = run.settings
    url = settings.database_url or run.database_url
    found, left = [], 0
    for rule in settings.checks:
        if run.params.check not in (None, rule.name):
            continue
        if out_of_time(run):
            left += 1
            continue
        found.append(await make(rule, url))
        run.progress(len(found), len(settings.checks), note=rule.name)
        level = run.log.info if found[-1].ok else run.log.warning
        level("check made", extra=msgspec.to_builtins(found[-1]))
    async with connected(run.database_url, "cleanup.integrity") as database:
        await record.add(database, found, run.run_id, settings.checks_keep)
    failed = [f"{one.check}: {one.sentence}" for one in found if not one.ok]
    if failed or left:
        late = [f"{left} checks had no time"] if left else []
        raise IntegrityError("; ".join([*failed, *late]))
    return {"checks": len(found), "failed": 0}
