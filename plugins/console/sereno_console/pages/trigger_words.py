"""Says a trigger in words, where it is one that words are shorter for; its text says it all."""

import re
from collections.abc import Callable
from datetime import datetime

from babel.dates import get_day_names, get_month_names
from babel.lists import format_list

from sereno import TriggerError, parse, parse_duration
from sereno_console.pages.presentation import Presentation

_WRAPPED = re.compile(r"(except_on|only_on|jitter) \((.*)\) ([^()]*)")
_DAYS = {"SUN": 6, "MON": 0, "TUE": 1, "WED": 2, "THU": 3, "FRI": 4, "SAT": 5}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_MACROS = {
    "@HOURLY": "0 * * * *",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@WEEKLY": "0 0 * * 0",
    "@MONTHLY": "0 0 1 * *",
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
}
_MOST = 6
"""Times of a day that are listed; with more the expression itself is easier to read."""


class _WordlessError(Exception):
    """There are no words that are shorter."""


def trigger_words(told: Presentation, text: str) -> str:
    """Return what the trigger `text` says in words, empty where its text says it better."""
    try:
        return _words(told, parse(text).text)
    except (_WordlessError, TriggerError):
        return ""


def _words(told: Presentation, text: str) -> str:
    if wrapped := _WRAPPED.fullmatch(text):
        kind, inner, more = wrapped.groups()
        return _but(told, kind, _words(told, inner), more)
    kind, _, rest = text.partition(" ")
    say: Callable[[Presentation, list[str]], str] | None = _KINDS.get(kind)
    if say is None:
        raise _WordlessError
    return say(told, rest.split())


def _but(told: Presentation, kind: str, inner: str, more: str) -> str:
    if kind == "jitter":
        return told.gettext("%(when)s, spread by %(by)s", when=inner, by=more.split()[0])
    options = dict(part.split("=", 1) for part in more.split() if "=" in part)
    days = [part for part in more.split() if "=" not in part]
    named = [*(n for n in options.get("calendar", "").split(",") if n), *days[:3]]
    if len(days) > 3:
        named.append("…")
    if kind == "only_on":
        return told.gettext("%(when)s, only on days of %(days)s", when=inner, days=", ".join(named))
    return told.gettext("%(when)s, except on %(days)s", when=inner, days=", ".join(named))


def _every(told: Presentation, words: list[str]) -> str:
    found = told.gettext("every %(span)s", span=told.span(parse_duration(words[0]), parts=4))
    if len(words) > 1:
        raise _WordlessError
    return found


def _once(told: Presentation, words: list[str]) -> str:
    return told.gettext("once, %(when)s", when=told.full(datetime.fromisoformat(words[0])))


def _sun(told: Presentation, words: list[str]) -> str:
    events = {
        "dawn": told.gettext("at dawn"),
        "sunrise": told.gettext("at sunrise"),
        "noon": told.gettext("at solar noon"),
        "sunset": told.gettext("at sunset"),
        "dusk": told.gettext("at dusk"),
    }
    found = f"{events[words[0]]} ({', '.join(words[1:3])})"
    offset = next((w.partition("=")[2] for w in words if w.startswith("offset=")), "")
    if not offset:
        return found
    span = told.span(parse_duration(offset.lstrip("-")))
    if offset.startswith("-"):
        return told.gettext("%(span)s before: %(when)s", span=span, when=found)
    return told.gettext("%(span)s after: %(when)s", span=span, when=found)


def _cron(told: Presentation, words: list[str]) -> str:
    fields, zone = _fields(words)
    minute, hour, day, month, weekday = fields
    time, daily = _time(told, minute, hour)
    days = _days(told, day, weekday)
    if not days and daily and month == "*":
        days = told.gettext("every day")
    months = "" if month == "*" else told.gettext("in %(months)s", months=_months(told, month))
    said = " ".join(part for part in (days, months) if part)
    return ", ".join(part for part in (time, said, zone) if part)


def _fields(words: list[str]) -> tuple[list[str], str]:
    """Return the five fields and the zone; raises _WordlessError for what else may stand there."""
    if words and words[0].startswith("@"):
        words = _MACROS[words[0].upper()].split() + words[1:]
    if len(words) == 7 and words[0] == "0":  # the seconds
        words = words[1:]
    if len(words) != 6:
        raise _WordlessError
    return words[:5], words[5]


