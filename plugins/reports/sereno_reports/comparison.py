"""Compares a day with the same weekday of the four weeks before, not with yesterday."""

from datetime import date, timedelta

from sereno_reports.figures import Comparison, Figures, together

WEEKS = 4


def days_to_compare(day: date) -> list[date]:
    """Return the same weekday of the weeks before, the nearest first."""
    return [day - timedelta(weeks=weeks) for weeks in range(1, WEEKS + 1)]


def compared(earlier: list[Figures]) -> Comparison | None:
    """Return the facts of `earlier` days together, None when there is none."""
    if not earlier:
        return None
    return Comparison(
        days=[figures.day for figures in earlier],
        facts=together(figures.total for figures in earlier),
    )


def change(value: float | None, usual: float | None) -> float | None:
    """Return by which share `value` differs from what is usual, None where that says nothing."""
    if value is None or not usual:
        return None
    return value / usual - 1
