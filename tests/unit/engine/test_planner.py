"""A slot gets the verdict that the policies demand, and says why."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sereno.engine import planner
from sereno.engine.planner import QUIET, plan
from sereno.model.calendar import Blackout
from sereno.model.concurrency import concurrency_key
from sereno.model.errors import SerenoError
from sereno.model.history import Doubt
from sereno.model.ledger import Entry, ScheduleVersion, Settlement
from sereno.model.policies import Policies

from .ledger import START, at, entry_of, schedule, settle, verdicts

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


# --- catch-up ---------------------------------------------------------------------------------


def test_on_time_a_slot_ran() -> None:
    found = plan(schedule(), Policies(), at("10:00:00"), at("10:00:00.040"), occupied=False)
    assert verdicts(found) == {"10:00": "ran"}
    assert found.runs[0].start
    assert (found.settled_to, found.next_slot) == (at("10:00:00.040"), at("10:01:00"))


def test_more_than_its_grace_after_its_instant_a_slot_is_late_and_says_by_how_much() -> None:
    now = at("10:00:31.500")
    policies = Policies(grace=timedelta(seconds=30))
    found = plan(schedule("every 1h"), policies, now, now, occupied=False)
    assert [(v.verdict, v.reason) for v in found.slots] == [("late", "31.5 s late")]
    within = plan(schedule("every 1h"), policies, at("10:00:30"), at("10:00:30"), occupied=False)
    assert [(v.verdict, v.reason) for v in within.slots] == [("ran", None)]


def test_older_slots_are_coalesced_into_the_newest_and_say_so() -> None:
    found = plan(schedule(), Policies(), at("10:02:00"), at("10:02:00"), occupied=False)
    assert verdicts(found) == {"10:00": "coalesced", "10:01": "coalesced", "10:02": "ran"}
    assert found.slots[0].reason == "into the slot 2026-03-01T10:02:00.000000Z"


def test_catch_up_none_misses_what_is_later_than_its_grace_the_newest_too() -> None:
    policies = Policies(catch_up="none", grace=timedelta(seconds=30))
    found = plan(schedule(), policies, at("10:01:31"), at("10:01:31"), occupied=False)
    assert verdicts(found) == {"10:00": "missed", "10:01": "missed"}
    assert found.slots[0].reason == "later than its grace, and catch_up is none"
    assert found.runs == ()


def test_a_blackout_holds_its_first_instant_and_not_its_last() -> None:
    span: dict[str, Any] = {"starts_at": at("10:01:00"), "ends_at": at("10:03:00")}
    quiet = Blackout(id=1, pattern="*", reason="quiet", **span)
    now, policies = at("10:04:00"), Policies(catch_up="all", overlap="allow", grace=HOUR)
    found = plan(schedule(), policies, now, now, occupied=False, blackouts=[quiet])
    told = verdicts(found)
    assert [told[t] for t in ("10:01", "10:02")] == ["skipped"] * 2
    assert {r.slot for r in found.runs} == {at(f"{t}:00") for t in ("10:00", "10:03", "10:04")}


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
def test_slots_beyond_start_by_are_missed_and_those_within_are_caught_up(catch_up: str) -> None:
    policies = Policies(catch_up=catch_up, start_by=2 * MINUTE, grace=5 * MINUTE)  # type: ignore[arg-type]
    now = at("10:04:30")
    found = plan(schedule(), policies, now, now, occupied=False)
    told = verdicts(found)
    assert [told[t] for t in ("10:00", "10:01", "10:02")] == ["missed"] * 3
    assert {v.reason for v in found.slots if v.verdict == "missed"} == {"later than its start_by"}
    assert "missed" not in (told["10:03"], told["10:04"])
    assert {r.slot + 2 * MINUTE for r in found.runs} == {r.start_by for r in found.runs}
    gone = plan(schedule("every 1h"), policies, now, now, occupied=False)
    assert (verdicts(gone), gone.runs) == ({"10:00": "missed"}, ())


@pytest.mark.parametrize(("start_by", "grace"), [("1m", "3m"), ("3m", "1m"), ("30000000d", "1m")])
def test_with_catch_up_none_the_shorter_of_grace_and_start_by_ends_it(
    start_by: str, grace: str
) -> None:
    policies = Policies().changed({"catch_up": "none", "start_by": start_by, "grace": grace})
    now = at("10:00:10")
    (run,) = plan(schedule("every 1h"), policies, now, now, occupied=True).runs or (None,)
    assert run is None  # overlap: skip
    (run,) = plan(schedule("every 1h"), policies, now, now, occupied=False).runs
    assert run.start_by == at("10:01:00")


def test_catch_up_all_runs_them_one_after_another_whatever_the_overlap() -> None:
    for overlap in ("skip", "queue", "allow", "cancel_previous"):
        policies = Policies(catch_up="all", overlap=overlap)  # type: ignore[arg-type]
        found = plan(schedule(), policies, at("10:02:00"), at("10:02:00"), occupied=False)
        assert [r.start for r in found.runs] == [True, False, False]
        assert {r.concurrency_key for r in found.runs} == {"schedule 1"}
        assert not found.cancel_previous


def test_catch_up_all_misses_what_is_older_than_max_catch_up_allows() -> None:
    policies = Policies(catch_up="all", max_catch_up=1)
    found = plan(schedule(), policies, at("10:02:00"), at("10:02:00"), occupied=False)
    assert verdicts(found) == {"10:00": "missed", "10:01": "missed", "10:02": "ran"}
    assert found.slots[0].reason == "older than max_catch_up allows"


def test_an_outage_of_exactly_as_many_slots_as_are_settled_at_once_runs_the_last() -> None:
    until = START + timedelta(seconds=planner.MAX_SLOTS)
    ledger, _ = settle(schedule("every 1s"), Policies(), [until])
    assert [r.slot for r in ledger.runs] == [until]


# --- overlap ----------------------------------------------------------------------------------


def overlapping(**changes: object) -> Settlement:
    policies = Policies(**changes)  # type: ignore[arg-type]
    return plan(schedule(), policies, at("10:00:00"), at("10:00:00"), occupied=True)


def test_overlap_skip_skips_while_an_earlier_run_is_not_over() -> None:
    found = overlapping(overlap="skip")
    assert [(v.verdict, v.reason) for v in found.slots] == [
        ("skipped", "overlap: an earlier run is not over")
    ]
    assert found.runs == ()


def test_overlap_queue_waits_its_turn() -> None:
    found = overlapping(overlap="queue")
    (run,) = found.runs
    assert (run.start, run.concurrency_key) == (False, "schedule 1")
    assert not found.cancel_previous
    assert verdicts(found) == {"10:00": "waiting"}
    assert (run.on_time_until, run.start_by) == (at("10:01:00"), None)


def test_what_may_not_be_caught_up_may_not_begin_late_either() -> None:
    (run,) = overlapping(overlap="queue", catch_up="none", grace=timedelta(seconds=9)).runs
    assert run.start_by == run.on_time_until == at("10:00:09")


def test_a_grace_beyond_the_end_of_time_holds() -> None:
    (run,) = overlapping(overlap="queue", grace=timedelta.max).runs
    assert run.on_time_until.year == 9999


def test_overlap_cancel_previous_waits_for_the_one_it_has_cancelled() -> None:
    found = overlapping(overlap="cancel_previous")
    (run,) = found.runs
    assert (run.start, run.concurrency_key, found.cancel_previous) == (False, "schedule 1", True)


def test_overlap_allow_starts_beside_the_other() -> None:
    found = overlapping(overlap="allow")
    (run,) = found.runs
    assert (run.start, run.concurrency_key) == (True, None)


def test_a_concurrency_key_is_filled_from_the_params() -> None:
    policies = Policies(concurrency_key="tenant {tenant}")
    found = plan(
        schedule(params={"tenant": 7}), policies, at("10:00:00"), at("10:00:00"), occupied=False
    )
    assert found.runs[0].concurrency_key == "tenant 7"


def test_params_stand_in_a_concurrency_key_as_the_database_writes_them() -> None:
    params = {"a": "x {b}", "b": 1, "c": True, "d": None, "e": 1.5, "f": {"g": [1, 2]}}
    assert concurrency_key("{a}|{b}|{c}|{d}|{e}|{f}", params) == ('x {b}|1|true||1.5|{"g": [1, 2]}')


def test_a_key_whose_param_is_missing_is_a_sentence() -> None:
    with pytest.raises(SerenoError, match=r"names the param 'tenant', which the run does not have"):
        concurrency_key("tenant {tenant}", {})


def test_braces_without_a_name_are_text() -> None:
    assert concurrency_key("{} {", {}) == "{} {"


# --- pauses, windows, orphans -----------------------------------------------------------------


def test_a_paused_schedule_skips_and_is_looked_at_every_hour_to_say_so() -> None:
    found = plan(
        schedule(state="paused"), Policies(), at("10:02:00"), at("10:02:00"), occupied=False
    )
    assert found.slots == ()
    (paused,) = found.ranges
    assert (paused.first, paused.last, paused.slots) == (at("10:00:00"), at("10:02:00"), 3)
    assert (paused.verdict, paused.reason) == ("skipped", "paused")
    assert (found.next_slot, found.wake_at) == (None, at("10:02:00") + QUIET)


def test_a_pause_ends_at_its_instant_and_the_slot_at_that_instant_is_not_part_of_it() -> None:
    entry = schedule(state="paused", paused_until=at("10:02:00"))
    first = plan(entry, Policies(), at("10:00:10"), at("10:00:10"), occupied=False)
    assert (first.pause_over, first.wake_at) == (False, at("10:02:00"))
    ledger, after = settle(entry, Policies(), [at("10:00:10"), at("10:09:00")])
    assert after.settled_to == at("10:02:00") - timedelta(microseconds=1)
    assert ledger.ranges == {at("10:00:00"): (at("10:01:00"), 2, "skipped", "paused")}
    last = plan(after, Policies(), at("10:09:00"), at("10:09:00"), occupied=False)
    assert last.pause_over


def test_a_pause_without_an_end_is_never_over() -> None:
    found = plan(
        schedule(state="paused"), Policies(), at("23:00:00"), at("23:00:00"), occupied=False
    )
    assert not found.pause_over


def test_before_its_window_a_slot_is_skipped_and_says_so() -> None:
    entry = schedule(starts_at=at("10:01:30"), ends_at=at("10:03:00"))
    found = plan(entry, Policies(catch_up="all"), at("10:09:00"), at("10:09:00"), occupied=False)
    (outside,) = found.ranges
    assert (outside.slots, outside.verdict, outside.reason) == (2, "skipped", "outside its window")
    assert verdicts(found) == {"10:02": "late"}
    assert (found.next_slot, found.wake_at) == (None, None)


def test_a_window_that_opens_far_off_is_looked_at_every_hour() -> None:
    entry = schedule(starts_at=START + timedelta(days=3))
    found = plan(entry, Policies(), at("10:02:00"), at("10:02:00"), occupied=False)
    assert found.wake_at == at("10:02:00") + QUIET
    assert found.next_slot == START + timedelta(days=3, seconds=30)


@pytest.mark.parametrize("state", ["orphaned", "removed"])
def test_nothing_is_due_of_a_schedule_that_is_gone(state: str) -> None:
    found = plan(schedule(state=state), Policies(), at("10:02:00"), at("10:02:00"), occupied=False)
    assert (found.slots, found.ranges, found.runs) == ((), (), ())
    assert (found.settled_to, found.wake_at) == (at("10:02:00"), None)


def test_slots_of_a_job_that_this_code_does_not_know_are_missed() -> None:
    found = plan(schedule(), None, at("10:01:00"), at("10:01:00"), occupied=False)
    assert verdicts(found) == {"10:00": "missed", "10:01": "missed"}
    assert found.slots[0].reason == "its job is not declared any more"


# --- ranges -----------------------------------------------------------------------------------


def test_a_long_outage_is_one_range() -> None:
    until = START + timedelta(seconds=30) + 100 * MINUTE
    found = plan(schedule(), Policies(), until, until, occupied=False)
    (coalesced,) = found.ranges
    assert (coalesced.slots, coalesced.verdict) == (100, "coalesced")
    assert [v.slot for v in found.slots] == [until]
    assert found.open is None


def test_a_range_grows_from_tick_to_tick_while_its_verdict_goes_on() -> None:
    ticks = [START + n * MINUTE for n in range(1, 20)]
    ledger, entry = settle(schedule(state="paused"), Policies(), ticks)
    assert [(slots, verdict) for _, slots, verdict, _ in ledger.ranges.values()] == [
        (19, "skipped")
    ]
    assert entry.open is not None
    assert entry.open.first == at("10:00:00")


def test_a_tick_without_a_slot_does_not_end_a_range() -> None:
    ticks = [at("10:00:10"), at("10:00:20"), at("10:01:10")]
    ledger, _ = settle(schedule(state="paused"), Policies(), ticks)
    assert len(ledger.ranges) == 1


def test_a_range_of_another_reason_does_not_grow() -> None:
    before = entry_of(
        (
            ScheduleVersion(version=1, valid_from=START, state="paused", trigger="every 1m"),
            ScheduleVersion(
                version=2,
                valid_from=at("10:01:30"),
                state="active",
                trigger="every 1m",
                starts_at=at("12:00:00"),
            ),
        )
    )
    ledger, _ = settle(before, Policies(), [at("10:01:00"), at("10:03:00")])
    assert [(n, reason) for _, n, _, reason in ledger.ranges.values()] == [
        (2, "paused"),
        (2, "outside its window"),
    ]


# --- odd clocks -------------------------------------------------------------------------------


def test_a_clock_that_was_set_back_settles_nothing_twice() -> None:
    ledger, entry = settle(schedule(), Policies(), [at("10:05:00")])
    back = plan(entry, Policies(), at("10:01:00"), at("10:01:00"), occupied=False)
    assert (back.slots, back.runs, back.settled_to) == ((), (), at("10:05:00"))
    assert back.wake_at == at("10:06:00")
    assert len(ledger.runs) == 1


def test_priority_params_and_policies_go_from_the_schedule_to_its_run() -> None:
    entry: Entry = schedule(params={"a": 1}, policies={"timeout": "PT5S"})
    policies = replace(Policies(), priority=7)
    (run,) = plan(entry, policies, at("10:00:00"), at("10:00:00"), occupied=False).runs
    assert (run.params, run.policies, run.priority) == ({"a": 1}, {"timeout": "PT5S"}, 7)


# --- what may have run in a history that the database has forgotten ------------------------------


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
def test_what_must_not_run_twice_and_may_have_run_is_missed_and_what_follows_is_not(
    catch_up: str,
) -> None:
    policies = Policies(
        on_lost="fail",
        catch_up=catch_up,  # type: ignore[arg-type]
        overlap="allow",
        grace=timedelta(hours=1),
    )
    found = plan(
        schedule(),
        policies,
        at("10:03:00"),
        at("10:03:00"),
        occupied=False,
        doubt=Doubt(at("10:01:00")),
    )
    assert list(verdicts(found).items())[:2] == [("10:00", "missed"), ("10:01", "missed")]
    assert (found.slots[0].reason or "").startswith("it may have run: ")
    assert verdicts(found)["10:03"] in ("ran", "waiting")
    assert all(run.slot > at("10:01:00") for run in found.runs)


def test_what_may_run_twice_runs_whatever_is_forgotten() -> None:
    now = at("10:00:00")
    found = plan(schedule(), Policies(), now, now, occupied=False, doubt=Doubt(at("11:00:00")))
    assert verdicts(found) == {"10:00": "ran"}


def test_a_long_doubt_is_a_range_even_where_it_takes_several_goes() -> None:
    policies = Policies(on_lost="fail")
    until = at("12:00:00")
    found = plan(schedule(), policies, until, until, occupied=False, doubt=Doubt(until))
    assert found.slots == ()
    assert [(r.verdict, r.slots) for r in found.ranges] == [("missed", 121)]
