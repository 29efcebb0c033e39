"""Reads figures of a report as tests speak of them."""

from typing import Any

from sereno_reports.figures import Figures, Row, value
from sereno_reports.folders import found


def cards(figures: Figures) -> dict[str, Any]:
    declared = found(())[figures.name].report
    head = figures.head(declared.head)
    return {card.name: value(card, head) for card in declared.cards}


def rows(figures: Figures, table: str) -> list[Row]:
    return figures.rows(table)