def _time(told: Presentation, minute: str, hour: str) -> tuple[str, bool]:
    """Return the time in words, and whether it is a time of the day."""
    if hour == "*":
        if minute == "*":
            return told.gettext("every minute"), False
        if step := _step(minute):
            return told.gettext("every %(count)s minutes", count=step), False
        return told.gettext(
            "every hour at minute %(at)s", at=_listed(told, _numbers(minute))
        ), False
    if step := _step(hour):
        at = _listed(told, _numbers(minute))
        return told.gettext("every %(count)s hours at minute %(at)s", count=step, at=at), False
    if re.fullmatch(r"\d+-\d+", hour):
        first, last = (f"{int(part):02}" for part in hour.split("-"))
        return _within(told, minute, first, last), False
    hours, minutes = _numbers(hour), _numbers(minute)
    if len(hours) * len(minutes) > _MOST:
        raise _WordlessError
    times = [f"{h:02}:{m:02}" for h in sorted(hours) for m in sorted(minutes)]
    return told.gettext("at %(times)s", times=_listed(told, times)), True


def _within(told: Presentation, minute: str, first: str, last: str) -> str:
    span = {"first": f"{first}:00", "last": f"{last}:59"}
    if minute == "*":
        return told.gettext("every minute from %(first)s to %(last)s", **span)
    if step := _step(minute):
        return told.gettext(
            "every %(count)s minutes from %(first)s to %(last)s", count=step, **span
        )
    at = _listed(told, _numbers(minute))
    return told.gettext("every hour at minute %(at)s from %(first)s to %(last)s", at=at, **span)


def _days(told: Presentation, day: str, weekday: str) -> str:
    found = []
    if day not in "*?":
        if day == "L":
            found.append(told.gettext("on the last day of the month"))
        else:
            days = _listed(told, _numbers(day))
            found.append(told.gettext("on day %(days)s of the month", days=days))
    if weekday not in "*?":
        found.append(told.gettext("on %(days)s", days=_weekdays(told, weekday)))
    if len(found) > 1:
        return told.gettext("%(one)s or %(other)s", one=found[0], other=found[1])
    return "".join(found)


def _weekdays(told: Presentation, field: str) -> str:
    names = get_day_names("wide", locale=told.locale)
    found = []
    for part in field.split(","):
        ends = [_weekday(end) for end in part.split("-")]
        if len(ends) > 2:
            raise _WordlessError
        if len(ends) == 2:
            first, last = names[ends[0]], names[ends[1]]
            found.append(told.gettext("%(first)s to %(last)s", first=first, last=last))
        else:
            found.append(names[ends[0]])
    return _listed(told, found)


def _weekday(text: str) -> int:
    if text in _DAYS:
        return _DAYS[text]
    (number,) = _numbers(text)
    return (number - 1) % 7


def _months(told: Presentation, field: str) -> str:
    names = get_month_names("wide", locale=told.locale)
    parts = [[_month(end) for end in part.split("-")] for part in field.split(",")]
    if any(len(ends) > 2 for ends in parts):
        raise _WordlessError
    spans = [
        names[ends[0]]
        if len(ends) == 1
        else told.gettext("%(first)s to %(last)s", first=names[ends[0]], last=names[ends[1]])
        for ends in parts
    ]
    return _listed(told, spans)


def _month(text: str) -> int:
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    (number,) = _numbers(text)
    return number


def _step(field: str) -> int:
    found = re.fullmatch(r"\*/(\d{1,2})", field)
    return int(found[1]) if found else 0


def _numbers(field: str) -> list[int]:
    parts = field.split(",")
    if len(parts) > _MOST or not all(re.fullmatch(r"\d{1,2}", part) for part in parts):
        raise _WordlessError
    return [int(part) for part in parts]


def _listed(told: Presentation, parts: list[int] | list[str]) -> str:
    return str(format_list([str(part) for part in parts], locale=told.locale))


_KINDS: dict[str, Callable[[Presentation, list[str]], str]] = {
    "every": _every,
    "once": _once,
    "sun": _sun,
    "cron": _cron,
}
