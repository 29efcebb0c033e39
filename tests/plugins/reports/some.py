"""Figures of a report without a database: as many queues and agents as a test asks for."""

from datetime import date
from typing import Any

from sereno_reports.figures import Context, Figures, Grid, Row
from sereno_reports.folders import found
from sereno_reports.look import Look, look_of
from sereno_reports.period import containing
from sereno_reports.settings import Settings

DAY = "2024-11-19"

_ROW: Row = {
    "calls": 1500,
    "offered": 1500,
    "answered": 1350,
    "abandoned": 150,
    "level_in": 1200,
    "level_of": 1500,
    "talk_s": 187 * 1350,
    "talks": 1350,
    "wait_s": 1350 * 14.5,
    "waits": 1350,
    "wait_p50": 12,
    "wait_p90": 38,
    "wait_longest": 3723,
    "gave_up_after": 41,
    "entries": 1500,
    "entries_answered": 1350,
    "entries_abandoned": 150,
    "entries_level_in": 1200,
    "entries_level_of": 1500,
    "handled": 1350,
}


def some_figures(
    *, queues: tuple[str, ...] = ("400",), agents: tuple[str, ...] = ("201",), **changed: Any
) -> Figures:
    """Return a daily report of 1500 calls; `changed`: fields of it, or cells of its head."""
    folder = found(())["daily"]
    head = _ROW | {k: v for k, v in changed.items() if k not in Figures.__struct_fields__}
    hours = containing("day", date.fromisoformat(DAY), "Europe/Madrid").buckets("hour")
    labels: dict[str, list[str | None]] = {
        "hours": [label for _, label in hours],
        "half_hours": [label for _, label in hours],
        "week": [f"2024-11-{day}" for day in range(18, 25)],
        "queues": list(queues),
        "agents": list(agents),
    }
    tables = {}
    for table in folder.report.tables:
        named = {c.name for c in table.columns if c.names or c.unit in ("text", "date")}
        columns = [*dict.fromkeys([*named, *_ROW, *(c.name for c in table.columns)])]
        rows = [
            [label if name in named else head.get(name, 0) for name in columns]
            for label in labels.get(table.name, [None])
        ]
        tables[table.name] = Grid(columns, rows)
    fields = {k: v for k, v in changed.items() if k in Figures.__struct_fields__}
    known: dict[str, Any] = {
        "name": "daily",
        "kind": "day",
        "day": DAY,
        "last": DAY,
        "zone": "Europe/Madrid",
        "rules": {"level_seconds": 20, "short_seconds": 5},
        "tables": tables,
        "context": Context(tables={"week": tables.pop("week")}),
    }
    return Figures(**(known | fields))


def some_look(figures: Figures, names: Any = None, **settings: Any) -> Look:
    return look_of(found(())[figures.name].report, figures, Settings(**settings), names or {})
