"""Writes a report as one HTML page that needs nothing else: styles and charts are inside."""

from functools import cache
from typing import Any

from sereno import lazy
from sereno_reports.chart import draw
from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.view import View

_ABREAST = 3


@cache
def _templates() -> Any:
    # Loaded by the first report: 2 MB that a node which makes none need not carry.
    jinja2 = lazy("jinja2")
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("sereno_reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["zip"] = zip
    return found


def to_html(figures: Figures, look: Look) -> str:
    """Return the page."""
    view = View(figures, look)
    shown = [table for table in view.tables if not table.table.sheet]
    page: str = (
        _templates()
        .get_template("report.html.j2")
        .render(
            view=view,
            words=view.words,
            text=view.words.texts,
            blocks=_blocks(shown),
            charts={table.table.name: draw(table, view.words.number) for table in shown},
        )
    )
    return page


def _blocks(tables: list[Any]) -> list[list[Any]]:
    """Return the tables as they stand below one another, up to three narrow ones in a row."""
    found: list[list[Any]] = []
    for table in tables:
        beside = found and len(found[-1]) < _ABREAST and found[-1][0].table.narrow
        if table.table.narrow and beside:
            found[-1].append(table)
        else:
            found.append([table])
    return found
