"""A schedule can follow the sun: each day's event once, at any place, none in a polar night."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise

import astral.sun
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sereno import TriggerArguments, TriggerError, except_on, parse
from sereno.model.ledger import ScheduleVersion
from sereno.testing import declared
from sereno.triggers.occurrences import next_slot
from sereno_sun import Sun, plugin, sun

SETTLED = settings(derandomize=True, deadline=None, database=None, max_examples=150)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = ["dawn", "sunrise", "noon", "sunset", "dusk"]
MADRID = (40.4168, -3.7038)

places = st.tuples(st.floats(-89, 89), st.floats(-180, 180))
offsets = st.timedeltas(timedelta(hours=-24), timedelta(hours=24))
suns = st.builds(
    lambda event, place, offset: sun(event, *place, offset=offset),
    st.sampled_from(EVENTS),
    places,
    offsets,
)
instants = st.timedeltas(timedelta(days=-2000), timedelta(days=2000)).map(lambda d: NEW_YEAR + d)


@pytest.fixture(autouse=True, scope="module")
def _taught() -> None:
    """Have the kernel know the kind, as it does once the plugin is installed."""
    declared(plugin)


@SETTLED
@given(suns)
def test_the_text_reads_back_as_the_same_trigger(trigger: Sun) -> None:
    assert parse(trigger.text) == trigger
    assert parse(trigger.text).text == trigger.text == str(trigger)


@SETTLED
@given(suns, instants, st.data())
def test_slots_grow_and_going_on_from_any_instant_gives_the_same_ones(
    trigger: Sun, start: datetime, data: st.DataObject
) -> None:
    before = start
    for slot in islice(trigger.slots(start), 4):
        assert slot > before
        assert slot.tzinfo is UTC
        assert slot.microsecond == trigger.offset.microseconds
        between = data.draw(st.timedeltas(timedelta(0), slot - before - timedelta.resolution))
        assert trigger.next_after(before + between) == slot
        before = slot


@pytest.mark.parametrize("event", EVENTS)
def test_it_agrees_with_the_almanac_of_the_library(event: str) -> None:
    trigger = sun(event, *MADRID)
    for number in range(365):
        day = date(2026, 1, 1) + timedelta(days=number)
        told = getattr(astral.sun, event)(astral.Observer(*MADRID), day)
        found = trigger.next_after(told - timedelta(hours=2))
        assert found is not None
        assert abs(found - told) < timedelta(seconds=30)


@pytest.mark.parametrize("longitude", range(-180, 181, 15))
@pytest.mark.parametrize("event", EVENTS)
def test_every_day_has_its_event_also_where_it_crosses_midnight_of_utc(
    event: str, longitude: int
) -> None:
    slots = list(islice(sun(event, 50, longitude).slots(NEW_YEAR), 366))  # type: ignore[arg-type]
    steps = [b - a for a, b in pairwise(slots)]
    assert (
        timedelta(hours=23, minutes=50) < min(steps) <= max(steps) < timedelta(hours=24, minutes=10)
    )


def test_in_a_polar_night_there_is_no_slot_until_the_sun_is_back() -> None:
    rises = list(sun("sunrise", 69.65, 18.96).slots(NEW_YEAR, NEW_YEAR + timedelta(days=365)))
    gaps = [(a, b) for a, b in pairwise(rises) if b - a > timedelta(days=2)]
    assert rises[0].month == 1
    assert rises[0].day in range(13, 19)
    ((last, first),) = gaps  # the midnight sun: it is up from May to July
    assert (last.month, first.month) == (5, 7)
    assert rises[-1].month == 11


def test_noon_comes_each_day_also_in_a_polar_night() -> None:
    assert len(list(sun("noon", 80, 0).slots(NEW_YEAR, NEW_YEAR + timedelta(days=30)))) == 30


def test_an_offset_moves_each_slot_before_or_after_the_event() -> None:
    plain = sun("sunset", *MADRID).next_after(NEW_YEAR)
    assert plain is not None
    for text, moved in [("-30m", -30), ("90m", 90), ("+1h30m", 90)]:
        found = parse(f"sun sunset 40.4168 -3.7038 offset={text}").next_after(NEW_YEAR)
        assert found == plain + timedelta(minutes=moved)


def test_a_city_is_read_once_and_kept_as_its_place() -> None:
    trigger = parse("sun sunset Madrid offset=-30m")
    assert trigger == sun("sunset", city="Madrid", offset=timedelta(minutes=-30))
    assert trigger.text == "sun sunset 40.4167 -3.75 offset=-30m"
    assert parse("sun noon New Delhi") == sun("noon", city="new delhi")
    assert parse("sun noon Madrid, Spain") == sun("noon", city="Madrid")


def test_it_joins_with_other_kinds_and_stands_in_a_schedule() -> None:
    joined = except_on(sun("sunset", *MADRID), "2026-01-01", tz="Europe/Madrid")
    assert parse(joined.text) == joined
    slot = next_slot(
        ScheduleVersion(version=1, valid_from=NEW_YEAR, state="active", trigger=joined.text),
        "lights.on",
        NEW_YEAR,
    )
    assert slot is not None
    assert slot.date() == date(2026, 1, 2)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sun", r"trigger 'sun': it has 0 of the 2 words that it needs"),
        ("sun sunset", r"it has 1 of the 2 words"),
        ("sun sunsett Madrid", r"event 'sunsett' is none of .*, did you mean 'sunset'\?"),
        ("sun sunset Madird", r"the city 'Madird' is not known, did you mean 'Madrid'\?"),
        ("sun sunset Zzyzx", r"the city 'Zzyzx' is not known; give its latitude and longitude"),
        ("sun sunset 40.42", r"'40.42' is no place; write latitude and longitude"),
        ("sun sunset 40 -3 7", r"'40 -3 7' is no place"),
        ("sun sunset 90 0", r"latitude 90.0: it must be from -89 to 89 degrees"),
        ("sun sunset 40 181", r"longitude 181.0: it must be from -180 to 180"),
        ("sun sunset nan 0", r"latitude nan: it must be from"),
        ("sun sunset 40 -3 offset=25h", r"the offset is 1d1h, it must be at most 24h"),
        ("sun sunset 40 -3 offset=--1h", r"duration '-1h'"),
        ("sun sunset 40 -3 ofset=1h", r"unknown option 'ofset', did you mean 'offset'\?"),
        ("sun sunset (every 6h) Madrid", r"it takes no other trigger"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TriggerError, match=sentence):
        parse(text)


@pytest.mark.parametrize("place", [{}, {"latitude": 1.0}, {"latitude": 1.0, "city": "Madrid"}])
def test_half_a_place_or_two_are_refused(place: dict[str, object]) -> None:
    with pytest.raises(TriggerError, match="it needs a latitude and a longitude, or a city"):
        sun("sunset", **place)  # type: ignore[arg-type]


def test_a_naive_instant_is_refused_and_the_calendar_has_an_end() -> None:
    trigger = sun("sunset", *MADRID, offset="1h")
    with pytest.raises(TriggerError, match="it has no time zone"):
        trigger.next_after(NEW_YEAR.replace(tzinfo=None))
    assert trigger.next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_the_plugin_teaches_its_kind_and_brings_no_job() -> None:
    registry = declared(plugin)
    assert not registry.jobs
    kinds = plugin.sereno_register_trigger_kinds()
    assert kinds["sun"](TriggerArguments("sun", ("noon", "0", "0"), (), {})) == sun("noon", 0, 0)


def test_the_library_is_not_loaded_before_a_trigger_is_asked_for_its_slots() -> None:
    script = (
        "import sys; from sereno.testing import declared; from sereno_sun import plugin, sun;"
        "declared(plugin); assert 'astral' not in sys.modules;"
        "sun('noon', 0, 0).next_after(__import__('datetime').datetime.now().astimezone());"
        "assert 'astral' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=50)
