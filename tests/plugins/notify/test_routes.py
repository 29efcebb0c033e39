"""Who hears of what, and when."""

from datetime import UTC, datetime, time, timedelta

import pytest

from sereno import DeclarationError
from sereno_notify.quiet_hours import parse_quiet
from sereno_notify.routes import Routes, unknown_notifiers
from sereno_notify.settings import NotifyRoute

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def routes(*notifiers: str, **named: NotifyRoute) -> Routes:
    return Routes(named, notifiers)


def test_without_a_route_every_notifier_hears_of_warnings_and_worse() -> None:
    found = routes("mail", "chat")
    assert found.when("run_failed", "warning", "etl.sync", NOON) == {"mail": None, "chat": None}
    assert found.when("leader_changed", "info", None, NOON) == {}


def test_a_route_takes_its_severity_and_its_jobs_alone() -> None:
    found = routes("mail", "pager", etl=NotifyRoute(
        to=("pager",), severity="critical", jobs=("etl.*", "reports.daily"),
    ))  # fmt: skip
    assert found.when("run_failed", "critical", "etl.sync", NOON) == {"pager": None}
    assert found.when("run_failed", "critical", "reports.daily", NOON) == {"pager": None}
    assert found.when("run_failed", "warning", "etl.sync", NOON) == {}
    assert found.when("run_failed", "critical", "cleanup.logs", NOON) == {}


def test_what_concerns_no_job_goes_to_routes_of_all_jobs() -> None:
    found = routes("a", "b", one=NotifyRoute(to=("a",)), two=NotifyRoute(jobs=("etl.*",)))
    assert found.when("leader_missing", "critical", None, NOON) == {"a": None}


def test_a_route_may_take_some_kinds_and_no_good_news() -> None:
    found = routes("a", one=NotifyRoute(kinds=("job_overdue",), resolved=False))
    assert found.when("job_overdue", "warning", "x", NOON) == {"a": None}
    assert found.when("job_overdue", "warning", "x", NOON, resolved=True) == {}
    assert found.when("run_failed", "warning", "x", NOON) == {}


def test_quiet_hours_hold_all_but_what_is_critical() -> None:
    found = routes("a", one=NotifyRoute(quiet="11:00-14:30"))
    assert found.when("run_failed", "warning", "x", NOON) == {"a": NOON.replace(hour=14, minute=30)}
    assert found.when("run_failed", "critical", "x", NOON) == {"a": None}


def test_the_route_that_may_tell_soonest_counts() -> None:
    late = NotifyRoute(quiet="11:00-18:00")
    soon = NotifyRoute(quiet="11:00-13:00")
    found = routes("a", late=late, soon=soon)
    assert found.when("run_failed", "warning", "x", NOON) == {"a": NOON.replace(hour=13)}
    found = routes("a", late=late, now=NotifyRoute())
    assert found.when("run_failed", "warning", "x", NOON) == {"a": None}


def test_a_notifier_that_this_node_does_not_have_is_left_out() -> None:
    assert routes("a", one=NotifyRoute(to=("b",))).when("run_failed", "warning", "x", NOON) == {}
    assert not routes("a", one=NotifyRoute(to=("b",))).any("run_failed", "critical", "x")


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
        NotifyRoute(quiet=text)


def test_quiet_hours_are_a_value() -> None:
    hours = parse_quiet("22:00-07:00")
    assert (hours.start, hours.end) == (time(22), time(7))


def test_a_route_to_nobody_is_told_with_a_suggestion() -> None:
    found = unknown_notifiers({"ops": NotifyRoute(to=("bel", "mail"))}, ["bell", "mail"])
    assert [*found] == ["route 'ops': there is no notifier 'bel', did you mean 'bell'?"]
    (told,) = unknown_notifiers({"ops": NotifyRoute(to=("pager",))}, [])
    assert "known are none: webhooks and emails of [plugins.notify] are some" in told
