"""Calendars are read from what people write; what is no day is refused with a sentence."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno import any_of, cron, except_on, jitter, only_on, parse, within
from sereno.model.calendar import Blackout, checked_days, easter, on_days, read_days
from sereno.model.errors import DeclarationError, TriggerError
from sereno.triggers.calendars import calendars_of, with_days

NOW = datetime(2026, 12, 20, tzinfo=UTC)
MADRID = {"madrid": ("12-25", "2027-01-01", "2027-01-06..2027-01-07", "easter-2", "sun")}


@pytest.mark.parametrize(
    ("year", "day"),
    [(2020, "04-12"), (2024, "03-31"), (2026, "04-05"), (2038, "04-25"), (2069, "04-14")],
)
def test_easter_is_when_it_is(year: int, day: str) -> None:
    assert easter(year) == date.fromisoformat(f"{year}-{day}")


def test_every_way_to_write_a_day_is_read() -> None:
    days = read_days(MADRID["madrid"])
    inside = ["2026-12-25", "2041-12-25", "2027-01-01", "2027-01-07", "2027-03-26", "2026-12-20"]
    outside = ["2026-12-24", "2028-01-01", "2027-01-08", "2027-03-25", "2026-12-21"]
    assert all(date.fromisoformat(d) in days for d in inside)
    assert not any(date.fromisoformat(d) in days for d in outside)
    assert read_days(["02-29"]).yearly == {(2, 29)}
    assert checked_days([date(2026, 12, 25), " SAT ", "sat"], "x") == ("2026-12-25", "sat")


@pytest.mark.parametrize(
    "days",
    ["12-25", [], ["25-12"], ["2026-02-30"], ["02-30"], ["2027-01-02..2027-01-01"], ["easter-1000"],
     ["2026-01-01..2029-01-01"], ["someday"], [""], [7], [None], ["2026-1-1"], ["20261225"],
     ["2026-W01-1"], ["a\nb"], [datetime(2026, 1, 1, tzinfo=UTC)], ["9999-12-31..10000-01-01"], 7,
     [f"{2000 + n // 365}-01-01" for n in range(9)] + ["x"],
     (str(date(2020, 1, 1) + timedelta(days=n)) for n in range(2_001))],
)  # fmt: skip
def test_what_is_no_day_is_refused(days: object) -> None:
    with pytest.raises(DeclarationError, match="calendar 'x'"):
        checked_days(days, "calendar 'x'")


@given(st.lists(st.text("0123456789-.easterun", max_size=22), max_size=5))
def test_whatever_is_written_is_days_or_a_sentence(days: list[str]) -> None:
    try:
        found = checked_days(days, "x")
    except DeclarationError:
        return
    assert checked_days(found, "x") == found


TRIGGERS = [
    except_on(cron("0 8 * * *", "Europe/Madrid"), calendar="madrid"),
    except_on(cron("0 8 * * *", "Europe/Madrid"), "2026-12-24", cron("0 0 1 * *", "Europe/Madrid"),
              calendar=["madrid", "local"]),
    only_on(cron("0 8 * * *", "Europe/Madrid"), calendar="madrid"),
    any_of(except_on(cron("0 8 * * *"), calendar="a"), cron("0 9 * * *")),
    within(jitter(except_on(cron("0 8 * * *"), calendar="a,b"), "5m"), start="2026-01-01"),
]  # fmt: skip


@pytest.mark.parametrize("trigger", TRIGGERS, ids=str)
def test_a_trigger_that_names_calendars_is_a_text_and_says_no_slot_before_it_has_its_days(
    trigger: object,
) -> None:
    assert parse(str(trigger)) == trigger
    assert calendars_of(str(trigger))
    with pytest.raises(TriggerError, match="is not known here"):
        parse(str(trigger)).next_after(NOW)
    with pytest.raises(TriggerError, match="there is no calendar"):
        with_days(str(trigger), {})


def slots(text: str, count: int) -> list[str]:
    trigger, at, found = parse(text), NOW, []
    for _ in range(count):
        at = trigger.next_after(at)
        found.append(f"{at:%m-%d}")
    return found


def test_with_its_days_it_runs_on_none_of_them_or_on_them_alone() -> None:
    text = with_days(str(TRIGGERS[0]), MADRID)
    assert "calendar" not in text
    assert slots(text, 14)[2:] == ["12-23", "12-24", "12-26", "12-28", "12-29", "12-30", "12-31",
                                   "01-02", "01-04", "01-05", "01-08", "01-09"]  # fmt: skip
    assert slots(with_days(str(TRIGGERS[2]), MADRID), 6) == [
        "12-20", "12-25", "12-27", "01-01", "01-03", "01-06"
    ]  # fmt: skip
    assert parse(text).text == text


def test_a_calendar_of_all_days_leaves_nothing_and_says_so() -> None:
    week = {"madrid": ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    with pytest.raises(TriggerError, match="it never fires"):
        with_days(str(TRIGGERS[0]), week)
    with pytest.raises(TriggerError, match="never fires on any of its days"):
        with_days("only_on (cron 0 8 * * MON UTC) calendar=madrid", {"madrid": ("2026-12-25",)})


def test_a_name_that_is_nearly_one_is_suggested() -> None:
    with pytest.raises(TriggerError, match="no calendar 'madird', did you mean 'madrid'"):
        with_days("except_on (every 6h) calendar=madird", MADRID)


@pytest.mark.parametrize("name", ["", "Madrid", "a b", "x" * 61, "a-b", "ñ"])
def test_what_is_no_name_of_a_calendar_is_refused(name: str) -> None:
    with pytest.raises(TriggerError):
        except_on(cron("0 8 * * *"), calendar=[name])


def test_fields_of_a_schedule_are_written_into_its_trigger() -> None:
    assert on_days("every 6h", ["a", "b"], ["c"], "UTC") == (
        "except_on (only_on (every 6h) calendar=c tz=UTC) calendar=a,b tz=UTC"
    )
    assert on_days("every 6h", (), (), "UTC") == "every 6h"


def test_a_blackout_is_of_a_pattern_of_names_or_of_a_plugins_jobs() -> None:
    plain = {"id": 1, "starts_at": NOW, "ends_at": NOW, "reason": "x"}
    assert Blackout(pattern="etl.*", **plain).holds("etl.sync@a", "etl.sync")
    assert Blackout(pattern="month_end", **plain).holds("month_end", "etl.sync")
    assert not Blackout(pattern="etl", **plain).holds("etl.sync", "etl.sync")
    assert Blackout(pattern="*", jobs=("a.b",), **plain).holds("x", "a.b")
    assert not Blackout(pattern="*", jobs=(), **plain).holds("a.b", "a.b")
