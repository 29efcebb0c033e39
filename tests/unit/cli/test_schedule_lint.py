"""What is likely not meant of a schedule is told, and what is meant is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno.cli.forecast import Forecast
from sereno.cli.schedule_lint import MANY, ScheduleFinding, lint
from sereno.model.job import job
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.triggers.trigger import EPOCH

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def forecast(trigger: str, name: str = "a.b", **spec: Any) -> Forecast:
    version: ScheduleVersion = ScheduleSpec(trigger=trigger, **spec).as_version(1, EPOCH, "active")
    return Forecast(name=name, job=name, version=version, written=version.trigger)


def found(*forecasts: Forecast, jobs: Any = None, usual: Any = None) -> list[ScheduleFinding]:
    return lint(forecasts, jobs or {}, usual or {}, NOW)


@pytest.mark.parametrize(
    "trigger",
    ["0 8 * * *", "every 6h", "* * * * *", "30 2 * * * UTC", "0 12 * * * Europe/Madrid",
     "*/30 * * * * Europe/Madrid", "0 8 29 2 *" if NOW.year == 2027 else "0 8 1 1 *"],
)  # fmt: skip
def test_nothing_is_told_of_what_is_meant(trigger: str) -> None:
    assert found(forecast(trigger)) == []


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        ("30 2 * * * Europe/Madrid", "the clock skips 02:00 to 03:00"),
        ("30 2 25 10 * Europe/Madrid", "the clock shows 02:30 twice"),
    ],
)
def test_a_slot_that_the_clock_skips_or_repeats(trigger: str, words: str) -> None:
    (one,) = found(forecast(trigger))
    assert one.kind == "clock_change"
    assert words in one.sentence


@pytest.mark.parametrize("trigger", ["0 8 29 2 *", "once 2020-01-01T00:00:00Z"])
def test_a_schedule_without_a_slot_in_a_year(trigger: str) -> None:
    (one,) = found(forecast(trigger))
    assert one.kind == "never"


def test_many_that_are_due_at_midnight() -> None:
    several = [forecast("@daily", f"a.{n}") for n in range(MANY)]
    (one,) = found(*several)
    assert (one.kind, len(one.schedules)) == ("pile", MANY)
    assert found(*several[1:]) == []
    spread = [forecast("@daily", f"a.{n}", jitter=timedelta(minutes=5)) for n in range(MANY)]
    assert found(*spread) == []


def test_runs_that_take_longer_than_from_one_slot_to_the_next() -> None:
    (one,) = found(forecast("every 5m"), usual={"a.b": timedelta(minutes=7)})
    assert one.kind == "too_long"
    assert "every 5m" in one.sentence
    assert "usually takes 7m" in one.sentence
    assert found(forecast("every 5m"), usual={"a.b": timedelta(minutes=5)}) == []


def test_a_job_that_is_overdue_before_it_is_due() -> None:
    @job("a.b", overdue_after="1h")
    async def late(run: Any) -> None: ...

    (one,) = found(forecast("every 6h"), jobs={"a.b": late})
    assert one.kind == "overdue_after"
    second = Forecast(
        name="a.b@x", job="a.b", version=forecast("every 1h").version, written="every 1h"
    )
    assert found(forecast("every 6h"), second, jobs={"a.b": late}) == []


def test_a_paused_one_is_left_alone() -> None:
    version = ScheduleSpec(trigger="0 8 29 2 *").as_version(1, EPOCH, "paused")
    assert found(Forecast(name="a.b", job="a.b", version=version, written="every 1h")) == []
