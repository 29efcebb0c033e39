"""Writes a report as one HTML page that needs nothing else: styles and charts are inside."""

from functools import cache
from typing import Any

from sereno import lazy
from sereno_reports.chart import NARROW, WIDE, Chart, draw
from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.view import TableView, View

_ABREAST = 3
_UPRIGHT = 12  # more columns than these need a sheet that lies on its side


@cache
def templates() -> Any:
    """Return where templates are found."""
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
        templates()
        .get_template("report.html.j2")
        .render(
            view=view,
            words=view.words,
            text=view.words.texts,
            blocks=_blocks(shown),
            is_wide=any(_width(table) > _UPRIGHT for table in shown),
            charts={table.table.name: _charts(table, view) for table in shown},
        )
    )
    return page


def _width(table: TableView) -> int:
    return sum(not column.sheet for column in table.columns)


def _charts(table: TableView, view: View) -> list[Chart]:
    """Return the chart for a desk and for paper, and the one for a telephone."""
    drawn = (draw(table, view.words.number, size) for size in (WIDE, NARROW))
    return [chart for chart in drawn if chart is not None]


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
