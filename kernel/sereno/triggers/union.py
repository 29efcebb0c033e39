"""Several triggers as one, each instant once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sereno.model.calendar import Days
from sereno.model.call import explained
from sereno.model.errors import TriggerError
from sereno.triggers.arguments import Arguments
from sereno.triggers.trigger import Trigger, require_trigger


@dataclass(frozen=True, slots=True)
class AnyOf(Trigger):
    """The slots of all `triggers`. Build it with `any_of`."""

    triggers: tuple[Trigger, ...]

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the earliest of the triggers' next slots."""
        found = None
        for trigger in self.triggers:
            slot = trigger.next_after(instant)
            if slot is not None and (found is None or slot < found):
                found = slot
        return found

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return what any of the triggers has put off."""
        found: dict[datetime, datetime] = {}
        for trigger in self.triggers:
            found |= trigger.put_off(instant)
        return found

    def brought_forward(self, instant: datetime) -> datetime | None:
        """The last of the triggers' own."""
        found = (trigger.brought_forward(instant) for trigger in self.triggers)
        return max((slot for slot in found if slot is not None), default=None)

    @property
    def calendars(self) -> tuple[str, ...]:
        """Those of all triggers."""
        return tuple(name for trigger in self.triggers for name in trigger.calendars)

    def with_days(self, days_of: Callable[[str], Days]) -> Trigger:
        """Pass the days on to each trigger."""
        return any_of(*(trigger.with_days(days_of) for trigger in self.triggers))

    @property
    def text(self) -> str:
        """As in ``any_of (cron 0 8 * * * UTC) (every 7h)``."""
        return " ".join(["any_of", *(f"({trigger.text})" for trigger in self.triggers)])

    @property
    def zone(self) -> str | None:
        """The zone of all triggers that have one, None if they differ."""
        zones = {trigger.zone for trigger in self.triggers} - {None}
        return zones.pop() if len(zones) == 1 else None

    def keyed(self, key: str) -> Trigger:
        """Pass `key` on to each trigger."""
        return any_of(*(trigger.keyed(key) for trigger in self.triggers))


@explained
def any_of(*triggers: Trigger) -> Trigger:
    """Fire whenever one of `triggers` does, once where several agree; one alone stays itself."""
    flat: dict[Trigger, None] = {}
    for trigger in triggers:
        require_trigger("any_of", trigger)
        flat.update(dict.fromkeys(trigger.triggers if isinstance(trigger, AnyOf) else (trigger,)))
    if not flat:
        raise TriggerError("trigger 'any_of': it has no triggers, it needs one or more")
    return next(iter(flat)) if len(flat) == 1 else AnyOf(tuple(flat))


def parse_any_of(arguments: Arguments) -> Trigger:
    """Read ``any_of (TRIGGER) (TRIGGER)...``."""
    arguments.counted(0, 0)
    arguments.only()
    return any_of(*arguments.triggers)
