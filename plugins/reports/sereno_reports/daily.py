"""The job that makes the daily report."""

from datetime import date, datetime
from typing import Any

import msgspec

from sereno import RunContext, cron, job, retry
from sereno_reports.comparison import compared, days_to_compare
from sereno_reports.database import connected
from sereno_reports.day import BusinessDay, day_at, previous_day
from sereno_reports.page import to_html
from sereno_reports.settings import Settings
from sereno_reports.sheet import to_csv
from sereno_reports.shelf import Report, figures_of, keep, prepare
from sereno_reports.source import CallsMissingError, read_figures
from sereno_reports.words import words_in

NAME = "daily"


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

    A slot that runs late still reports its own day. Made again, it keeps a new revision only when
    the figures have changed.
    """
    settings: Settings = run.settings
    day = chosen_day(run.params, settings, run.slot or run.now())
    now = run.now()
    if day.start > now:
        raise ValueError(f"day is {day.date}, it has not begun in {day.zone}")
    async with connected(settings.database_url or run.database_url) as database:
        try:
            figures = await read_figures(database, day, settings, partial=now < day.end)
        except CallsMissingError as error:
            if settings.calls_required:
                raise
            return {"day": day.date.isoformat(), "revision": None, "note": str(error)}
        await prepare(database)
        earlier = await figures_of(database, NAME, settings.digest, days_to_compare(day.date))
        figures.comparison = compared(earlier)
        run.progress(1, 2, note=f"{figures.total.calls} calls read")
        report = Report(
            name=NAME,
            params_hash=settings.digest,
            figures=figures,
            html=to_html(figures, settings, now),
            csv=to_csv(figures, words_in(settings.language)),
        )
        kept = await keep(database, report, _fence(run, settings))
    run.log.info(
        "report made",
        extra={"day": figures.day, "revision": kept.revision, "changed": kept.changed},
    )
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


def _fence(run: RunContext[Any], settings: Settings) -> Any:
    """Return the run's fence, which holds in the kernel's own database alone."""

    async def none(connection: Any) -> None:
        return None

    return run.fence if settings.database_url in (None, run.database_url) else none
