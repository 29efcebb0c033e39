"""How a report is written: its declaration, language, names and targets, kept by its figures."""

from typing import Any

import msgspec

from sereno_reports.declared import Declared, ReportTable
from sereno_reports.figures import Figures
from sereno_reports.settings import Language, Settings

Names = dict[str, dict[str, str]]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report's texts are made of, beside its figures. `names`: by kind and number."""

    declared: Declared
    language: Language
    organisation: str = ""
    targets: dict[str, float] = {}
    names: Names = {}

    def name_of(self, kind: str | None, number: Any) -> str:
        """Return the name of an agent or a queue, "" where none is known."""
        return self.names.get(kind or "", {}).get(str(number), "")


def look_of(declared: Declared, figures: Figures, settings: Settings, names: Names) -> Look:
    """Return the look of `figures`; of the names, those that they show."""
    shown: dict[str, set[str]] = {"agent": set(), "queue": set()}
    for table in declared.tables:
        for kind, numbers in _numbers(table, figures).items():
            shown[kind] |= numbers
    return Look(
        declared=declared,
        language=settings.language,
        organisation=settings.organisation,
        targets=dict(sorted(settings.targets.items())),
        names={
            kind: {
                number: name
                for number in sorted(numbers)
                if (name := names.get(kind, {}).get(number))
            }
            for kind, numbers in shown.items()
        },
    )


def _numbers(table: ReportTable, figures: Figures) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for column in table.columns:
        if column.names is not None:
            rows = figures.rows(table.name)
            cells = {str(row[column.name]) for row in rows if row.get(column.name) is not None}
            found.setdefault(column.names, set()).update(cells)
    return found
