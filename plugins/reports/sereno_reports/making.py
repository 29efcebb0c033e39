"""Makes and keeps the report of one day."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any

import msgspec

from sereno_reports.comparison import compared, days_to_compare
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Figures
from sereno_reports.page import to_html
from sereno_reports.settings import Settings
from sereno_reports.sheet import to_csv
from sereno_reports.shelf import Kept, Report, figures_of, keep
from sereno_reports.source import read_figures
from sereno_reports.words import words_in

NAME = "daily"


class Maker(msgspec.Struct, frozen=True):
    """What all reports of one run have in common. `fence`: see ``RunContext.fence``."""

    connection: Any
    settings: Settings
    now: datetime
    fence: Callable[[Any], Awaitable[None]]

    async def make(self, day: BusinessDay) -> tuple[Figures, Kept]:
        """Make the report of `day`, and keep it where its figures are new."""
        figures = await self._figures(day)
        return figures, await self._keep(figures)

    async def look_again(self, day: BusinessDay) -> Kept | None:
        """Make the report of an earlier `day`, None when it has none and there was no call."""
        figures = await self._figures(day)
        if figures.total.calls or await self._kept([day.date]):
            return await self._keep(figures)
        return None

    async def _figures(self, day: BusinessDay) -> Figures:
        figures = await read_figures(
            self.connection, day, self.settings, partial=self.now < day.end
        )
        figures.comparison = compared(await self._kept(days_to_compare(day.date)))
        return figures

    async def _keep(self, figures: Figures) -> Kept:
        settings = self.settings
        # In a thread: the first page loads the template engine, which the loop need not wait for.
        html = await asyncio.to_thread(to_html, figures, settings, self.now)
        report = Report(
            name=NAME,
            params_hash=settings.digest,
            figures=figures,
            html=html,
            csv=to_csv(figures, words_in(settings.language)),
        )
        return await keep(self.connection, report, self.fence)

    async def _kept(self, days: list[date]) -> list[Figures]:
        """Return the figures of those `days` that have a report and were over."""
        return await figures_of(self.connection, NAME, self.settings.digest, days)
