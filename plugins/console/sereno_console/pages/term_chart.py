"""The picture of who led when: a lane for each replica, a bar for each term."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from sereno import TermView

WIDTH, LEFT, LANE = 960, 150, 26
_LEAST = 3.0
_LANES = 8
_LABEL = 20


class TermBar(msgspec.Struct, frozen=True, kw_only=True):
    """A term, in pixels. `ends`: when it ended, or the next began; None while it goes on."""

    term: TermView
    x: float
    y: int
    width: float
    ends: datetime | None


class TermChart(msgspec.Struct, frozen=True, kw_only=True):
    """Bars in lanes (name, top), from `begins` to `until`; lanes of replicas that led long ago
    share the last one."""

    bars: tuple[TermBar, ...]
    lanes: tuple[tuple[str, int], ...]
    begins: datetime
    until: datetime
    height: int


def term_chart(terms: Sequence[TermView], now: datetime) -> TermChart | None:
    """Return the picture of terms, the newest first; None for none."""
    if not terms:
        return None
    newest_first = list(dict.fromkeys(_name(term) for term in terms))
    names = newest_first[:_LANES] if len(newest_first) <= _LANES else newest_first[: _LANES - 1]
    lanes = {name: n for n, name in enumerate(names)}
    if len(newest_first) > len(names):
        names = [*names, "…"]
    last = len(names) - 1
    begins = min(term.acquired_at for term in terms)
    until = max(now, terms[0].ended_at or now)
    scale = (WIDTH - LEFT) / max((until - begins).total_seconds(), 1e-6)
    bars = []
    after: Sequence[TermView | None] = [None, *terms]
    for newer, term in zip(after, terms, strict=False):
        end = term.ended_at or (newer.acquired_at if newer is not None else None)
        x = LEFT + (term.acquired_at - begins).total_seconds() * scale
        long = ((end or until) - term.acquired_at).total_seconds() * scale
        bars.append(
            TermBar(
                term=term,
                x=round(min(x, WIDTH - _LEAST), 1),
                y=lanes.get(_name(term), last) * LANE + 3,
                width=round(min(max(long, _LEAST), WIDTH - min(x, WIDTH - _LEAST)), 1),
                ends=end,
            )
        )
    return TermChart(
        bars=tuple(bars),
        lanes=tuple((name[:_LABEL], n * LANE) for n, name in enumerate(names)),
        begins=begins,
        until=until,
        height=len(names) * LANE,
    )


def _name(term: TermView) -> str:
    return term.label or str(term.node)[:8]
