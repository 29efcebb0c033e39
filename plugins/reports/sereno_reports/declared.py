"""A report as a folder declares it: ``report.toml`` beside its SQL."""

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from sereno import Trigger, TriggerError, cron, lazy, parse
from sereno_reports.period import Kind, Step
from sereno_reports.settings import DeliveredForm, Language, Severity

Text = str | dict[Language, str]
Unit = Literal["text", "count", "number", "share", "duration", "date", "instant"]
Named = Literal["agent", "queue"]

FILE = "report.toml"

_CRON_FIELDS = 5
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAKEN = {"deliver"}
"""Names that jobs of this plugin have beside reports."""


class DeclaredError(ValueError):
    """A folder does not declare a report."""


class Declaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a declaration hold to: no key that nobody knows."""


class ReportColumn(Declaration, frozen=True, kw_only=True):
    """A column of a table.

    `of`, `per`: columns of the SQL whose quotient it shows. `sums`: its total is the sum; so it is
    of a count unless it says otherwise. `good`: which values a target asks for. `wide`: not shown
    on a telephone. `sheet`: only in XLSX and CSV. `names`: its cells are numbers of agents or
    queues, and their names stand beside. `values`: what stands for a text that the SQL gives.
    """

    name: str
    title: Text
    unit: Unit = "count"
    of: str | None = None
    per: str | None = None
    sums: bool | None = None
    good: Literal["high", "low"] | None = None
    wide: bool = False
    sheet: bool = False
    names: Named | None = None
    values: dict[str, Text] = {}

    @property
    def is_summed(self) -> bool:
        """Tell whether the total of this column is the sum."""
        return self.unit == "count" if self.sums is None else self.sums


class Card(ReportColumn, frozen=True, kw_only=True):
    """A figure in the head. `below`: a line with other cards in braces. `hidden`: for those."""

    below: Text = ""
    hidden: bool = False
    tone: Literal["", "good", "bad"] = ""


class ReportChart(Declaration, frozen=True, kw_only=True):
    """Bars over a table's rows. `series`: columns that are stacked, and the tone of each."""

    label: str
    series: dict[str, Literal["good", "bad", "rest", "quiet"]]


class ReportTable(Declaration, frozen=True, kw_only=True):
    """A table.

    `part`: the rows of the SQL whose column `part` says so. `layout`: a `list` shows its one row
    as lines. `top`: rows that a page shows. `narrow`: stands beside others. `sheet`: only in XLSX
    and CSV. `buckets`: the steps of the clock that ``:starts`` holds. `window`: what it covers, in
    the place of the period: so far.
    """

    name: str
    title: Text
    sql: str
    columns: tuple[ReportColumn, ...]
    part: str = ""
    layout: Literal["table", "list"] = "table"
    note: Text = ""
    total: bool = False
    chart: ReportChart | None = None
    top: int | None = None
    narrow: bool = False
    sheet: bool = False
    buckets: Step = "hour"
    window: Kind | None = None


class Definition(Declaration, frozen=True, kw_only=True):
    """What a word of the report means."""

    term: Text
    meaning: Text


class Declared(Declaration, frozen=True, kw_only=True):
    """A report.

    `schedule`: on the business's clock; "" for when it is asked for. `compare`: with so many
    periods before, as far as they have reports. `head`: the table whose first row the cards show.
    `needs`: tables without which there is nothing to report. `database`: where its SQL runs.
    `recipients`: who gets it; or a file of SQL that gives rows (recipient, address, language), and
    the report is made for each. `severity`: of the message that brings it, as routes see it.
    """

    title: Text
    period: Kind = "day"
    schedule: str = ""
    compare: int = 0
    head: str = ""
    cards: tuple[Card, ...] = ()
    tables: tuple[ReportTable, ...]
    definitions: tuple[Definition, ...] = ()
    params: dict[str, str | int | float | bool] = {}
    needs: tuple[str, ...] = ()
    database: Literal["reports", "kernel"] = "reports"
    recipients: tuple[str, ...] | str = ()
    formats: tuple[DeliveredForm, ...] = ("html", "xlsx")
    severity: Severity = "info"


