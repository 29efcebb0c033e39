"""The job that makes the daily report."""

from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from sereno import RunContext, cron, job, retry
from sereno_reports.database import connected
from sereno_reports.day import BusinessDay, day_at, is_reported, previous_day
from sereno_reports.figures import Figures
from sereno_reports.making import Maker
from sereno_reports.settings import Settings
from sereno_reports.shelf import Kept, prepare
from sereno_reports.source import CallsMissingError


class DailyParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`day`: as 2026-01-31, the last business day when None. `include_today`: the day so far."""

    day: str | None = None
    include_today: bool = False


@job(
    "reports.daily",
    schedule=cron("0 8 * * *"),
    params=DailyParams,
    timeout="15m",
    retry=retry(3, delay="5m"),
    catch_up="all",
    max_catch_up=7,
    overdue_after="25h",
    severity="warning",
)
async def daily(run: RunContext[DailyParams]) -> dict[str, Any]:
    """Make the report of the last business day, or of the day that the params name.

    A slot that runs late still reports its own day. Made again, a report is kept only where its
    figures have changed. Where no day is named, the days before are looked at again: late rows
    revise their reports, and a day that was missed gets one.
    """
    settings: Settings = run.settings
    now = run.now()
    day = chosen_day(run.params, settings, run.slot or now)
    if day.start > now:
        raise ValueError(f"day is {day.date}, it has not begun in {day.zone}")
    async with connected(settings.database_url or run.database_url) as database:
        await prepare(database)
        maker = Maker(database, settings, now, _fence(run, settings))
        try:
            figures, kept = await maker.make(day)
        except CallsMissingError as error:
            if settings.calls_required:
                raise
            return {"day": day.date.isoformat(), "revision": None, "note": str(error)}
        revised = [] if run.params.day else await _revised(run, maker, day)
    run.log.info(
        "report made",
        extra={"day": figures.day, "revision": kept.revision, "changed": kept.changed},
    )
    return _told(figures, kept) | {"revised": revised}


def chosen_day(params: DailyParams, settings: Settings, at: datetime) -> BusinessDay:
    """Return the day to report; raise ValueError when `day` is none."""
    if params.day is not None:
        try:
            return BusinessDay(date.fromisoformat(params.day), settings.zone)
        except ValueError as error:
            raise ValueError(f"day is '{params.day}', it must be like 2026-01-31") from error
    if params.include_today or settings.include_today:
        return day_at(at, settings.zone)
    return previous_day(at, settings.zone, settings.business_days)


async def _revised(run: RunContext[Any], maker: Maker, day: BusinessDay) -> list[str]:
    """Look again at the days before; return those whose report is new or has changed."""
    found = []
    for back in range(maker.settings.recheck_days, 0, -1):
        earlier = BusinessDay(day.date - timedelta(days=back), day.zone)
        if not is_reported(earlier.date, maker.settings.business_days):
            continue
        kept = await maker.look_again(earlier)
        run.progress(maker.settings.recheck_days - back + 1, maker.settings.recheck_days)
        if kept is not None and kept.changed:
            found.append(earlier.date.isoformat())
    if found:
        run.log.info("reports revised", extra={"days": found})
    return found


def _told(figures: Figures, kept: Kept) -> dict[str, Any]:
    total = figures.total
    return {
        "day": figures.day,
        "revision": kept.revision,
        "changed": kept.changed,
        "partial": figures.partial,
        "provisional": figures.provisional,
        "calls": total.calls,
        "offered": total.offered,
        "answered": total.answered,
        "abandoned": total.abandoned,
        "handling_s": total.handling_s,
    }


def _fence(run: RunContext[Any], settings: Settings) -> Any:
    """Return the run's fence, which holds in the kernel's own database alone."""

    async def none(connection: Any) -> None:
        return None

    return run.fence if settings.database_url in (None, run.database_url) else none
