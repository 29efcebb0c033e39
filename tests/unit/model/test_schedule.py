from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import DeclarationError, every, schedule

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_policies_are_read_when_a_schedule_is_declared() -> None:
    declared = schedule(every("1h"), jitter="30s", timeout="5m", catch_up="none")

    assert declared.jitter == timedelta(seconds=30)
    assert declared.policies == {"timeout": timedelta(minutes=5), "catch_up": "none"}


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        (
            {"start": datetime(2026, 1, 1)},  # noqa: DTZ001 - the naive time is the fault
            "schedule: start is 2026-01-01 00:00:00, it must carry a time zone",
        ),
        (
            {"start": NOON, "end": NOON},
            (
                "schedule: the window is empty, start 2026-01-01 12:00:00+00:00 is not before end "
                "2026-01-01 12:00:00+00:00"
            ),
        ),
        (
            {"catch_up": "al"},
            "schedule: catch_up is 'al', it must be one of last, none, all, did you mean 'all'?",
        ),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(
    declared: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeclarationError) as refusal:
        schedule(every("1h"), **declared)

    assert str(refusal.value) == sentence