class Folder(msgspec.Struct, frozen=True, dict=True):
    """A declared report and where its SQL is. `fault`: why it cannot be made."""

    name: str
    path: Path
    declared: Declared | None = None
    fault: str = ""

    @cached_property
    def report(self) -> Declared:
        """Return the declaration; raise DeclaredError where the folder has none."""
        if self.declared is None:
            raise DeclaredError(self.fault)
        return self.declared

    def sql(self, name: str) -> str:
        """Return the SQL in the file `name`; raise DeclaredError."""
        try:
            text = (self.path / name).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:  # of a path, and of UTF-8
            raise DeclaredError(
                f"report '{self.name}': '{name}' cannot be read: {error}"
            ) from error
        if "\0" in text:
            raise DeclaredError(f"report '{self.name}': '{name}' holds U+0000: it is no SQL")
        return text


def opened(path: Path, name: str) -> Folder:
    """Read the declaration in the folder `path`; what is wrong with it is the folder's fault."""
    if not _NAME.fullmatch(name) or name in _TAKEN:
        spoken = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        rule = "it must be small letters, digits and _, begin with a letter, and not be 'deliver'"
        return Folder(f"report_{spoken}"[:63], path, fault=f"report '{name}': {rule}: {path}")
    try:
        text = (path / FILE).read_text(encoding="utf-8-sig")  # editors of Windows leave a mark
        raw = lazy("tomllib").loads(text)
        declared = msgspec.convert(raw, Declared)
        _check(declared)
    except (OSError, ValueError, TriggerError) as error:  # of TOML, of msgspec and of the checks
        return Folder(name, path, fault=f"report '{name}': {path / FILE}: {error}")
    return Folder(name, path, declared)


def trigger_of(schedule: str, zone: str) -> Trigger:
    """Return when a report is made: five fields are on the clock of `zone`. Raises TriggerError."""
    is_cron = len(schedule.split()) == _CRON_FIELDS
    return cron(schedule, tz=zone) if is_cron else parse(schedule)


def in_language(text: Text, language: Language) -> str:
    """Return `text` in `language`, or in the one that it has."""
    if isinstance(text, str):
        return text
    return text.get(language) or next(iter(text.values()), "")


def _check(declared: Declared) -> None:
    if declared.schedule:
        trigger_of(declared.schedule, "UTC")
    tables = [table.name for table in declared.tables]
    if len(set(tables)) < len(tables):
        raise DeclaredError(f"two tables have one name: {', '.join(tables)}")
    if declared.head and declared.head not in tables:
        raise DeclaredError(f"head is '{declared.head}', it must be one of {', '.join(tables)}")
    if bool(declared.cards) != bool(declared.head):
        raise DeclaredError("cards need a head, the table whose first row they show, and it them")
    for table in declared.tables:
        columns = {column.name for column in table.columns}
        for column in table.columns:
            _check_column(column, table.name)
        chart = table.chart
        strangers = {chart.label, *chart.series} - columns if chart else set()
        if strangers:
            raise DeclaredError(
                f"table '{table.name}': its chart names {', '.join(sorted(strangers))}; "
                f"columns are {', '.join(sorted(columns))}"
            )
    for card in declared.cards:
        _check_column(card, "cards")
        _check_below(card, declared.cards)


def _check_column(column: ReportColumn, table: str) -> None:
    if (column.of is None) != (column.per is None):
        raise DeclaredError(f"{table}: column '{column.name}' has one of `of` and `per`: give both")


def _check_below(card: Card, cards: tuple[Card, ...]) -> None:
    values: dict[str, Any] = {other.name: "" for other in cards}
    for text in [card.below] if isinstance(card.below, str) else card.below.values():
        try:
            text.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            raise DeclaredError(
                f"card '{card.name}': below is '{text}'; in braces, it may name cards alone"
            ) from error
