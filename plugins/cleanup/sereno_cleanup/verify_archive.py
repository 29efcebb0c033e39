"""The job that reads archives again, so that a copy which has gone bad is told while its loss can
still be mended; copies past their own time go."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno import RunContext, cron, job
from sereno_cleanup.archives.verification import Verification
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.settings import Settings


@job(
    "cleanup.verify_archive",
    schedule=cron("0 4 * * sun"),
    timeout="6h",
    overdue_after="8d",
    severity="warning",
)
def verify_archive(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Verify every archive that a rule names.

    Raises CleanupFailedError when a copy is missing or is not what it was.
    """
    settings: Settings = run.settings
    found = []
    for directory, keep_days in sorted(settings.archives().items()):
        reading = Verification(
            Path(directory),
            ZoneInfo(settings.logs_zone),
            run.now(),
            None if keep_days is None else timedelta(days=keep_days),
            run.check,
            lambda: out_of_time(run),
        )
        found.append(reading.run())
        run.log.info("archive verified", extra=msgspec.to_builtins(found[-1]))
    faults = [fault for one in found if (fault := one.faults) is not None]
    if faults:
        raise CleanupFailedError("; ".join(faults))
    return {"archives": msgspec.to_builtins(found)}
