"""Whatever its history, every slot gets exactly one verdict, and the one that is right."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno.engine import planner
from sereno.engine.planner import plan
from sereno.model.errors import SerenoError
from sereno.model.ledger import ScheduleVersion
from sereno.model.policies import Policies
from sereno.triggers import occurrences

from . import ledger as drawn
from .ledger import START, at, due, entry_of, is_active, schedule, settle, verdicts

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=120)


def chunks_of(size: int) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setattr(planner, "MAX_SLOTS", size)
    return patch


@SETTLED
@given(drawn.histories(), drawn.policies, drawn.ticks, st.integers(2, 60), st.booleans())
def test_every_slot_gets_exactly_one_verdict_however_it_is_cut_into_goes(
    history: tuple[ScheduleVersion, ...],
    policies: Policies,
    ticks: list[datetime],
    chunk: int,
    occupied: bool,
) -> None:
    expected = due(history, ticks[-1])
    patch = chunks_of(chunk)
    try:
        ledger, entry = settle(entry_of(history), policies, ticks, occupied=occupied)
    finally:
        patch.undo()
    accounts = ledger.accounts(expected)
    assert {slot: v for slot, v in accounts.items() if len(v) != 1 or slot not in expected} == {}
    assert entry.settled_to == ticks[-1]


@SETTLED
@given(drawn.histories(), drawn.policies, drawn.ticks, st.integers(2, 60))
def test_a_slot_has_a_run_if_and_only_if_its_verdict_says_that_it_ran_or_waits(
    history: tuple[ScheduleVersion, ...], policies: Policies, ticks: list[datetime], chunk: int
) -> None:
    patch = chunks_of(chunk)
    try:
        ledger, _ = settle(entry_of(history), policies, ticks)
    finally:
        patch.undo()
    ran = [v.slot for v in ledger.slots if v.verdict in ("waiting", "ran", "late")]
    assert ran == [r.slot for r in ledger.runs]
    assert ran == sorted(set(ran))
    waiting = [v.slot for v in ledger.slots if v.verdict == "waiting"]
    assert waiting == [r.slot for r in ledger.runs if not r.start]


@SETTLED
@given(drawn.histories(), drawn.policies, drawn.moments)
def test_only_slots_that_were_neither_paused_nor_outside_the_window_run(
    history: tuple[ScheduleVersion, ...], policies: Policies, until: datetime
) -> None:
    expected = due(history, until)
    ledger, _ = settle(entry_of(history), policies, [until])
    for slot, (verdict,) in ledger.accounts(expected).items():
        if not is_active(slot, expected[slot]):
            assert verdict == "skipped"


@SETTLED
@given(drawn.histories(), drawn.moments, st.integers(2, 60))
def test_after_an_outage_the_newest_slot_runs_and_no_other(
    history: tuple[ScheduleVersion, ...], until: datetime, chunk: int
) -> None:
    active = [slot for slot, d in due(history, until).items() if is_active(slot, d)]
    patch = chunks_of(chunk)
    try:
        ledger, _ = settle(entry_of(history), Policies(catch_up="last"), [until])
    finally:
        patch.undo()
    assert [r.slot for r in ledger.runs] == active[-1:]


@SETTLED
@given(drawn.histories(), drawn.moments, st.none() | st.integers(1, 40), st.integers(2, 60))
def test_catch_up_all_runs_the_newest_so_many(
    history: tuple[ScheduleVersion, ...], until: datetime, most: int | None, chunk: int
) -> None:
    active = [slot for slot, d in due(history, until).items() if is_active(slot, d)]
    patch = chunks_of(chunk)
    try:
        ledger, _ = settle(
            entry_of(history), Policies(catch_up="all", max_catch_up=most, overlap="queue"), [until]
        )
    finally:
        patch.undo()
    assert [r.slot for r in ledger.runs] == (active if most is None else active[-most:])


@SETTLED
@given(drawn.histories(), drawn.moments, drawn.seconds)
def test_catch_up_none_runs_those_within_their_grace_alone(
    history: tuple[ScheduleVersion, ...], until: datetime, grace: timedelta
) -> None:
    active = [slot for slot, d in due(history, until).items() if is_active(slot, d)]
    policies = Policies(catch_up="none", grace=grace, overlap="allow")
    ledger, _ = settle(entry_of(history), policies, [until])
    assert [r.slot for r in ledger.runs] == [s for s in active if until - s <= grace]


@SETTLED
@given(
    st.lists(st.tuples(drawn.moments, st.sampled_from(drawn.TRIGGERS)), min_size=1, max_size=4),
    drawn.ticks,
)
def test_versions_whose_instants_run_backwards_double_no_slot(
    turns: list[tuple[datetime, str]], ticks: list[datetime]
) -> None:
    """The database's clock can be set back between two changes of a schedule."""
    history = (
        ScheduleVersion(version=1, valid_from=START, state="active", trigger="every 7s"),
        *(
            ScheduleVersion(version=n, valid_from=turn, state="active", trigger=trigger)
            for n, (turn, trigger) in enumerate(turns, 2)
        ),
    )
    ledger, _ = settle(entry_of(history), Policies(overlap="allow", catch_up="all"), ticks)
    doubled = {s: v for s, v in ledger.accounts(due(history, ticks[-1])).items() if len(v) > 1}
    assert doubled == {}


def test_a_slot_at_the_instant_of_a_change_follows_the_older_version() -> None:
    change = at("10:05:00")
    history = (
        ScheduleVersion(version=1, valid_from=START, state="active", trigger="every 5m"),
        ScheduleVersion(version=2, valid_from=change, state="active", trigger="every 1h"),
    )
    found = plan(entry_of(history), Policies(catch_up="all"), change, change, occupied=False)
    assert verdicts(found) == {"10:00": "late", "10:05": "waiting"}
    assert found.next_slot == at("11:00:00")


def test_a_version_to_come_is_looked_at_when_it_comes_into_force() -> None:
    change = at("10:05:30")
    history = (
        ScheduleVersion(version=1, valid_from=START, state="active", trigger="every 1m"),
        ScheduleVersion(version=2, valid_from=change, state="active", trigger="every 1h"),
    )
    found = plan(entry_of(history), Policies(), at("10:05:00"), at("10:05:00"), occupied=False)
    assert found.wake_at == change


def test_a_trigger_that_does_not_move_on_is_refused_and_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stuck:
        def next_after(self, instant: datetime) -> datetime:
            return at("10:00:00")

    monkeypatch.setattr(occurrences, "trigger_of", lambda *a: Stuck())
    with pytest.raises(SerenoError, match=r"schedule 'a\.b': .*strictly after"):
        plan(schedule(), Policies(), at("10:01:00"), at("10:01:00"), occupied=False)
