"""Writes a report as CSV: hours, queues, agents and the total, told apart by the first column."""

import csv
import io
from collections.abc import Iterator

from sereno_reports.figures import Facts, Figures
from sereno_reports.words import Words

_FACTS = (
    "calls",
    "offered",
    "answered",
    "abandoned",
    "short",
    "overflow",
    "ivr",
    "other",
    "outbound",
    "talk_s",
    "wait_s",
    "waits",
    "within",
    "abandon_s",
    "answer_rate",
    "abandon_rate",
    "service_level",
    "handling_s",
    "answer_s",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(figures: Figures, words: Words) -> str:
    """Return UTF-8 text for RFC 4180; ratios are shares from 0 to 1, empty where there is none."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    column, section = words.texts["column"], words.texts["section"]
    writer.writerow([column["section"], column["label"], column["start"], *_FACTS])
    for row in figures.hours:
        start = row.start.isoformat() if row.start else ""
        writer.writerow([section["hour"], neutral(row.label), start, *_cells(row.facts)])
    for name, rows in (("queue", figures.queues), ("agent", figures.agents)):
        for row in rows:
            writer.writerow([section[name], neutral(row.label), "", *_cells(row.facts)])
    writer.writerow([section["total"], figures.day, "", *_cells(figures.total)])
    return out.getvalue()


def neutral(cell: str) -> str:
    """Return `cell` so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(facts: Facts) -> Iterator[str]:
    for name in _FACTS:
        value = getattr(facts, name)
        yield "" if value is None else str(value)
