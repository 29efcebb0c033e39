"""Decides where the bars, lines and labels of a chart stand: numbers for the template."""

from collections.abc import Callable, Sequence

import msgspec

from sereno_reports.view import Cell, TableView

RIGHT, TOP, BOTTOM = 8.0, 22.0, 32.0
LINES = 5  # at most so many above the axis
_STEPS = (1, 2, 2.5, 5)

Layer = tuple[str, float, float]  # tone, y, height


class Size(msgspec.Struct, frozen=True):
    """How much room there is, in user units: `letter` is the width of a digit.

    `ticks`: more labels than these would stand in each other's way.
    """

    name: str
    width: float
    height: float
    font: int
    letter: float
    ticks: int


WIDE = Size("wide", 960.0, 216.0, 12, 7.6, 26)
NARROW = Size("narrow", 440.0, 260.0, 14, 8.8, 9)
"""For a telephone: about as many units as it has points, so that letters can be read."""


class Bar(msgspec.Struct, frozen=True):
    """One row: x and width, its layers from the bottom up, and what is said of it."""

    x: float
    width: float
    title: str
    tick: str
    layers: tuple[Layer, ...]


class Chart(msgspec.Struct, frozen=True):
    """Everything that the template draws, in user units of the viewBox."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, str], ...]
    legend: tuple[tuple[str, str], ...]
    left: float
    size: Size

    @property
    def base(self) -> float:
        """Return where the bars stand."""
        return self.size.height - BOTTOM

    @property
    def right(self) -> float:
        """Return where the lines end."""
        return self.size.width - RIGHT


def draw(view: TableView, number: Callable[[float], str], size: Size = WIDE) -> Chart | None:
    """Lay out one bar for each row; None where the table has no chart, or nothing to draw."""
    chart = view.table.chart
    if chart is None or not view.raw:
        return None
    names = [column.name for column in view.columns]
    at = {name: names.index(name) for name in (chart.label, *chart.series)}
    counts = [
        [(tone, float(row[at[name]].raw or 0)) for name, tone in chart.series.items()]
        for row in view.rows[: view.shown]
    ]
    most = max(sum(count for _, count in layers) for layers in counts)
    if not most:
        return None
    step = _step(most)
    lines = max(int(-(-most // step)), 1)
    ticks = tuple(number(step * n) for n in range(lines + 1))
    left = 12 + size.letter * max(map(len, ticks))
    scale = (size.height - TOP - BOTTOM) / (step * lines)
    slot = (size.width - left - RIGHT) / len(counts)
    every = -(-len(counts) // size.ticks)
    bars = []
    for n, layers in enumerate(counts):
        label = view.rows[n][at[chart.label]].text
        told = ", ".join(
            f"{view.rows[n][at[name]].text} {view.named[name].lower()}" for name in chart.series
        )
        x = round(left + slot * (n + 0.16), 2)
        cell = view.rows[n][at[chart.label]]
        tick = _tick(cell, slot * every, size.letter) if n % every == 0 else ""
        bars.append(
            Bar(
                x,
                round(slot * 0.68, 2),
                f"{label}: {told}",
                tick,
                _stacked(layers, scale, size.height - BOTTOM),
            )
        )
    base = size.height - BOTTOM
    placed = tuple((round(base - step * n * scale, 2), tick) for n, tick in enumerate(ticks))
    legend = tuple((tone, view.named[name]) for name, tone in chart.series.items())
    return Chart(tuple(bars), placed, legend, left, size)


def _stacked(layers: Sequence[tuple[str, float]], scale: float, y: float) -> tuple[Layer, ...]:
    found = []
    for tone, count in layers:
        height = count * scale
        y -= height
        if count > 0:
            found.append((tone, round(y, 2), round(height, 2)))
    return tuple(found)


def _tick(cell: Cell, room: float, letter: float) -> str:
    """Return as much of a label as fits: 09:00 is cut to 09 and not to 09:0, a date to its day."""
    label, room = cell.text, room - letter  # apart from the next one
    if len(label) * letter > room and cell.column.unit == "date":
        label = str(cell.raw)[-2:].lstrip("0")
    if len(label) * letter <= room:
        return label
    short = label.split(":")[0] if ":" in label else label
    fits = max(int(room // letter), 1)
    return short if len(short) <= fits else short[: fits - 1] + "…"


def _step(most: float) -> int:
    """Return the distance of the lines: the smallest round one with which LINES of them suffice."""
    magnitude = 1
    while True:
        for share in _STEPS:
            if share * magnitude % 1 == 0 and share * magnitude * LINES >= most:
                return int(share * magnitude)
        magnitude *= 10
