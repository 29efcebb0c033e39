"""Reads a report's figures: all of its SQL in one snapshot, which cannot write."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sereno_reports.answer import answer, snapshot
from sereno_reports.cells import kept_cell
from sereno_reports.declared import Card, DeclaredError, Folder, ReportTable
from sereno_reports.figures import Context, Figures, Grid
from sereno_reports.period import Period, at_instant
from sereno_reports.query import query
from sereno_reports.settings import Settings


class FiguresMissingError(Exception):
    """There is no table of figures to report."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which report of what, as of `now`; `params`: for its SQL, beside the declared ones."""

    folder: Folder
    period: Period
    settings: Settings
    now: datetime
    recipient: str = ""
    params: Mapping[str, Any] = {}


async def read_figures(connection: Any, asked: Question) -> Figures:
    """Return the figures, but for those of earlier periods.

    Raises FiguresMissingError where a table that the report needs is not there, and DeclaredError
    where its SQL is at fault.
    """
    declared, period = asked.folder.report, asked.period
    async with snapshot(connection, period.zone):
        await _check_needs(connection, asked)
        sources = await _sources(connection, asked)
        _check_kept(asked, sources)
        end = min(period.end, max(asked.now, period.start))
        names = [row["source"] for row in sources] or list(asked.settings.sources)
        tables, gone = await _tables(connection, asked, declared.tables, names)
        beside = {table.name for table in declared.tables if table.window is not None}
        return Figures(
            name=asked.folder.name,
            kind=period.kind,
            day=period.first.isoformat(),
            last=period.last.isoformat(),
            zone=period.zone,
            recipient=asked.recipient,
            partial=asked.now < period.end,
            behind=[row["source"] for row in sources if not _has_reached(row["reached"], end)],
            rules={
                name: _agreed([row[name] for row in sources])
                for name in ("level_seconds", "short_seconds")
                if sources
            },
            tables={name: grid for name, grid in tables.items() if name not in beside},
            context=Context(
                tables={name: grid for name, grid in tables.items() if name in beside},
                gone=[name for name in gone if name not in beside],
            ),
        )


async def _check_needs(connection: Any, asked: Question) -> None:
    for table in asked.folder.report.needs:
        if await connection.fetchval(query("exists"), table) is None:
            raise FiguresMissingError(
                f"report '{asked.folder.name}' needs {table}, which does not exist; it is made by "
                "`sereno trigger etl_ivr.aggregate --wait`"
                if table.startswith("ivr.")
                else f"report '{asked.folder.name}' needs {table}, which does not exist"
            )


async def _sources(connection: Any, asked: Question) -> list[Any]:
    """Return how far each exchange's calls are counted; raise FiguresMissingError without one."""
    if "ivr.quarter_hours" not in asked.folder.report.needs:
        return []
    found = await connection.fetch(query("sources"), list(asked.settings.sources))
    if not found:
        raise FiguresMissingError(
            f"report '{asked.folder.name}': no calls were counted yet; load calls, then "
            "`sereno trigger etl_ivr.aggregate --wait`"
        )
    return list(found)


def _check_kept(asked: Question, sources: list[Any]) -> None:
    """Raise FiguresMissingError where figures of the period have gone by retention."""
    for row in sources:
        since = row["figures_from"]
        if since is not None and since > asked.period.start:
            raise FiguresMissingError(
                f"report '{asked.folder.name}' of {asked.period.first}: the figures of "
                f"'{row['source']}' are kept from {since.isoformat()} on (keep_figures); "
                "what was reported of it stays as it is"
            )


async def _tables(
    connection: Any, asked: Question, tables: tuple[ReportTable, ...], sources: list[str]
) -> tuple[dict[str, Grid], list[str]]:
    """Return each table, and the names of those whose SQL says that what they count is `gone`."""
    answers: dict[tuple[Any, ...], Grid] = {}  # several tables may be parts of one answer
    found, gone = {}, []
    for table in tables:
        key = (table.sql, table.buckets, table.window)
        if key not in answers:
            answers[key] = await _answer(connection, asked, table, sources)
        cards = asked.folder.report.cards if table.name == asked.folder.report.head else ()
        try:
            found[table.name] = _part(answers[key], table, cards)
        except DeclaredError as error:
            raise DeclaredError(f"report '{asked.folder.name}', {error}") from error
        if any(row.get("gone") for row in answers[key].mappings()):
            gone.append(table.name)
    return found, gone


async def _answer(connection: Any, asked: Question, table: ReportTable, sources: list[str]) -> Grid:
    values = _values(asked, table, sources)
    found = await answer(connection, asked.folder, table.sql, values, table.name)
    return await asyncio.to_thread(
        lambda: Grid(found.columns, [[kept_cell(cell) for cell in row] for row in found.rows])
    )


def _values(asked: Question, table: ReportTable, sources: list[str]) -> dict[str, Any]:
    period = asked.period
    if table.window is not None:
        period = at_instant(table.window, period.start, period.zone)
    until = min(asked.period.end, max(asked.now, asked.period.start))
    buckets = [bucket for bucket in period.buckets(table.buckets) if bucket[0] < until]
    return {
        **asked.folder.report.params,
        **asked.params,
        "start": period.start,
        "end": until,
        "day": period.first,
        "last_day": asked.period.last,
        "zone": period.zone,
        "starts": [start for start, _ in buckets] or [period.start],
        "labels": [label for _, label in buckets] or [""],
        "sources": sources,
        "recipient": asked.recipient,
        "language": asked.settings.language,
    }


def _part(answer: Grid, table: ReportTable, cards: tuple[Card, ...]) -> Grid:
    """Return the rows of one table, and those columns that it or the cards show."""
    shown = (*table.columns, *cards)
    wanted = {name for c in shown for name in (c.name, c.of, c.per) if name}
    missing = {name for c in shown for name in ((c.of, c.per) if c.of else (c.name,))}
    missing -= set(answer.columns)
    if missing:
        told = ", ".join(sorted(map(str, missing)))
        raise DeclaredError(f"table '{table.name}': {table.sql} gives no column {told}")
    kept = [n for n, name in enumerate(answer.columns) if name in wanted]
    if not table.part:
        return Grid(
            [answer.columns[n] for n in kept], [[row[n] for n in kept] for row in answer.rows]
        )
    if "part" not in answer.columns:
        raise DeclaredError(f"table '{table.name}' is a part, and {table.sql} has no column 'part'")
    at = answer.columns.index("part")
    return Grid(
        [answer.columns[n] for n in kept],
        [[row[n] for n in kept] for row in answer.rows if row[at] == table.part],
    )


def _has_reached(reached: datetime | None, end: datetime) -> bool:
    return reached is not None and reached >= end


def _agreed(values: list[float | None]) -> float | None:
    """Return what all sources were counted by, None where they differ."""
    return values[0] if len(set(values)) == 1 else None
