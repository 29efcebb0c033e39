"""The picture of a run's attempts on one line of time: from when it was due to its end, or now."""

from datetime import datetime, timedelta

import msgspec

from sereno import RunDetail

WIDTH = 960
_LEAST = 4.0


class AttemptBar(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time, in pixels. `state`: of the attempt, or ``waiting`` between two; `attempt`:
    its number, 0 while it waited."""

    x: float
    width: float
    state: str
    attempt: int
    begins: datetime
    ends: datetime

    @property
    def took(self) -> timedelta:
        """Return how long it is."""
        return self.ends - self.begins


class AttemptChart(msgspec.Struct, frozen=True, kw_only=True):
    """All stretches, from `begins` to `ends`."""

    bars: tuple[AttemptBar, ...]
    begins: datetime
    ends: datetime


def attempt_chart(run: RunDetail) -> AttemptChart | None:
    """Return the picture of a run, None where it has not begun."""
    spans = [
        (a.started_at, a.finished_at or a.started_at, a.state, a.attempt)
        for a in run.attempts
        if a.started_at is not None
    ]
    if run.started_at is not None and (not spans or run.started_at >= spans[-1][0]):
        spans.append((run.started_at, run.finished_at or run.now, run.state, run.attempt))
    if not spans:
        return None
    begins = min(run.slot or run.run_at, spans[0][0])
    if begins < spans[0][0] - timedelta(days=1):  # it was queued for later, or waited for a person
        begins = spans[0][0]
    going_on = run.state in ("running", "queued")
    ends = max([end for _, end, _, _ in spans] + [run.now] * going_on)
    scale = WIDTH / max((ends - begins).total_seconds(), 1e-6)
    bars: list[AttemptBar] = []
    at = begins
    for start, end, state, attempt in spans:
        if start > at:
            bars.append(_bar(begins, scale, at, start, "waiting", 0))
        bars.append(_bar(begins, scale, start, end, state, attempt))
        at = max(at, end)
    if run.state == "queued" and ends > at:
        bars.append(_bar(begins, scale, at, ends, "waiting", 0))
    return AttemptChart(bars=tuple(bars), begins=begins, ends=ends)


def _bar(
    begins: datetime, scale: float, start: datetime, end: datetime, state: str, attempt: int
) -> AttemptBar:
    x = (start - begins).total_seconds() * scale
    width = max((end - start).total_seconds() * scale, 0.0 if attempt == 0 else _LEAST)
    return AttemptBar(
        x=round(min(x, WIDTH - _LEAST), 1),
        width=round(min(width, WIDTH - min(x, WIDTH - _LEAST)), 1),
        state=state,
        attempt=attempt,
        begins=start,
        ends=end,
    )
