"""``sereno check --drift``: which schedules this code would fire at other times."""

from datetime import datetime

import click

from sereno.cli.invocation import Invocation
from sereno.cli.moments import exact
from sereno.cli.output import write, write_json, write_table
from sereno.cli.query import ask_database
from sereno.cli.table import TableColumn
from sereno.engine.drift import foresee
from sereno.model.drift import Drift
from sereno.model.schedule_spec import ScheduleSpec
from sereno.observe.complaint import FAILED
from sereno.store.pool import Database

_COLUMNS = (
    TableColumn("schedule"),
    TableColumn("until now"),
    TableColumn("from now on"),
    TableColumn("because", grows=True),
)


def print_drift(invocation: Invocation, as_json: bool) -> None:
    """Print old and new next slots of each schedule that would move; exit code 1 when one does."""
    declared = {
        s.name: ScheduleSpec.of(s.schedule, s.enabled)
        for s in invocation.registry.schedules.values()
    }

    async def question(db: Database) -> list[Drift]:
        return await foresee(db, declared)

    found = ask_database(invocation, question)
    if as_json:
        write_json(
            [
                {
                    "schedule": d.schedule,
                    "because": d.because,
                    "before": d.before,
                    "after": d.after,
                }
                for d in found
            ]
        )
    else:
        _print(found)
    if found:
        raise click.exceptions.Exit(FAILED)


def _cell(slots: list[datetime], n: int) -> str:
    if n < len(slots):
        return exact(slots[n])
    return "" if slots else "none"


def _print(found: list[Drift]) -> None:
    rows = []
    for drift in found:
        length = max(len(drift.before), len(drift.after), 1)
        for n in range(length):
            first = [drift.schedule, drift.because] if n == 0 else ["", ""]
            rows.append([first[0], _cell(drift.before, n), _cell(drift.after, n), first[1]])
    write_table(_COLUMNS, rows, "no schedule moves: every next slot is what it was")
    if found:
        write(f"{len(found)} schedule{'s' * (len(found) != 1)} would fire at other times")
