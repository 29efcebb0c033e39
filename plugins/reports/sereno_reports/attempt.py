"""One run of a report's job: which period it is about, and those before that it looks at again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any

from sereno import RunContext
from sereno_reports.database import connected
from sereno_reports.declared import Card, Folder
from sereno_reports.figures import Figures, value
from sereno_reports.making import Maker
from sereno_reports.period import Period, at_instant, containing, is_reported, previous
from sereno_reports.reader import FiguresMissingError
from sereno_reports.settings import Settings
from sereno_reports.shelf import Kept, prepare

FIRST_DAY = date(1970, 1, 1)


async def made(run: RunContext[Any], folder: Folder, params: Any) -> dict[str, Any]:
    """Make the reports of the last period that is over, or of the one that the params name.

    A slot that runs late still reports its own period. Made again, a report is kept only where its
    figures have changed. Where no day is named, the periods before are looked at again: late rows
    revise their reports, and one that was missed is made.
    """
    settings: Settings = run.settings
    now = run.now()
    period = chosen_period(params, settings, folder, run.slot or now)
    if period.start > now:
        raise ValueError(f"day is {period.first}, it has not begun in {period.zone}")
    async with _maker(run, folder, now) as maker:
        try:
            reports = await maker.make(period)
        except FiguresMissingError as error:
            if settings.calls_required:
                raise
            return {"day": period.first.isoformat(), "revision": None, "note": str(error)}
        revised = [] if params.day else await _revised(run, maker, period)
    changed = sum(kept.changed for _, kept in reports)
    run.log.info(
        "report made",
        extra={"report": folder.name, "day": period.first.isoformat(), "changed": changed},
    )
    return _result(folder, period, reports) | {"revised": revised}


def chosen_period(params: Any, settings: Settings, folder: Folder, at: datetime) -> Period:
    """Return the period to report; raise ValueError when `day` is none."""
    kind = folder.report.period
    if params.day is not None:
        try:
            day = date.fromisoformat(params.day)
        except ValueError as error:
            raise ValueError(f"day is '{params.day}', it must be like 2026-01-31") from error
        if day < FIRST_DAY:
            raise ValueError(f"day is {params.day}, it must be {FIRST_DAY} at the earliest")
        return containing(kind, day, settings.zone)
    if params.include_today or settings.include_today:
        return at_instant(kind, at, settings.zone)
    return previous(kind, at, settings.zone, settings.business_days)


@asynccontextmanager
async def _maker(run: RunContext[Any], folder: Folder, now: datetime) -> AsyncIterator[Maker]:
    settings: Settings = run.settings
    kept_url = settings.database_url or run.database_url
    is_own = kept_url == run.database_url
    read_url = run.database_url if folder.report.database == "kernel" else kept_url

    async def none(connection: Any) -> None:
        return None

    async with connected(kept_url) as kept, connected(read_url, any_time=True) as read:
        await prepare(kept)
        # A run's fence holds in the kernel's own database alone.
        fence = run.fence if is_own else none
        yield Maker(folder=folder, kept=kept, read=read, settings=settings, now=now, fence=fence)


async def _revised(run: RunContext[Any], maker: Maker, period: Period) -> list[str]:
    """Look again at the periods before; return those whose report is new or has changed."""
    settings = maker.settings
    count = settings.recheck_days if period.kind == "day" else min(settings.recheck_days, 1)
    found = []
    for back in range(count, 0, -1):
        earlier = _before(period, back)
        if period.kind == "day" and not is_reported(earlier.first, settings.business_days):
            continue
        try:
            reports = await maker.make(earlier, only_known=True)
        except FiguresMissingError:  # they are kept no more: what was reported stays
            continue
        run.progress(count - back + 1, count)
        if any(kept.changed for _, kept in reports):
            found.append(earlier.first.isoformat())
    if found:
        run.log.info("reports revised", extra={"days": found})
    return found


def _before(period: Period, back: int) -> Period:
    if period.kind == "day":
        return containing("day", period.first - timedelta(days=back), period.zone)
    return period.earlier(back)[-1]


def _result(folder: Folder, period: Period, reports: list[tuple[Figures, Kept]]) -> dict[str, Any]:
    told: dict[str, Any] = {"day": period.first.isoformat()}
    if len(reports) != 1:
        return told | {
            "reports": len(reports),
            "changed": sum(kept.changed for _, kept in reports),
            "partial": any(figures.partial for figures, _ in reports),
            "provisional": any(figures.provisional for figures, _ in reports),
        }
    ((figures, kept),) = reports
    head = figures.head(folder.report.head)
    return told | {
        "revision": kept.revision,
        "changed": kept.changed,
        "partial": figures.partial,
        "provisional": figures.provisional,
        **({"gone": figures.context.gone} if figures.context.gone else {}),
        **{_key(card): value(card, head) for card in folder.report.cards},
    }


def _key(card: Card) -> str:
    return (
        f"{card.name}_s" if card.unit == "duration" and not card.name.endswith("_s") else card.name
    )
