from typing import Any

import pytest

from sereno.observe.overdue import overdue_at, overdue_because, overdue_seconds
from sereno.store.snapshot import JobFacts

from .facts import DAY, HOUR, MINUTE, NOW, ago, ahead, job


def overdue(one: JobFacts, *others: JobFacts) -> float:
    """Return for how long `one` is overdue at NOW."""
    return overdue_seconds(at(one, *others), NOW.timestamp())


def at(one: JobFacts, *others: JobFacts) -> float | None:
    return overdue_at(one, {j.name: j for j in (one, *others)}, NOW.timestamp())


ETL = {"overdue_after": 7 * HOUR, "next_slot": ahead(HOUR), "due_by": ahead(HOUR + MINUTE)}


def test_a_job_that_succeeded_lately_is_not_overdue() -> None:
    one = job(**ETL, last_success_at=ago(6 * HOUR), last_state="succeeded")

    assert overdue(one) == 0


def test_a_job_whose_slot_was_due_and_did_not_succeed_is_overdue_from_the_age_on() -> None:
    one = job(**ETL, last_success_at=ago(9 * HOUR), last_state="failed", unmet_slot=ago(3 * HOUR))

    assert overdue(one) == 2 * HOUR


def test_a_job_that_never_succeeded_is_measured_from_its_declaration() -> None:
    one = job(**ETL, fresh_at=ago(8 * HOUR), unmet_slot=ago(5 * HOUR))

    assert overdue(one) == HOUR


def test_a_slot_that_nobody_fires_makes_the_job_overdue_once_its_grace_is_over() -> None:
    one = job(next_slot=ago(2 * MINUTE), due_by=ago(MINUTE), last_success_at=ago(HOUR))

    assert overdue(one) == MINUTE


def test_a_slot_within_its_grace_is_not_overdue() -> None:
    assert overdue(job(next_slot=ago(30), due_by=ahead(30))) == 0


def test_a_slot_whose_run_is_stuck_in_the_queue_makes_the_job_overdue() -> None:
    one = job(next_slot=ahead(HOUR), due_by=ahead(HOUR), queued=1, queued_slot=ago(5 * MINUTE))

    assert overdue(one) == 4 * MINUTE


def test_outside_office_hours_a_job_grows_old_without_being_overdue() -> None:
    """Hourly from 8 to 18; it is Saturday, the last run on Friday at 18 succeeded."""
    one = job(
        overdue_after=2 * HOUR,
        last_success_at=ago(20 * HOUR),
        last_state="succeeded",
        next_slot=ahead(44 * HOUR),
        due_by=ahead(44 * HOUR),
    )

    assert overdue(one) == 0
    assert at(one) == ahead(44 * HOUR)  # its slot itself, if nobody fires that


def test_the_first_slot_after_a_gap_gets_its_grace_and_the_timeout() -> None:
    """The slot on Monday at 8 is being worked on: its run has begun, it may take its time."""
    facts = {
        "overdue_after": 2 * HOUR,
        "last_success_at": ago(62 * HOUR),
        "last_state": "succeeded",
        "next_slot": ahead(HOUR),
        "due_by": ahead(HOUR),
        "running": 1,
        "timeout": 10 * MINUTE,
    }

    assert overdue(job(**facts, unmet_slot=ago(11 * MINUTE))) == 0
    assert overdue(job(**facts, unmet_slot=ago(13 * MINUTE))) == 2 * MINUTE


def test_a_job_with_a_short_limit_is_not_given_more_than_that_after_a_gap() -> None:
    one = job(overdue_after=10.0, last_success_at=ago(DAY), unmet_slot=ago(15), next_slot=ahead(5))

    assert overdue(one) == 5


def test_a_paused_job_is_not_overdue_however_old() -> None:
    assert (
        overdue(job(overdue_after=HOUR, last_success_at=ago(DAY), active=False, paused=True)) == 0
    )


def test_a_job_that_is_resumed_after_a_week_is_not_overdue_at_once() -> None:
    one = job(
        overdue_after=7 * HOUR,
        last_success_at=ago(7 * DAY),
        resumed_at=ago(MINUTE),
        next_slot=ahead(5 * HOUR),
        due_by=ahead(5 * HOUR),
    )

    assert overdue(one) == 0
    assert at(one) == ahead(5 * HOUR)


def test_a_job_without_a_schedule_is_not_overdue() -> None:
    assert overdue(job(overdue_after=HOUR, active=False)) == 0


def test_a_job_whose_window_is_over_is_not_overdue() -> None:
    assert at(job(overdue_after=HOUR, last_success_at=ago(DAY), last_state="succeeded")) is None


def test_a_chained_job_is_overdue_when_what_it_follows_ran_and_it_did_not() -> None:
    report = job(
        "reports.daily",
        after=["etl.sync"],
        active=False,
        overdue_after=25 * HOUR,
        last_success_at=ago(26 * HOUR),
    )
    load = job(**ETL, last_success_at=ago(2 * HOUR), last_end_at=ago(2 * HOUR))

    assert overdue(report, load) == HOUR


def test_a_chained_job_is_not_overdue_while_what_it_follows_is_paused() -> None:
    report = job("reports.daily", after=["etl.sync"], active=False, overdue_after=HOUR)

    assert overdue(report, job(active=False, paused=True)) == 0


def test_a_chain_that_runs_in_a_circle_is_read_to_its_end() -> None:
    a = job("a", after=["b"], active=False, overdue_after=HOUR)
    b = job("b", after=["a"], active=False)

    assert at(a, b) is None


@pytest.mark.parametrize("state", ["failed", "timed_out", "lost"])
def test_while_the_database_is_away_a_job_that_failed_last_becomes_overdue_by_age(
    state: str,
) -> None:
    one = job(**ETL, last_success_at=ago(5 * HOUR), last_state=state)

    assert at(one) == min(ahead(2 * HOUR), one.due_by or 0)


def test_overdue_is_never_negative() -> None:
    assert overdue_seconds(ahead(10), NOW.timestamp()) == 0
    assert overdue_seconds(None, NOW.timestamp()) == 0


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"due_by": ago(90), "next_slot": ago(150)},
            "nobody has fired its slot of 2026-03-06T11:57:30Z",
        ),
        (
            {"queued_slot": ago(600), "running": 1, "running_since": ago(700)},
            (
                "its run of the slot 2026-03-06T11:50:00Z still waits in the queue; "
                "a run has been under way since 2026-03-06T11:48:20Z"
            ),
        ),
        (
            {
                "overdue_after": HOUR,
                "last_success_at": ago(2 * HOUR),
                "last_state": "failed",
                "last_run": 12,
                "unmet_slot": ago(1.5 * HOUR),
            },
            (
                "its last success was at 2026-03-06T10:00:00Z, and may be 1h old; "
                "its last run, 12, is failed"
            ),
        ),
        (
            {"overdue_after": HOUR, "unmet_slot": ago(2 * HOUR)},
            "it has never succeeded, and may be 1h old",
        ),
        ({}, None),
    ],
)
def test_it_is_said_why_a_job_is_overdue(facts: dict[str, Any], words: str | None) -> None:
    one = job(**facts)
    assert overdue_because(one, {one.name: one}, NOW.timestamp()) == words
