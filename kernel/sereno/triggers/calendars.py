"""Puts the days of calendars in the place of their names, in the text of a trigger.

What a version of a schedule follows names no calendar: it holds the days as they were when it was
made, so that it means the same for ever, and a calendar that changes makes new versions.
"""

from collections.abc import Mapping, Sequence

from sereno.model.calendar import Days, read_days
from sereno.model.errors import DeclarationError, TriggerError
from sereno.model.suggestion import suggestion
from sereno.triggers.text import parse

Calendars = Mapping[str, Sequence[str]]
"""Each calendar's days, as they are written, by its name."""

_MARK = "calendar="


def names_calendars(text: str) -> bool:
    """Tell whether calendars may be named in `text`: most triggers name none, and are not read."""
    return _MARK in text


def calendars_of(text: str) -> tuple[str, ...]:
    """Return the calendars that `text` names; none where it cannot be read."""
    if not names_calendars(text):
        return ()
    try:
        return tuple(dict.fromkeys(parse(text).calendars))
    except TriggerError:
        return ()


def with_days(text: str, calendars: Calendars) -> str:
    """Return the text of the same trigger with the days of its calendars.

    Raises TriggerError for a calendar that is not known, with a suggestion, and where nothing is
    left of the trigger.
    """
    if not names_calendars(text):
        return text

    def days_of(name: str) -> Days:
        if name not in calendars:
            hint = suggestion(name, sorted(calendars), "; `sereno calendar set` makes one")
            raise TriggerError(f"trigger '{text:.120}': there is no calendar '{name}'{hint}")
        try:
            return read_days(calendars[name], f"calendar '{name}'")
        except DeclarationError as error:
            raise TriggerError(str(error)) from error

    found = parse(text).with_days(days_of).text
    parse(found)  # as it was not, before its days were known: whether anything is left
    return found
