"""Days are played by the leader's own rules: what waits, is skipped, passes its time, and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno.engine.rehearsal import Scene, rehearse
from sereno.model.calendar import Blackout
from sereno.model.ledger import Entry, ScheduleVersion
from sereno.model.policies import Policies
from sereno.model.rehearsal import MeasuredDurations, Places, Rehearsal, RehearsedJob, UnderWay

NOW = datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def entry(number: int, name: str, trigger: str, **more: Any) -> Entry:
    told = {k: more.pop(k) for k in ("state", "starts_at", "ends_at", "policies") if k in more}
    version = ScheduleVersion(
        version=1, valid_from=NOW - DAY, trigger=trigger, **{"state": "active", **told}
    )
    return Entry(
        schedule_id=number,
        name=name,
        job=name.partition("@")[0],
        versions=(version,),
        settled_to=NOW,
        next_slot=None,
        wake_at=NOW,
        version=1,
        **more,
    )


def takes(usual: timedelta, slow: timedelta | None = None, **policies: Any) -> RehearsedJob:
    durations = MeasuredDurations(usual=usual, slow=usual if slow is None else slow, runs=9)
    return RehearsedJob(policies=Policies().changed(policies), durations=durations)


def play(
    *entries: Entry, jobs: dict[str, RehearsedJob], span: timedelta = DAY, **more: Any
) -> Rehearsal:
    most = more.pop("most", 100_000)
    scene = Scene(since=NOW, entries=entries, jobs=jobs, **more)
    return rehearse(scene, NOW + span, most=most)


def test_nothing_comes_of_nothing() -> None:
    found = play(jobs={})
    assert found.whole
    assert found.usual.slots == 0
    assert not found.usual.findings


def test_a_run_that_takes_longer_than_its_interval_has_the_next_slot_skipped() -> None:
    found = play(entry(1, "a", "every 1h"), jobs={"a": takes(minutes(50), minutes(70))})
    assert found.usual.troubles["skipped"] == 0
    assert found.slow.troubles["skipped"] == 12
    (finding,) = found.slow.findings
    assert (finding.trouble, finding.hindrance, finding.schedule) == ("skipped", "schedule", "a")
    assert finding.first == datetime(2026, 3, 1, 2, tzinfo=UTC)


def test_a_pool_that_is_full_holds_up_what_comes_last() -> None:
    names = [f"a@{n}" for n in range(4)]
    found = play(
        *(entry(n, name, "cron 0 3 * * * UTC") for n, name in enumerate(names)),
        jobs={"a": takes(minutes(10), executor="thread", overlap="allow", grace="12m")},
        places=Places(threads=1),
    )
    waits = [(e.schedule, e.trouble, e.hindrance, e.detail, e.wait) for e in found.usual.events]
    assert waits == [
        ("a@1", "waits", "executor", "thread", minutes(10)),
        ("a@2", "late", "executor", "thread", minutes(20)),
        ("a@3", "late", "executor", "thread", minutes(30)),
    ]
    pool = next(p for p in found.usual.pools if p.pool == "thread")
    assert (pool.full, pool.most, pool.full_for) == (1, 1, minutes(40))
    assert pool.spans[0].since == datetime(2026, 3, 1, 3, tzinfo=UTC)


def test_what_waits_past_its_start_by_is_missed() -> None:
    jobs = {"a": takes(minutes(30), max_running=1, overlap="allow", start_by="10m")}
    found = play(entry(1, "a@1", "cron 0 3 * * *"), entry(2, "a@2", "cron 0 3 * * *"), jobs=jobs)
    (finding,) = found.usual.findings
    assert (finding.trouble, finding.hindrance, finding.schedule) == ("missed", "job", "a@2")


def test_a_timeout_is_told_for_each_attempt() -> None:
    retry = {"attempts": 3, "delay": "1m", "jitter": 0}
    jobs = {"a": takes(minutes(1), minutes(9), timeout="5m", retry=retry)}
    found = play(entry(1, "a", "cron 0 3 * * *"), jobs=jobs)
    assert found.usual.troubles["timed_out"] == 0
    assert [e.at.minute for e in found.slow.events] == [5, 11, 18]


def test_the_next_slot_takes_the_place_of_a_run_where_its_job_says_so() -> None:
    jobs = {"a": takes(minutes(90), overlap="cancel_previous")}
    found = play(entry(1, "a", "every 1h"), jobs=jobs)
    assert found.usual.troubles["cancelled"] == 23
    assert found.usual.troubles["skipped"] == 0


def test_what_follows_a_job_takes_places_too() -> None:
    follower = takes(minutes(5), executor="thread")
    jobs = {
        "a": takes(minutes(10), executor="thread"),
        "b": RehearsedJob(
            policies=follower.policies, durations=follower.durations, after=("a", "c")
        ),
        "c": takes(minutes(2)),
    }
    found = play(
        entry(1, "a", "cron 0 3 * * *"),
        entry(2, "c", "cron 0 3 * * *"),
        entry(3, "a@x", "cron 10 3 * * *"),
        jobs=jobs,
        places=Places(threads=1),
    )
    (event,) = found.usual.events
    assert (event.job, event.schedule, event.wait) == ("b", None, minutes(10))


def test_pauses_windows_and_blackouts_hold_slots_on_purpose() -> None:
    until = NOW + timedelta(hours=3)
    blackout = Blackout(
        id=1, pattern="c", starts_at=NOW, ends_at=NOW + timedelta(hours=2), reason="moving"
    )
    found = play(
        entry(1, "a", "every 1h", state="paused", paused_until=until),
        entry(2, "b", "every 1h", starts_at=NOW + timedelta(hours=5)),
        entry(3, "c", "every 1h"),
        jobs={name: takes(minutes(1)) for name in "abc"},
        blackouts=[blackout],
        span=timedelta(hours=10),
    )
    assert found.usual.slots == 30
    assert found.usual.held == 3 + 5 + 2
    assert found.usual.started == 20
    assert not found.usual.findings


def test_runs_under_way_have_their_places_already() -> None:
    jobs = {"a": takes(minutes(60)), "b": takes(minutes(5), max_running=1)}
    found = play(
        entry(1, "a", "every 30m"),
        entry(2, "b", "every 30m"),
        jobs=jobs,
        span=minutes(31),
        under_way=[
            UnderWay(job="a", schedule_id=1, schedule="a", started_at=NOW - minutes(20), attempt=1),
            UnderWay(job="b", started_at=NOW - minutes(500), attempt=1),
            UnderWay(job="gone", started_at=NOW, attempt=1),
        ],
    )
    assert [(e.schedule, e.trouble) for e in found.usual.events] == [("a", "skipped")]


def test_it_says_how_far_it_went_and_what_it_could_not_read() -> None:
    found = play(
        entry(1, "a", "every 1s"),
        entry(2, "b", "no trigger at all"),
        entry(3, "c", "every 1h", policies={"overlap": "sometimes"}),
        jobs={"a": RehearsedJob(policies=Policies()), "b": takes(DAY), "c": takes(DAY)},
        most=500,
    )
    assert not found.whole
    assert found.usual.slots == 500
    assert sorted(found.unread) == ["b", "c"]
    assert found.unmeasured == ("a",)


@pytest.mark.parametrize(("overlap", "way"), [("queue", "schedule"), ("allow", "executor")])
def test_what_can_never_catch_up_waits_ever_longer(overlap: str, way: str) -> None:
    jobs = {"a": takes(minutes(3), executor="thread", overlap=overlap)}
    found = play(entry(1, "a", "every 1m"), jobs=jobs, places=Places(threads=1))
    assert found.usual.slots == 1440
    (late,) = found.usual.findings
    assert (late.trouble, late.hindrance, late.count) == ("late", way, 479)
    assert late.longest == 479 * minutes(2)
