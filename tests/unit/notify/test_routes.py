"""Who hears of what, and when."""

from datetime import UTC, datetime, time, timedelta

import pytest

from sereno import DeclarationError
from sereno.model.quiet_hours import parse_quiet
from sereno.notify.routes import Routes
from sereno.settings import NotifySettings, RouteSettings

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def routes(*notifiers: str, **named: RouteSettings) -> Routes:
    return Routes(NotifySettings(routes=named), notifiers)


def test_without_a_route_every_notifier_hears_of_warnings_and_worse() -> None:
    found = routes("mail", "chat")
    assert found.when("run_failed", "warning", "etl.sync", NOON) == {"mail": None, "chat": None}
    assert found.when("leader_changed", "info", None, NOON) == {}


def test_a_route_takes_its_severity_and_its_jobs_alone() -> None:
    found = routes("mail", "pager", etl=RouteSettings(
        to=("pager",), severity="critical", jobs=("etl.*", "reports.daily"),
    ))  # fmt: skip
    assert found.when("run_failed", "critical", "etl.sync", NOON) == {"pager": None}
    assert found.when("run_failed", "critical", "reports.daily", NOON) == {"pager": None}
    assert found.when("run_failed", "warning", "etl.sync", NOON) == {}
    assert found.when("run_failed", "critical", "cleanup.logs", NOON) == {}


def test_what_concerns_no_job_goes_to_routes_of_all_jobs() -> None:
    found = routes("a", "b", one=RouteSettings(to=("a",)), two=RouteSettings(jobs=("etl.*",)))
    assert found.when("leader_missing", "critical", None, NOON) == {"a": None}


def test_a_route_may_take_some_kinds_and_no_good_news() -> None:
    found = routes("a", one=RouteSettings(kinds=("job_overdue",), resolved=False))
    assert found.when("job_overdue", "warning", "x", NOON) == {"a": None}
    assert found.when("job_overdue", "warning", "x", NOON, resolved=True) == {}
    assert found.when("run_failed", "warning", "x", NOON) == {}


def test_quiet_hours_hold_all_but_what_is_critical() -> None:
    found = routes("a", one=RouteSettings(quiet="11:00-14:30"))
    assert found.when("run_failed", "warning", "x", NOON) == {"a": NOON.replace(hour=14, minute=30)}
    assert found.when("run_failed", "critical", "x", NOON) == {"a": None}


def test_the_route_that_may_tell_soonest_counts() -> None:
    late = RouteSettings(quiet="11:00-18:00")
    soon = RouteSettings(quiet="11:00-13:00")
    found = routes("a", late=late, soon=soon)
    assert found.when("run_failed", "warning", "x", NOON) == {"a": NOON.replace(hour=13)}
    found = routes("a", late=late, now=RouteSettings())
    assert found.when("run_failed", "warning", "x", NOON) == {"a": None}


def test_a_notifier_that_this_node_does_not_have_is_left_out() -> None:
    assert routes("a", one=RouteSettings(to=("b",))).when("run_failed", "warning", "x", NOON) == {}
    assert not routes("a", one=RouteSettings(to=("b",))).any("run_failed", "critical", "x")


@pytest.mark.parametrize(
    ("text", "at", "over"),
    [
        ("22:00-07:00", "2026-06-01T21:59:59+00:00", None),
        ("22:00-07:00", "2026-06-01T22:00:00+00:00", "2026-06-02T07:00:00+00:00"),
        ("22:00-07:00", "2026-06-02T06:59:59+00:00", "2026-06-02T07:00:00+00:00"),
        ("22:00-07:00", "2026-06-02T07:00:00+00:00", None),
        ("22:00-07:00 Europe/Madrid", "2026-06-01T20:30:00+00:00", "2026-06-02T05:00:00+00:00"),
        ("22:00-07:00 Europe/Madrid", "2026-12-01T21:30:00+00:00", "2026-12-02T06:00:00+00:00"),
        # The night in which the clock goes forward is an hour shorter.
        ("22:00-07:00 Europe/Madrid", "2026-03-28T22:00:00+00:00", "2026-03-29T05:00:00+00:00"),
        ("12:00-13:00", "2026-06-01T12:30:00+00:00", "2026-06-01T13:00:00+00:00"),
    ],
)
def test_quiet_hours_go_by_the_clock_on_the_wall(text: str, at: str, over: str | None) -> None:
    found = parse_quiet(text).over(datetime.fromisoformat(at))
    assert found == (None if over is None else datetime.fromisoformat(over))


def test_quiet_hours_never_end_before_they_are_asked_for() -> None:
    hours = parse_quiet("01:00-02:30 Europe/Madrid")  # 02:30 is skipped, and comes twice in autumn
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        for minute in range(180):
            at = day + timedelta(minutes=minute) - timedelta(hours=1)
            assert (hours.over(at) or at) >= at


@pytest.mark.parametrize(
    "text", ["", "22-07", "22:00-25:00", "22:00-07:00 Mars/Base", "08:00-08:00", "22:00"]
)
def test_quiet_hours_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="quiet is"):
        parse_quiet(text)
    with pytest.raises(DeclarationError):
        RouteSettings(quiet=text)


def test_quiet_hours_are_a_value() -> None:
    hours = parse_quiet("22:00-07:00")
    assert (hours.start, hours.end) == (time(22), time(7))
