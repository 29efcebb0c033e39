"""Reads a day's calls from the table that another plugin fills."""

from typing import Any

from sereno_reports.call import Call
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Figures
from sereno_reports.queries import query
from sereno_reports.settings import Settings
from sereno_reports.table import quoted
from sereno_reports.tally import Tally

PREFETCH = 500


class CallsMissingError(Exception):
    """There is no table of calls."""


async def read_figures(
    connection: Any, day: BusinessDay, settings: Settings, *, partial: bool
) -> Figures:
    """Return the figures of `day`, from one snapshot and in constant memory.

    `partial`: the day is not over. Raises CallsMissingError.
    """
    table = quoted(settings.calls_table)
    if await connection.fetchval("SELECT to_regclass($1)", table) is None:
        raise CallsMissingError(
            f"the table of calls {settings.calls_table} does not exist; load calls first, or name "
            "another table in plugins.reports.calls_table"
        )
    tally = Tally(day, settings.service_level_seconds, settings.short_abandon_seconds)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        statement = query("calls_of_day").replace("{calls}", table)
        bounds = (day.start, day.end)
        async for row in connection.cursor(
            statement,
            *bounds,
            settings.agent_channel,
            settings.outbound_context,
            prefetch=PREFETCH,
        ):
            tally.add(Call(**dict(row)))
        loaded = await connection.fetchval(query("is_loaded").replace("{calls}", table), *bounds)
    return tally.figures(partial=partial, provisional=not loaded and not partial)
