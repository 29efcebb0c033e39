"""Writes a kept report as a few lines for a terminal, and for the plain part of a mail."""

from typing import Any

import msgspec

from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.settings import Language
from sereno_reports.view import View

_BAR, _BLOCK = 40, "█"


def summary(row: dict[str, Any], language: Language | None = None) -> str:
    """Return the head, and a line with a bar for each row of the first chart that has something."""
    figures = msgspec.convert(row["figures"], Figures)
    look = msgspec.convert(row["look"], Look)
    if language is not None:
        look = msgspec.structs.replace(look, language=language)
    view = View(figures, look)
    state = f"{view.title}: {view.heading} ({figures.zone})"
    if figures.recipient:
        state += f", {figures.recipient}"
    lines = [f"{state}, r{row['revision']}", *view.notes, ""]
    width = max((len(card.title) for card in view.cards), default=0)
    for card in view.cards:
        told = f"  {card.title:<{width}}  {card.value.text:>12}"
        lines.append(f"{told}  {card.target}" if card.target else told)
    lines.append("")
    lines += _bars(view)
    return "\n".join(lines).rstrip()


def _bars(view: View) -> list[str]:
    for table in view.tables:
        chart = table.table.chart
        if chart is None:
            continue
        counts = [sum(row.get(name) or 0 for name in chart.series) for row in table.raw]
        labels = [row[[*table.named].index(chart.label)].text for row in table.rows]
        most = max(counts, default=0)
        return [
            f"  {label:<14} {view.words.number(count):>7}  "
            + "█" * max(1, round(_BAR * count / most))
            for label, count in zip(labels, counts, strict=True)
            if count
        ]
    return []
