"""The trigger kind ``sun``: an event of the sun each day at one place, with an offset.

    sun sunset 40.42 -3.7 offset=-30m
    sun dawn Madrid

Slots are whole seconds, so that replicas whose mathematics differ in the last digit agree. Where
the sun does not rise or set for days or months, there is no slot.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from sereno import (
    Trigger,
    TriggerArguments,
    TriggerError,
    format_duration,
    lazy,
    parse_duration,
    suggestion,
)

Event = Literal["dawn", "sunrise", "noon", "sunset", "dusk"]

LONGEST_OFFSET = timedelta(hours=24)
NEAREST_TO_A_POLE = 89.0
"""Nearer to a pole a year may pass without a sunrise that this arithmetic sees."""


@dataclass(frozen=True, slots=True)
class Sun(Trigger):
    """The instants `offset` after `event` at a place, in degrees. Build it with `sun`."""

    event: Event
    latitude: float
    longitude: float
    offset: timedelta = timedelta(0)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant`, or None at the end of the calendar."""
        almanac = lazy("sereno_sun.almanac")  # astral is for those who use it
        if instant.tzinfo is None:
            raise TriggerError(f"instant {instant}: it has no time zone; pass an aware datetime")
        try:
            after = instant.astimezone(UTC) - self.offset
            found: datetime
            for found in almanac.events(self.event, self.latitude, self.longitude, after):
                if found > after:
                    return found + self.offset
        except OverflowError:
            pass
        return None

    @property
    def text(self) -> str:
        """As in ``sun sunset 40.42 -3.7 offset=-30m``."""
        offset = f" offset={format_duration(self.offset)}" if self.offset else ""
        return f"sun {self.event} {self.latitude} {self.longitude}{offset}"


def sun(
    event: Event,
    latitude: float | None = None,
    longitude: float | None = None,
    *,
    city: str | None = None,
    offset: str | float | timedelta = timedelta(0),
) -> Sun:
    """Fire each day at `event`, seen from a place, `offset` later (``-30m``: earlier).

    The place: `latitude` and `longitude` in degrees, north and east positive, of which four
    decimals count; or a `city` that astral knows, which is read here and kept as degrees. Dawn and
    dusk are civil: the sun is 6° below the horizon. Raises TriggerError.
    """
    if event not in get_args(Event):
        hint = suggestion(event, get_args(Event), "")
        events = ", ".join(get_args(Event))
        raise TriggerError(f"trigger 'sun': event {event!r:.40} is none of {events}{hint}")
    if (city is None) == (latitude is None) or (latitude is None) != (longitude is None):
        raise TriggerError(
            "trigger 'sun': it needs a latitude and a longitude, or a city, as in "
            "'sun sunset 40.42 -3.70' or 'sun sunset Madrid'"
        )
    if latitude is None or longitude is None:
        latitude, longitude = _place(city or "")
    return Sun(
        event,
        _degrees("latitude", latitude, NEAREST_TO_A_POLE),
        _degrees("longitude", longitude, 180.0),
        _offset(offset),
    )


def parse_sun(arguments: TriggerArguments) -> Sun:
    """Read ``sun EVENT LATITUDE LONGITUDE [offset=DURATION]``, or a city as the place."""
    event, *place = arguments.plain(at_least=2)
    options = arguments.only("offset")
    numbers = [_number(word) for word in place]
    if len(numbers) == 2 and None not in numbers:
        return sun(event, *numbers, **options)  # type: ignore[arg-type] # checked when built
    if any(number is not None for number in numbers):
        raise TriggerError(
            f"trigger 'sun': {' '.join(place)!r:.60} is no place; write latitude and longitude in "
            "degrees, as in 40.42 -3.70, or a city"
        )
    return sun(event, city=" ".join(place), **options)  # type: ignore[arg-type]


def _place(city: str) -> tuple[float, float]:
    almanac = lazy("sereno_sun.almanac")  # see Sun.next_after
    found: tuple[float, float] | None = almanac.find_city(city)
    if found is None:
        hint = suggestion(city.title(), almanac.cities(), "; give its latitude and longitude")
        raise TriggerError(f"trigger 'sun': the city {city!r:.60} is not known{hint}")
    return found


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _degrees(name: str, value: float, most: float) -> float:
    try:
        found = round(float(value), 4) + 0.0  # no minus zero: equal values have equal texts
    except (TypeError, ValueError):
        found = math.nan
    if not -most <= found <= most:  # also what is no number
        raise TriggerError(
            f"trigger 'sun': {name} {value!r:.40}: it must be from {-most:g} to {most:g} degrees"
        )
    return found


def _offset(value: str | float | timedelta) -> timedelta:
    sign = 1
    if isinstance(value, str):
        if value.lstrip().startswith(("-", "+")):
            sign = -1 if value.lstrip()[0] == "-" else 1
            value = value.lstrip()[1:]
    elif isinstance(value, timedelta):
        sign, value = (-1 if value < timedelta(0) else 1), abs(value)
    else:
        sign, value = (-1 if value < 0 else 1), abs(value)
    length = parse_duration(value)
    if length > LONGEST_OFFSET:
        raise TriggerError(
            f"trigger 'sun': the offset is {format_duration(length)}, it must be at most 24h"
        )
    return sign * length
