"""The load to come is what each schedule's own slots add up to, as far as enough was looked at."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sereno.triggers import parse
from sereno.triggers.jitter import jitter
from sereno.triggers.load import Alike, coming_load

SINCE = datetime(2026, 10, 24, 22, 30, 12, tzinfo=UTC)
TEXTS = (
    "cron 30 2 * * * Europe/Madrid",
    "cron */7 1-3 * * * Europe/Madrid",
    "every 90s",
    "every 11m",
    "once 2026-10-25T01:00:00Z",
    "except_on (cron 0 * * * * UTC) 2026-10-25",
)


@st.composite
def alike(draw: st.DrawFn) -> Alike:
    spread = draw(st.none() | st.integers(1, 900).map(lambda s: timedelta(seconds=s)))
    start = draw(st.none() | st.integers(-600, 900).map(lambda m: SINCE + timedelta(minutes=m)))
    end = draw(st.none() | st.integers(-60, 1500).map(lambda m: SINCE + timedelta(minutes=m)))
    return Alike(
        trigger=draw(st.sampled_from(TEXTS)),
        jobs={"a.b": draw(st.integers(1, 3)), "c.d": 1},
        jitter=spread,
        starts_at=start,
        ends_at=end,
        name="a.b@x" if spread else "",
    )


@given(st.lists(alike(), max_size=5), st.integers(1, 24))
def test_a_minute_has_what_each_schedule_has_in_it(some: list[Alike], hours: int) -> None:
    until = SINCE + timedelta(hours=hours)
    expected: Counter[datetime] = Counter()
    for one in some:
        trigger = parse(one.trigger)
        if one.jitter:
            trigger = jitter(trigger, one.jitter, key=one.name)
        for slot in trigger.slots(SINCE, until):
            if (one.starts_at or slot) <= slot < (one.ends_at or datetime.max.replace(tzinfo=UTC)):
                expected[slot.replace(second=0, microsecond=0)] += sum(one.jobs.values())
    whole = coming_load(some, SINCE, until, most=1_000_000)
    assert {m.minute: m.slots for m in whole.minutes} == expected
    assert (whole.until, whole.unread) == (until, 0)
    part = coming_load(some, SINCE, until, most=20)
    assert part.until <= until
    seen = {m.minute: m.slots for m in part.minutes}
    assert seen == {at: n for at, n in expected.items() if part.until == until or at < part.until}


def test_a_trigger_that_cannot_be_read_is_counted_and_the_others_are_told() -> None:
    some = [Alike(trigger=t, jobs={"a.b": 1}) for t in ("moon full", "every 1h")]
    found = coming_load(some, SINCE, SINCE + timedelta(hours=3), most=100)
    assert (found.unread, [m.slots for m in found.minutes]) == (1, [1, 1, 1])
