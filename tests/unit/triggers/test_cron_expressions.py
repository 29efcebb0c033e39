"""What cron expressions mean, where croniter alone would say otherwise, and which are refused."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from sereno.model.errors import TriggerError
from sereno.triggers import cron, parse

NEW_YEAR = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)  # 1 January 2026 is a Thursday


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 8 * * *", "01-01T08:00 01-02T08:00"),
        ("0 30 8 * * *", "01-01T08:30 01-02T08:30"),  # six: the second comes first
        ("@daily", "01-01T00:00 01-02T00:00"),
        ("@Midnight", "01-01T00:00 01-02T00:00"),
        ("@hourly", "01-01T00:00 01-01T01:00"),
        ("@weekly", "01-04T00:00 01-11T00:00"),
        ("@monthly", "01-01T00:00 02-01T00:00"),
        ("  0\t8  * * *\n", "01-01T08:00 01-02T08:00"),
        ("0 9-9 * * *", "01-01T09:00 01-02T09:00"),  # croniter: every hour
        ("5-5 0 * * *", "01-01T00:05 01-02T00:05"),  # croniter: every minute
        ("0 0 * * 1-1", "01-05T00:00 01-12T00:00"),  # croniter: every day
        ("0 0 * feb-feb *", "02-01T00:00 02-02T00:00"),
        ("0 0 * 1-jan *", "01-01T00:00 01-02T00:00"),
        ("08-8 0 * * *", "01-01T00:08 01-02T00:08"),
        ("0 0 * * 7-0", "01-04T00:00 01-11T00:00"),
        ("0 0 * * 7-2/2", "01-04T00:00 01-06T00:00 01-11T00:00"),
        ("59/15 0 * * *", "01-01T00:59 01-02T00:59"),
        ("5/20 0 * * *", "01-01T00:05 01-01T00:25 01-01T00:45 01-02T00:05"),
        ("*/25 0 * * *", "01-01T00:00 01-01T00:25 01-01T00:50 01-02T00:00"),
        ("0 22-1 * * *", "01-01T00:00 01-01T01:00 01-01T22:00 01-01T23:00"),
        ("0 0 * * fri-mon", "01-02T00:00 01-03T00:00 01-04T00:00 01-05T00:00 01-09T00:00"),
        ("0 0 * * 7", "01-04T00:00 01-11T00:00"),
        ("0 0 * * 5-7", "01-02T00:00 01-03T00:00 01-04T00:00 01-09T00:00"),
        ("0 0 L * *", "01-31T00:00 02-28T00:00"),
        ("0 0 * * 5L", "01-30T00:00 02-27T00:00"),  # croniter spells it L5
        ("0 0 * * friL", "01-30T00:00 02-27T00:00"),
        ("0 0 * * L5", "01-30T00:00 02-27T00:00"),
        ("0 0 * * 5#2", "01-09T00:00 02-13T00:00"),
        ("0 0 15W * *", "01-15T00:00 02-16T00:00"),
        ("0 0 13 * 5", "01-02T00:00 01-09T00:00 01-13T00:00 01-16T00:00"),  # the 13th or a Friday
        ("0 0 */2 * 5", "01-09T00:00 01-23T00:00"),  # an odd Friday: a star asks for both
        ("0 0 ? * 5", "01-02T00:00 01-09T00:00"),
        ("0 0 * * Monday", "01-05T00:00 01-12T00:00"),
        ("0 0 * * tues,thursday", "01-01T00:00 01-06T00:00"),
        ("0 0 * * friday-SUNDAY", "01-02T00:00 01-03T00:00 01-04T00:00 01-09T00:00"),
        ("0 0 1 january-march *", "01-01T00:00 02-01T00:00 03-01T00:00"),
        ("0 0 * * fridayL", "01-30T00:00 02-27T00:00"),
    ],
)
def test_an_expression_means_what_cron_has_always_meant(expression: str, expected: str) -> None:
    slots = islice(cron(expression).slots(NEW_YEAR), len(expected.split()))
    assert [f"{slot:%m-%dT%H:%M}" for slot in slots] == expected.split()


def test_29_february_skips_the_year_2100() -> None:
    after = datetime(2096, 3, 1, tzinfo=UTC)
    assert cron("0 0 29 2 *").next_after(after) == datetime(2104, 2, 29, tzinfo=UTC)


def test_seconds_are_counted_to_the_second() -> None:
    trigger = cron("*/20 * * * * *")
    start = datetime(2026, 1, 1, 0, 0, 19, 999_999, tzinfo=UTC)
    slots = list(islice(trigger.slots(start), 3))
    assert [slot - start for slot in slots] == [
        timedelta(microseconds=1) + timedelta(seconds=20 * n) for n in range(3)
    ]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("0 8 * *", "'0 8 * *': it has 4 fields, it must have 5"),
        ("", "'': it has 0 fields"),
        ("0 0 0 1 1 * 20 26", "it has 8 fields"),
        ("0 25 * * *", "the hour cannot be '25'; it is 0-23"),
        ("0 0 * * 8", "the day of week cannot be '8'; it is 0-7"),
        ("0 0 * 13 *", "the month cannot be '13'"),
        ("0 0 0 * *", "the day of month cannot be '0'"),
        ("60 0 0 * * *", "the second cannot be '60'; it is 0-59"),
        ("0 0 * januar *", "the month cannot be 'JANUAR'; it is 1-12 or JAN-DEC"),
        ("0 0 * * lunes", "the day of week cannot be 'LUNES'; it is 0-7 or SUN-SAT"),
        ("0 8 * * 1\N{EN DASH}5", "only ASCII characters are allowed, and '\N{EN DASH}' is none"),
        ("0 0 LW * *", "the day of month cannot be 'LW'"),
        ("0 0 * * 5#6", "the day of week cannot be '5#6'"),
        ("*/0 * * * *", "the minute cannot be '*/0'"),
        ("R * * * *", "'R' is random; use jitter"),
        ("0 R(1-5) * * *", r"'R\(1-5\)' is random"),
        ("H H * * *", "'H' is random; use jitter"),
        ("0 23-3/2 * * *", "'23-3/2' has a range that wraps with a step; list its values"),
        ("0 0 * * fri-mon/2", "'FRI-MON/2' has a range that wraps"),
        ("0 0 1 * 5#2", "cannot be joined with the other day field"),
        ("0 0 15W * 1", "cannot be joined with the other day field"),
        ("0 0 1 * 5L", "cannot be joined with the other day field"),
        ("0 0 30 2 *", "'0 0 30 2 *': it never fires"),
        ("0 0 31 4,6,9,11 *", "it never fires"),
        ("@dayly", "the macros are @yearly"),
        ("٣ * * * *", "only ASCII"),
        ("0," * 300 + "0 * * * *", "it has 609 characters, the limit is 512; join several"),
        ("9" * 400 + " * * * *", "the minute cannot be"),
    ],
)
def test_an_expression_that_cannot_be_kept_is_refused_with_a_sentence(
    expression: str, sentence: str
) -> None:
    with pytest.raises(TriggerError, match=sentence.replace("*", r"\*")) as caught:
        cron(expression)
    assert str(caught.value).startswith("cron expression ")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [None, 5, b"* * * * *", ["*"] * 5])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(TriggerError, match="it must be text"):
        cron(value)  # type: ignore[arg-type]


def test_an_expression_whose_every_time_is_skipped_by_the_clock_never_fires() -> None:
    cron("30 2 * 3 L7", "Europe/Madrid")  # the last Sunday of March: runs at 03:00
    with pytest.raises(TriggerError, match="it never fires; no time of the calendar in Europe/Mad"):
        cron("30 2 * 3 L7", "Europe/Madrid", gap="skip")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(TriggerError, match="gap is 'run it', it must be one of debian, run, skip"):
        cron("0 8 * * *", gap="run it")  # type: ignore[arg-type]
    with pytest.raises(TriggerError, match="fold is 'twice', it must be one of debian, first, "):
        parse("cron 0 8 * * * Europe/Madrid fold=twice")


def test_expressions_are_equal_however_they_are_typed() -> None:
    assert cron(" 0  8 * * mon-fri") == cron("0 8 * * MON-FRI")
    assert cron("0 8 * january monday") == cron("0 8 * jan mon")
    assert cron("0 8 * january monday").text == "cron 0 8 * JAN MON UTC"  # as old replicas read it
    assert cron("0 8 * * *") != cron("0 8 * * *", "Europe/Madrid")
    assert len({cron("@daily"), cron("@DAILY"), cron("@daily", gap="skip")}) == 2
