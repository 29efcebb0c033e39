"""The picture of a day past and a day to come: what ended and what is due, by half hours of the
clock."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import sqrt

import msgspec

from sereno_console.pages.ended_day import DAY, HALF_HOUR, EndedSpan

WIDTH, HEIGHT, FOOT = 960, 150, 22
FAILED = ("failed", "timed_out", "lost")
_MARKED = timedelta(hours=4)
_KINDS = ("good", "bad", "due")


class DayBar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar in pixels. `kind`: ``good``, ``bad`` or ``due``; `count`: what it stands for; `more`:
    or more than that."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    count: int
    begins: datetime
    more: bool = False


class DayChart(msgspec.Struct, frozen=True, kw_only=True):
    """Bars, and marks of the hours: (pixels, instant)."""

    bars: tuple[DayBar, ...]
    hours: tuple[tuple[float, datetime], ...]
    now: float = WIDTH / 2


class _Span(msgspec.Struct, frozen=True, kw_only=True):
    begins: datetime
    ends: datetime
    counts: Mapping[str, int]
    more: bool = False

    @property
    def whole(self) -> int:
        return sum(self.counts.values())


def day_chart(
    now: datetime, *, ended: Sequence[EndedSpan], due: Mapping[datetime, int]
) -> DayChart:
    """Return the picture around `now`. Heights grow by the root, so that one beside a thousand is
    seen; failures stand on what went well."""
    spans = [*map(_past, ended), *_coming(now, due)]
    most = max((span.whole for span in spans), default=0)
    scale = (HEIGHT - FOOT - 8) / sqrt(most) if most else 0.0
    bars = tuple(bar for span in spans if span.whole for bar in _bars(now, span, scale))
    first = now - DAY
    begins = (first + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
    hours = tuple((_x(now, begins + n * _MARKED), begins + n * _MARKED) for n in range(12))
    return DayChart(bars=bars, hours=hours)


def _past(span: EndedSpan) -> _Span:
    states = span.count.states
    counts = {"good": states.get("succeeded", 0), "bad": sum(states.get(s, 0) for s in FAILED)}
    return _Span(begins=span.begins, ends=span.ends, counts=counts, more=span.count.more)


def _coming(now: datetime, due: Mapping[datetime, int]) -> list[_Span]:
    marks: Counter[datetime] = Counter()
    for minute, count in due.items():
        marks[minute - (minute - datetime(2000, 1, 1, tzinfo=UTC)) % HALF_HOUR] += count
    return [
        _Span(begins=max(mark, now), ends=min(mark + HALF_HOUR, now + DAY), counts={"due": count})
        for mark, count in sorted(marks.items())
        if now < mark + HALF_HOUR and mark < now + DAY
    ]


def _bars(now: datetime, span: _Span, scale: float) -> list[DayBar]:
    tall, base = sqrt(span.whole) * scale, float(HEIGHT - FOOT)
    left, right = _x(now, span.begins), _x(now, span.ends)
    bars: list[DayBar] = []
    for kind in _KINDS:
        count = span.counts.get(kind, 0)
        if not count:
            continue
        height = max(tall * count / span.whole, 3.0)
        base -= height
        bars.append(
            DayBar(
                x=round(left + 1, 1),
                y=round(base, 1),
                width=round(max(right - left - 2, 1.5), 1),
                height=round(height, 1),
                kind=kind,
                count=count,
                begins=span.begins,
                more=span.more,
            )
        )
    return bars


def _x(now: datetime, instant: datetime) -> float:
    return round((instant - (now - DAY)) / DAY * WIDTH / 2, 1)
