"""A schedule whose slots fall closer together than its job allows is refused."""

from datetime import UTC, datetime, timedelta

import pytest

from sereno import DeclarationError, any_of, cron, every, job, once, schedule
from sereno.plugins.density import check_density
from sereno.triggers.density import check_min_interval
from sereno.triggers.trigger import Trigger

from ..engine.ledger import schedule as entry_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def checked(trigger: Trigger, least: str, jitter: str | None = None) -> None:
    found = schedule(trigger, jitter=jitter)

    @job("t.mail", schedule=found, min_interval=least)
    async def mail(run: object) -> None: ...

    check_density(mail, mail.schedules[0], "t.mail")


@pytest.mark.parametrize(
    ("trigger", "least", "jitter"),
    [
        (every("5m"), "5m", None),
        (cron("*/5 * * * *"), "5m", None),
        (cron("0 0 * * *", tz="Europe/Madrid"), "23h", None),
        (cron("30 2 * * *", tz="Europe/Madrid"), "22h", None),
        (once("2026-05-01T00:00:00Z"), "3650d", None),
        (any_of(once("2026-05-01T00:00:00Z"), once("2026-05-02T00:00:00Z")), "1d", None),
        (every("1h"), "1m", "10m"),
    ],
)
def test_slots_as_far_apart_as_that_are_taken(
    trigger: Trigger, least: str, jitter: str | None
) -> None:
    checked(trigger, least, jitter)


@pytest.mark.parametrize(
    ("trigger", "least", "jitter", "told"),
    [
        (every("4m59s"), "5m", None, "4m59s apart, and min_interval of its job is 5m"),
        (cron("0,4 * * * *"), "5m", None, "4m apart"),
        (cron("*/7 * * * *"), "5m", None, "4m apart"),  # 56, then the full hour
        (cron("0 0 * * *", tz="Europe/Madrid"), "24h", None, "23h apart"),  # a night in March
        (any_of(cron("0 9 * * *"), every("7h")), "2h", None, "1h apart"),
        (
            any_of(once("2026-05-01T00:00:00Z"), once("2026-05-01T00:00:01Z")),
            "2s",
            None,
            "1s apart",
        ),
        (every("1h"), "59m", "10m", "with jitter 10m has slots"),
        (every("1h"), "59m", "±10m", "with jitter 10m has slots"),
    ],
)
def test_slots_closer_than_that_are_refused_with_the_two_of_them(
    trigger: Trigger, least: str, jitter: str | None, told: str
) -> None:
    with pytest.raises(DeclarationError, match="has slots") as caught:
        checked(trigger, least, jitter)
    assert told in str(caught.value)


def test_a_schedule_has_no_min_interval_of_its_own() -> None:
    with pytest.raises(DeclarationError, match="min_interval is of the job"):
        schedule(every("5m"), min_interval="1m")  # type: ignore[call-overload]


def test_without_one_no_slot_is_asked_for() -> None:
    version = entry_of("every 1s").current
    check_min_interval(version, "t.mail", None, NOW)
    with pytest.raises(DeclarationError):
        check_min_interval(version, "t.mail", timedelta(seconds=2), NOW)
