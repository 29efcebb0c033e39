from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_cleanup.age import day_of
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.plan import Ceilings, Plan, make_plan

TODAY = date(2026, 3, 31)
MADRID = ZoneInfo("Europe/Madrid")


def entry(name: str, days_old: float = 0, **changes: Any) -> LogFile:
    modified = datetime(2026, 3, 31, 12, tzinfo=UTC) - timedelta(days=days_old)
    values: dict[str, Any] = {
        "parts": ("app", name),
        "kind": "file",
        "device": 1,
        "inode": hash(name),
        "size": 10,
        "mtime_ns": int(modified.timestamp() * 1e9),
        "links": 1,
        "disk_bytes": 10,
    }
    return LogFile(**(values | changes))


def plan(
    *entries: LogFile,
    keep_days: int = 30,
    min_keep: int = 0,
    min_age: timedelta = timedelta(0),
    opened: Any = (),
) -> Plan:
    return make_plan(
        entries,
        keep_days=keep_days,
        min_keep=min_keep,
        min_age=min_age,
        now=datetime(2026, 3, 31, 12, tzinfo=UTC),
        zone=UTC,
        opened=frozenset(opened),
    )


def reasons(found: Plan) -> dict[str, str]:
    return {one.entry.name: one.reason for one in found.judged}


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("app-2026-01-31.log", date(2026, 1, 31)),
        ("app.log-20260131.gz", date(2026, 1, 31)),
        ("app_2026_01_31_0001.log", date(2026, 1, 31)),
        ("app-20260131153000.log", date(2026, 1, 31)),
        ("from-20250101-to-20260131.log", date(2026, 1, 31)),
        ("app-2026-02-30.log", date(2025, 1, 1)),  # no such day: the time of the last change
        ("app-120260131.log", date(2025, 1, 1)),  # a number, not a date
        ("call-34600202601319.log", date(2025, 1, 1)),
        ("app.log.1", date(2025, 1, 1)),
        ("app-2024-01-15.log", date(2025, 1, 1)),  # written to since then
    ],
)
def test_the_day_is_the_later_of_the_one_in_the_name_and_that_of_the_last_change(
    name: str, day: date
) -> None:
    assert day_of(name, datetime(2025, 1, 1, 12, tzinfo=UTC), UTC) == day


def test_days_are_those_of_the_zone() -> None:
    late = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # half past midnight in Madrid, summer time
    assert day_of("app.log", late, UTC) == date(2026, 3, 29)
    assert day_of("app.log", late, MADRID) == date(2026, 3, 30)


@pytest.mark.parametrize("keep_days", [30, 90, 730])
def test_a_file_goes_on_the_day_after_its_last_day(keep_days: int) -> None:
    last = TODAY - timedelta(days=keep_days)
    found = plan(
        entry(f"a-{last}.log", 900),
        entry(f"b-{last - timedelta(days=1)}.log", 900),
        keep_days=keep_days,
    )
    assert reasons(found) == {
        f"a-{last}.log": "recent",
        f"b-{last - timedelta(days=1)}.log": "expired",
    }


# C4: a name of long ago, written a second ago
def test_a_file_that_was_written_a_moment_ago_stays_whatever_its_name_says() -> None:
    found = plan(
        entry("app-2024-01-15.log"),
        entry("app.log.1", 31),
        keep_days=1,
        min_age=timedelta(days=40),
    )
    assert reasons(found) == {"app-2024-01-15.log": "recent", "app.log.1": "too_young"}


def test_a_change_that_no_calendar_has_is_told_and_not_deleted() -> None:
    found = plan(entry("never", mtime_ns=2**63 - 1), entry("before", mtime_ns=-(2**63)))
    assert found.kept == {"strange_date": 2}


# C2: 100,000 files
def test_what_goes_is_put_in_order_once_and_not_once_a_file() -> None:
    found = plan(*(entry(f"old.{n}", 100) for n in range(30)))
    assert found.expired is found.expired


def test_a_sparse_file_counts_with_what_it_takes_on_the_disk() -> None:
    found = plan(entry("sparse", 99, size=3 * 2**30, disk_bytes=4096))
    assert found.excess(Ceilings(10, 4096, 1.0)) is None


def test_what_is_no_plain_file_with_one_name_stays() -> None:
    found = plan(
        entry("link", 99, kind="symlink"),
        entry("pipe", 99, kind="other"),
        entry("twice", 99, links=2),
        entry("plain", 99),
    )
    assert found.kept == {"hard_link": 1, "not_a_file": 1, "symlink": 1}
    assert [one.entry.name for one in found.expired] == ["plain"]


def test_dates_that_cannot_be_are_told_and_not_deleted() -> None:
    found = plan(
        entry("future", -400),
        entry("app-2027-01-01.log", 99),
        entry("epoch", 99, mtime_ns=0),
    )
    assert found.kept == {"strange_date": 3}


def test_the_newest_and_the_open_files_stay_however_old() -> None:
    files = [entry(f"app.log.{n}", 100 + n) for n in range(5)]
    found = plan(*files, min_keep=2, opened={files[4].identity})
    assert reasons(found) == {
        "app.log.0": "newest",
        "app.log.1": "newest",
        "app.log.2": "expired",
        "app.log.3": "expired",
        "app.log.4": "open",
    }


def test_strange_dates_do_not_count_as_the_newest() -> None:
    found = plan(entry("future", -400), entry("a", 100), entry("b", 101), min_keep=1)
    assert reasons(found) == {"future": "strange_date", "a": "newest", "b": "expired"}


@pytest.mark.parametrize(
    ("ceilings", "excess"),
    [
        (Ceilings(29, 1000, 1.0), "30 files are more than logs_max_files, 29"),
        (Ceilings(30, 299, 1.0), "300 bytes are more than logs_max_bytes, 299"),
        (Ceilings(30, 300, 0.5), "30 of 40 files are more than logs_max_ratio, 0.5"),
        (Ceilings(30, 300, 0.75), None),
    ],
)
def test_a_plan_says_which_ceiling_it_breaks(ceilings: Ceilings, excess: str | None) -> None:
    files = [entry(f"old.{n}", 100) for n in range(30)] + [entry(f"new.{n}") for n in range(10)]
    assert plan(*files).excess(ceilings) == excess


def test_the_ratio_says_nothing_about_a_few_files() -> None:
    few = plan(*(entry(f"old.{n}", 100) for n in range(20)))
    assert few.excess(Ceilings(100, 1000, 0.5)) is None


ages = st.lists(st.integers(-3, 120), max_size=30)


@given(ages, st.integers(1, 90), st.integers(0, 5))
def test_whatever_goes_is_old_enough_and_the_newest_stay(
    days: list[int], keep_days: int, min_keep: int
) -> None:
    files = [entry(f"f{n}", age) for n, age in enumerate(days)]
    found = plan(*files, keep_days=keep_days, min_keep=min_keep)
    assert all((TODAY - one.day).days > keep_days for one in found.expired)
    credible = sum(age >= 0 for age in days)
    assert credible - len(found.expired) >= min(min_keep, credible)
    assert len(found.expired) + sum(found.kept.values()) == len(files)
