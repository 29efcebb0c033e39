"""Decides where the bars, lines and labels of the hourly chart stand: numbers for the template."""

import msgspec

from sereno_reports.figures import Facts, Row

WIDTH, HEIGHT = 960.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 12.0, 28.0
LINES = 5  # at most so many above the axis
_STEPS = (1, 2, 2.5, 5)

Layer = tuple[str, float, float]  # class, y, height


class Bar(msgspec.Struct, frozen=True):
    """One hour: x and width, and its layers from the bottom up."""

    x: float
    width: float
    label: str
    tick: str
    layers: tuple[Layer, ...]
    facts: Facts


class Chart(msgspec.Struct, frozen=True):
    """Everything that the template draws, in user units of the viewBox."""

    bars: tuple[Bar, ...]
    lines: tuple[tuple[float, int], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    base: float = HEIGHT - BOTTOM


def layers_of(facts: Facts) -> tuple[tuple[str, int], ...]:
    """Return the shares of a bar, from the bottom up; together they are all inbound calls."""
    rest = facts.short + facts.overflow + facts.other
    return (
        ("answered", facts.answered),
        ("abandoned", facts.abandoned),
        ("rest", rest),
        ("ivr", facts.ivr),
    )


def draw(hours: list[Row]) -> Chart:
    """Lay out one bar for each hour."""
    most = max((row.facts.calls for row in hours), default=0)
    step = _step(most)
    lines = max(-(-most // step), 1)
    scale = (HEIGHT - TOP - BOTTOM) / (step * lines)
    slot = (WIDTH - LEFT - RIGHT) / max(len(hours), 1)
    bars = tuple(
        _bar(row, LEFT + slot * (at + 0.16), slot * 0.68, scale) for at, row in enumerate(hours)
    )
    base = HEIGHT - BOTTOM
    return Chart(
        bars, tuple((round(base - step * n * scale, 2), step * n) for n in range(lines + 1))
    )


def _bar(row: Row, x: float, width: float, scale: float) -> Bar:
    y = HEIGHT - BOTTOM
    layers = []
    for name, count in layers_of(row.facts):
        height = count * scale
        y -= height
        if count:
            layers.append((name, round(y, 2), round(height, 2)))
    return Bar(round(x, 2), round(width, 2), row.label, row.label[:2], tuple(layers), row.facts)


def _step(most: int) -> int:
    """Return the distance of the lines: the smallest round one with which LINES of them suffice."""
    magnitude = 1
    while True:
        for share in _STEPS:
            if share * magnitude % 1 == 0 and share * magnitude * LINES >= most:
                return int(share * magnitude)
        magnitude *= 10
