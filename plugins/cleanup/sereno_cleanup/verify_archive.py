"""The job that reads archives again, so that a copy which has gone bad is told while its loss can
still be mended; copies past their own time go."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno import RunContext, cron, job
from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.known import (
    ArchiveGoneError,
    KnownArchives,
    forget,
    known_from_thread,
    remember_from_thread,
)
from sereno_cleanup.archives.verification import Verification, Verified
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.names import readable
from sereno_cleanup.settings import Settings
from sereno_cleanup.tally import SweepCount, add_from_thread


class VerifyParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`accept`: an archive of a rule; what is there now takes the place of what was known of it."""

    accept: str | None = None


@job(
    "cleanup.verify_archive",
    schedule=cron("0 4 * * sun"),
    params=VerifyParams,
    scope="host",
    timeout="6h",
    overdue_after="8d",
    severity="warning",
)
def verify_archive(run: RunContext[VerifyParams]) -> dict[str, Any]:
    """Verify every archive that a rule names, of the machine that runs this.

    Raises CleanupFailedError, after every archive had its turn, when a copy is missing or is not
    what it was, or an archive is not where it was.
    """
    settings: Settings = run.settings
    archives = settings.archives()
    if run.params.accept is not None:
        _accept(run, archives)
    known = known_from_thread(run.database_url)
    found = []
    for directory, keep_days in sorted(archives.items()):
        found.append(_verified(run, known, directory, keep_days))
        run.log.info("archive verified", extra=msgspec.to_builtins(found[-1]))
    whole = [one.archive for one in found if one.failure is None]
    remember_from_thread(run.database_url, known, [a for a in archives if readable(a) in whole])
    add_from_thread(run.database_url, run.job, [c for one in found for c in _counted(one)])
    faults = [fault for one in found if (fault := one.faults) is not None]
    if faults:
        raise CleanupFailedError("; ".join(faults))
    return {"host": known.host, "archives": msgspec.to_builtins(found)}


def _accept(run: RunContext[VerifyParams], archives: dict[str, int | None]) -> None:
    archive = run.params.accept or ""
    if archive not in archives:
        there = ", ".join(sorted(archives))
        raise CleanupFailedError(f"accept: no rule has the archive '{archive}'; there are: {there}")
    asyncio.run(forget(run.database_url, archive))
    run.log.info("archive taken for what it is now", extra={"archive": archive})


def _verified(
    run: RunContext[VerifyParams], known: KnownArchives, directory: str, keep_days: int | None
) -> Verified:
    """Read one archive; what is the matter with it is its own: the next one has its turn."""
    place = Path(directory)
    reading = Verification(
        place,
        ZoneInfo(run.settings.logs_zone),
        run.now(),
        None if keep_days is None else timedelta(days=keep_days),
        run.check,
        lambda: out_of_time(run),
    )
    try:
        known.check(place)
        found = reading.run()
    except STOPPED:
        raise
    except ArchiveGoneError as error:
        return Verified(archive=readable(directory), failure=str(error))
    except Exception as error:
        told = f"{readable(directory)}: {sentence(error)}"
        return Verified(archive=readable(directory), failure=told)
    if not (place / manifest.NAME).exists():
        found.note = "nothing was ever archived here"
    return found


def _counted(found: Verified) -> list[SweepCount]:
    return [
        SweepCount(found.archive, "verified", found.verified),
        SweepCount(found.archive, "missing", len(found.missing)),
        SweepCount(found.archive, "broken", len(found.broken)),
        SweepCount(found.archive, "deleted", found.deleted),
        SweepCount(found.archive, "failed", int(found.failure is not None)),
    ]
