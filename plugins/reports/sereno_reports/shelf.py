"""Where reports are kept: one row for each revision of a report.

A report is (name, day, params_hash). The same figures make no new revision; other figures (late
rows) make the next one. A day that is not over has one revision, written over until it is over.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec

from sereno_reports.figures import Figures
from sereno_reports.queries import query

TABLE = "sereno_reports.report"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One revision, ready to be kept."""

    name: str
    params_hash: str
    figures: Figures
    html: str
    csv: str

    @property
    def day(self) -> date:
        """Return the day that it is about."""
        return date.fromisoformat(self.figures.day)


class Kept(msgspec.Struct, frozen=True):
    """What became of a report: its revision, and whether that is a new text."""

    revision: int
    changed: bool


async def prepare(connection: Any) -> None:
    """Make the shelf's table where it is missing; safe when several do it at once."""
    if await connection.fetchval("SELECT to_regclass($1)", TABLE) is not None:
        return
    async with connection.transaction():
        await connection.execute(query("lock_shelf"), "table")
        await connection.execute(query("create_shelf"))


async def keep(connection: Any, report: Report, fence: Callable[[Any], Awaitable[None]]) -> Kept:
    """Keep `report` unless its newest revision says the same; atomic, behind `fence`."""
    key = (report.name, report.day, report.params_hash)
    figures = msgspec.to_builtins(report.figures)
    async with connection.transaction():
        await connection.execute(query("lock_shelf"), " ".join(map(str, key)))
        newest = await connection.fetchrow(query("newest_revision"), *key, figures)
        if newest is not None and newest["same"]:
            return Kept(newest["revision"], changed=False)
        revision = _next(newest)
        await fence(connection)
        await connection.execute(
            query("add_report"),
            *key[:2],
            report.figures.zone,
            report.params_hash,
            revision,
            report.figures.partial,
            report.html,
            report.csv,
            figures,
        )
    return Kept(revision, changed=True)


async def figures_of(
    connection: Any, name: str, params_hash: str, days: list[date]
) -> list[Figures]:
    """Return the newest figures of those `days` that have a report and were over."""
    rows = await connection.fetch(query("figures_of_days"), name, params_hash, days)
    return [msgspec.convert(row["figures"], Figures) for row in rows]


async def newest(connection: Any, limit: int) -> list[dict[str, Any]]:
    """Return the newest revision of each report, the newest day first."""
    if await connection.fetchval("SELECT to_regclass($1)", TABLE) is None:
        return []
    return [dict(row) for row in await connection.fetch(query("list_reports"), limit)]


async def find(
    connection: Any, day: date, revision: int | None, params: str
) -> dict[str, Any] | None:
    """Return the report of `day` whose params_hash begins with `params`.

    Its newest revision when `revision` is None; the one made last where several fit.
    """
    if await connection.fetchval("SELECT to_regclass($1)", TABLE) is None:
        return None
    row = await connection.fetchrow(query("get_report"), day, revision, params)
    return None if row is None else dict(row)


def _next(newest: Any) -> int:
    if newest is None:
        return 1
    return int(newest["revision"]) + (0 if newest["partial"] else 1)
