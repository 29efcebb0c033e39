"""Writes a report as the body of a mail: what readers of mail show, on a telephone too."""

import msgspec

from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.page import templates
from sereno_reports.view import TableView, View

MOST = 12  # rows of a table: all of them are attached
MOST_BARS = 100  # of a chart: more are nothing that one reads in a mail


class BarRow(msgspec.Struct, frozen=True):
    """A lying bar: its layers and what is left beside them, in percent of the longest."""

    label: str
    count: str
    told: str
    layers: tuple[tuple[str, float], ...]
    rest: float


class Bars(msgspec.Struct, frozen=True):
    """A chart of cells of a table, since readers of mail draw no other."""

    legend: tuple[tuple[str, str], ...]
    rows: tuple[BarRow, ...]


def to_letter(figures: Figures, look: Look) -> str:
    """Return the body; it names nothing that would have to be fetched."""
    view = View(figures, look)
    shown = [table for table in view.tables if not table.table.sheet]
    body: str = (
        templates()
        .get_template("letter.html.j2")
        .render(
            view=view,
            words=view.words,
            text=view.words.texts,
            tables=shown,
            charts={table.table.name: lying(table, view) for table in shown},
            most=MOST,
        )
    )
    return body


def lying(table: TableView, view: View) -> Bars | None:
    """Return the chart of `table` from its first bar to its last; None where there is none."""
    chart = table.table.chart
    if chart is None or len(table.raw) > MOST_BARS:
        return None
    counts = [[float(row.get(name) or 0) for name in chart.series] for row in table.raw]
    filled = [n for n, row in enumerate(counts) if sum(row)]
    if not filled:
        return None
    most = max(map(sum, counts))
    label = [column.name for column in table.columns].index(chart.label)
    rows = []
    for n in range(filled[0], filled[-1] + 1):
        layers = tuple(
            (tone, round(100 * count / most, 2))
            for tone, count in zip(chart.series.values(), counts[n], strict=True)
            if count
        )
        told = ", ".join(
            f"{view.words.number(count)} {table.named[name].lower()}"
            for name, count in zip(chart.series, counts[n], strict=True)
        )
        rest = round(100 - sum(share for _, share in layers), 2)
        count = view.words.number(sum(counts[n]))
        rows.append(BarRow(table.rows[n][label].text, count, told, layers, max(rest, 0)))
    legend = tuple((tone, table.named[name]) for name, tone in chart.series.items())
    return Bars(legend, tuple(rows))
