"""Slots put off by up to a spread, by an amount that every replica computes alike.

A slot moves by a hash of (key, slot), in whole seconds, and never as far as the slot that follows
it. So slots keep their order and their number, however the trigger's own distances vary. To both
sides (``±30s``) all are brought forward by the spread first, and then put off by up to twice that.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import blake2b

from sereno.model.calendar import Days
from sereno.model.call import explained
from sereno.model.duration import format_duration
from sereno.model.errors import TriggerError
from sereno.model.spread import format_spread, parse_spread
from sereno.triggers.arguments import Arguments
from sereno.triggers.instant import format_instant
from sereno.triggers.trigger import Trigger, in_utc, require_trigger
from sereno.triggers.zone import SECOND

LONGEST = timedelta(days=366)
NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Jitter(Trigger):
    """The slots of `trigger`, each put off by 0 <= shift < `spread`. Build it with `jitter`.

    `early`: what all of them are brought forward by before.
    """

    trigger: Trigger
    spread: timedelta
    key: str
    early: timedelta = NONE

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot that, moved, lies strictly after `instant`."""
        instant = in_utc(instant) + self.early
        slot = self._candidate(instant)
        while slot is not None:
            following = self.trigger.next_after(slot)
            shifted = slot + self._shift(slot, following)
            if shifted > instant:
                return shifted - self.early
            slot = following
        return None

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return what this jitter has put off beyond `instant`, and what one within it has."""
        instant = in_utc(instant)
        inner = {slot: due for due, slot in self.trigger.put_off(instant).items()}
        found = {}
        slot = self._candidate(instant + self.early)
        while slot is not None and (slot <= instant or slot in inner):
            following = self.trigger.next_after(slot)
            shifted = slot + self._shift(slot, following) - self.early
            if shifted > instant:
                found[inner.get(slot, slot)] = shifted
            slot = following
        return found

    def brought_forward(self, instant: datetime) -> datetime | None:
        """Return when the last slot is due that this jitter has had by `instant`."""
        instant, last = in_utc(instant), self.trigger.brought_forward(instant)
        slot = self.trigger.next_after(instant) if self.early else None
        while slot is not None and slot <= instant + self.early:
            following = self.trigger.next_after(slot)
            if slot + self._shift(slot, following) - self.early > instant:
                break
            last, slot = slot, following
        return last

    @property
    def calendars(self) -> tuple[str, ...]:
        """Those of the trigger."""
        return self.trigger.calendars

    def with_days(self, days_of: Callable[[str], Days]) -> Trigger:
        """Pass the days on to the trigger."""
        return replace(self, trigger=self.trigger.with_days(days_of))

    @property
    def text(self) -> str:
        """As in ``jitter (every 6h) 10m key=etl_ivr.sync``."""
        return jitter_text(self.trigger.text, -self.early if self.early else self.spread, self.key)

    @property
    def zone(self) -> str | None:
        """The zone of the trigger."""
        return self.trigger.zone

    def keyed(self, key: str) -> Trigger:
        """Take `key` unless there is one already."""
        return replace(self, trigger=self.trigger.keyed(key), key=self.key or key)

    def _candidate(self, instant: datetime) -> datetime | None:
        """Return a slot from which to walk: those before it are not the answer."""
        first = self.trigger.next_after(instant - self.spread)
        if first is None or first > instant:
            return first
        back = SECOND  # a dense trigger has many slots within the spread: start from a late one
        while back < self.spread:
            near = self.trigger.next_after(instant - back)
            if near is not None and near <= instant:
                return near
            back *= 2
        return first

    def _shift(self, slot: datetime, following: datetime | None) -> timedelta:
        room = self.spread if following is None else min(self.spread, following - slot)
        seed = f"{self.key}\0{format_instant(slot)}".encode()
        fraction = int.from_bytes(blake2b(seed, digest_size=8).digest())
        return (fraction * (room // SECOND) >> 64) * SECOND


def jitter_text(trigger: str, spread: timedelta, key: str) -> str:
    """Return the text of a jitter over a trigger's text. `spread` below 0: to both sides."""
    plain = re.fullmatch(r'[^\s()"]+', key)
    option = f" key={key if plain else json.dumps(key, ensure_ascii=False)}" if key else ""
    return f"jitter ({trigger}) {format_spread(spread)}{option}"


@explained
def jitter(trigger: Trigger, spread: str | float | timedelta, key: str = "") -> Jitter:
    """Put each slot of `trigger` off by a whole number of seconds in [0, `spread`), or, where that
    is ``±30s``, move it by up to so much to either side.

    The same (`key`, slot) always gives the same shift, and different keys spread out. So the key is
    the schedule's name; where it is left out, `Trigger.keyed` gives it later.
    """
    require_trigger("jitter", trigger)
    found = parse_spread(spread)
    length = abs(found)
    if not SECOND <= length <= LONGEST:
        raise TriggerError(
            f"trigger 'jitter': the spread is {format_duration(length)}, it must be 1s to 366d"
        )
    if found < NONE:
        return Jitter(trigger, 2 * length, key, early=length)
    return Jitter(trigger, length, key)


def parse_jitter(arguments: Arguments) -> Jitter:
    """Read ``jitter (TRIGGER) DURATION [key=KEY]``."""
    (spread,) = arguments.counted(1, 1)
    return jitter(arguments.inner(), spread, **arguments.only("key"))
