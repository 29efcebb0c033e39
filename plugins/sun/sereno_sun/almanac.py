"""When the sun does what at a place, by astral's solar coordinates; the only module that imports
it.

astral's own ``sunrise(date)`` answers by calendar days of one zone. A day on which it rises twice,
at 00:01 and at 23:59, or not at all, then loses or repeats an event. Here each solar day has its
event: the one around the instant at which the mean sun stands highest over the place.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import degrees

from astral import LocationInfo, SunDirection
from astral.geocoder import all_locations, database, lookup_in_group
from astral.julian import julianday, julianday_to_juliancentury
from astral.sun import eq_of_time, hour_angle, sun_declination

DAY = timedelta(days=1)
HORIZON_DAYS = 400
HORIZON = 90.833  # the sun's upper edge, lifted by refraction: the almanacs' rule
CIVIL = 96.0
_MINUTES = 1440
_ROUNDS = 4  # each takes the sun's place at the instant found before: to a hundredth of a second

_KINDS = {
    "dawn": (CIVIL, SunDirection.RISING),
    "sunrise": (HORIZON, SunDirection.RISING),
    "sunset": (HORIZON, SunDirection.SETTING),
    "dusk": (CIVIL, SunDirection.SETTING),
}


def events(kind: str, latitude: float, longitude: float, around: datetime) -> Iterator[datetime]:
    """Yield each `kind` from a little before `around` on, in UTC and in order, for over a year.

    Raises OverflowError at either end of the calendar.
    """
    day = datetime(around.year, around.month, around.day, tzinfo=UTC)
    for number in range(-2, HORIZON_DAYS):
        with suppress(ValueError):  # arc cosine: the sun does not get there on this day
            begin = day + number * DAY
            yield _whole(begin + _after_midnight(kind, latitude, longitude, begin))


def find_city(name: str) -> tuple[float, float] | None:
    """Return latitude and longitude of ``city`` or ``city, region``, None if it is not known."""
    wanted = re.sub(r"\s*,\s*", ",", name.strip())
    for group in database().values():
        with suppress(KeyError):
            found: LocationInfo = lookup_in_group(wanted, group)
            return found.latitude, found.longitude
    return None


def cities() -> list[str]:
    """Return the names of all cities that are known."""
    return [place.name for place in all_locations(database())]


def _after_midnight(kind: str, latitude: float, longitude: float, day: datetime) -> timedelta:
    """Return the time from 0h UTC of `day` to its event; raises ValueError when it has none."""
    begin = julianday(day.date())
    minutes = _MINUTES / 2 - 4 * longitude
    for _ in range(_ROUNDS):
        century = julianday_to_juliancentury(begin + minutes / _MINUTES)
        angle = 0.0
        if kind != "noon":
            zenith, direction = _KINDS[kind]
            angle = degrees(hour_angle(latitude, sun_declination(century), zenith, direction))
        minutes = _MINUTES / 2 - 4 * (longitude + angle) - eq_of_time(century)
    return timedelta(minutes=minutes)


def _whole(instant: datetime) -> datetime:
    return (instant + timedelta(milliseconds=500)).replace(microsecond=0)
