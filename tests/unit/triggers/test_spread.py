"""Jitter to both sides keeps order and number, is the same everywhere, and has no slot twice."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno import any_of, cron, every, jitter, parse, within
from sereno.model.errors import TriggerError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.spread import format_spread, parse_spread
from sereno.triggers.occurrences import due_slots, spans
from sereno.triggers.resolution import alike, as_it_stands, foretold, resolved, started
from sereno.triggers.succession import succeed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["±30s", "+-30s", "+/-30s", " ±30s"])
def test_a_spread_to_both_sides_is_read(text: str) -> None:
    assert parse_spread(text) == timedelta(seconds=-30)
    assert format_spread(parse_spread(text)) == "±30s"
    assert parse_spread(parse_spread(text)) == timedelta(seconds=-30)


@pytest.mark.parametrize("text", ["±", "±-3s", "-30s", "±1y", "30s±", "±±3s", "±0.5s", "±400d"])
def test_what_is_no_spread_is_refused(text: str) -> None:
    with pytest.raises(TriggerError):
        jitter(every("1h"), text)


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 90_000), st.integers(1, 7_200), st.text("ab@.", min_size=1, max_size=9))
def test_slots_keep_order_number_and_bounds(period: int, spread: int, key: str) -> None:
    plain = every(timedelta(seconds=period))
    moved = jitter(plain, f"±{spread}s", key)
    assert parse(moved.text) == moved
    found, at = [], NOW
    for _ in range(50):
        at = moved.next_after(at)
        found.append(at)
    assert all(a < b for a, b in pairwise(found))
    shortest = timedelta(seconds=spread)
    near = [plain.next_after(slot - shortest - timedelta(microseconds=1)) for slot in found]
    assert all(
        slot - shortest <= own <= slot + shortest for slot, own in zip(found, near, strict=True)
    )
    if 2 * spread < period:  # each its own: none is lost, none doubled
        assert all(b - a == timedelta(seconds=period) for a, b in pairwise(near))


@pytest.mark.parametrize("trigger", [every("1h"), within(every("1h"), end="2027-01-01T00:00:00Z"),
                                     any_of(every("1h"), cron("0 3 * * *"))])  # fmt: skip
def test_what_ran_early_is_not_run_again_by_the_version_that_follows(trigger: object) -> None:
    spread = timedelta(minutes=-20)
    before = ScheduleVersion(
        version=1, valid_from=NOW - timedelta(days=9), state="active", trigger=str(trigger),
        jitter=spread,
    )  # fmt: skip
    for minute in range(0, 60 * 24, 7):
        at = NOW + timedelta(minutes=minute)
        after = ScheduleVersion(version=2, valid_from=at, state="active", trigger="every 1h")
        following, first = succeed([before], after, "a.b")
        both = [before, following]
        until = at + timedelta(hours=6)
        begun = at - timedelta(hours=6)
        got = [s for v, a, b in spans(both, begun, until) for s in due_slots(v, "a.b", a, b)]
        # An hour has one run: about 12 in twelve hours, whatever the change fell between.
        assert 11 <= len(got) <= 13
        assert all(b - a >= timedelta(minutes=20) for a, b in pairwise(got)), (at, got)
        assert first == next(s for s in got if s > at)


def spec(**parts: object) -> ScheduleSpec:
    return ScheduleSpec(trigger="every 1h", **parts)  # type: ignore[arg-type]


def slots(version: ScheduleVersion, count: int = 4) -> list[datetime]:
    until = NOW + timedelta(days=3)
    return [*islice(due_slots(version, "a.b", version.valid_from, until), count)]


def test_a_start_is_a_slot_of_its_own_and_then_its_slots_follow() -> None:
    found = slots(foretold(spec(at_start=True), "a.b", NOW))
    assert found[0] == NOW + timedelta(microseconds=1)
    assert found[1:] == [NOW + timedelta(hours=n) for n in (1, 2, 3)]


def test_a_start_waits_for_its_window_and_is_moved_by_no_jitter() -> None:
    opens = NOW + timedelta(minutes=90)
    assert slots(foretold(spec(at_start=True, starts_at=opens), "a.b", NOW))[0] < opens
    inside = [s for s in slots(foretold(spec(at_start=True, starts_at=opens), "a.b", NOW))
              if s >= opens]  # fmt: skip
    assert inside[0] == opens
    for spread in (timedelta(minutes=30), timedelta(minutes=-30)):
        found = slots(foretold(spec(at_start=True, jitter=spread), "a.b", NOW))
        assert found[0] == NOW + timedelta(microseconds=1)


@pytest.mark.parametrize("more", [{}, {"at_start": True}, {"jitter": timedelta(minutes=-9)}])
def test_a_one_off_has_one_slot(more: dict[str, object]) -> None:
    assert len(slots(foretold(spec(one_off=True, **more), "a.b", NOW))) == 1


def test_what_says_the_same_makes_the_same_version() -> None:
    one = spec(at_start=True, one_off=True, jitter=timedelta(minutes=5))
    version = foretold(one, "a.b", NOW)
    assert as_it_stands(one, "a.b", version) == version
    later = resolved(one, "a.b", NOW + timedelta(days=1), started=started(one, version))
    assert later.trigger == version.trigger
    assert alike(one, spec(at_start=True, one_off=True, jitter=timedelta(minutes=5), title="x"))
    assert not alike(one, spec(at_start=True))
