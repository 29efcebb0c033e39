"""Writes numbers, durations, shares and dates as the report's reader does."""

import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno import lazy
from sereno_reports.declared import Unit
from sereno_reports.settings import Language


class Words(msgspec.Struct, frozen=True):
    """A language's texts (``texts/<language>.toml``) and its way of writing figures."""

    language: Language
    texts: dict[str, Any]

    @property
    def unknown(self) -> str:
        """Return what stands for what is not known."""
        return str(self.texts["no_value"])

    def cell(self, unit: Unit, value: Any, zone: str = "UTC") -> str:
        """Write `value` as people read it; None is not known."""
        if value is None:
            return self.unknown
        if unit in ("date", "instant"):
            return self._moment(unit, str(value), zone)
        if isinstance(value, str | bool) or unit == "text":
            return _seen(str(value))
        if unit == "share":
            return self.share(value)
        if unit == "duration":
            return self.duration(value)
        return self.number(value, 1 if unit == "number" and value != int(value) else 0)

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Write 1234.5 as 1.234,5, say."""
        if value is None:
            return self.unknown
        plain = f"{value:,.{decimals}f}".replace("-", "−")
        marks = {",": self.texts["thousands"], ".": self.texts["decimal"]}
        return "".join(marks.get(letter, letter) for letter in plain)

    def share(self, value: float | None, decimals: int = 1) -> str:
        """Write 0.127 as 12,7 %."""
        if value is None:
            return self.unknown
        return self.number(100 * value, decimals) + "\N{NO-BREAK SPACE}%"

    def duration(self, seconds: float | None) -> str:
        """Write 0.3 s, 42 s, 187 s as 3:07 min, and from one hour on as 1:02:03 h."""
        if seconds is None:
            return self.unknown
        if 0 < abs(seconds) < 0.95:
            tenths = f"{self.number(seconds, 1)}\N{NO-BREAK SPACE}s"
            return (
                tenths
                if round(abs(seconds), 1)
                else f"<\N{NO-BREAK SPACE}{self.number(0.1, 1)}\N{NO-BREAK SPACE}s"
            )
        whole = round(seconds)
        minutes, rest = divmod(abs(whole), 60)
        hours, minutes = divmod(minutes, 60)
        sign = "−" if whole < 0 else ""
        if hours:
            return f"{sign}{hours}:{minutes:02}:{rest:02}\N{NO-BREAK SPACE}h"
        if minutes:
            return f"{sign}{minutes}:{rest:02}\N{NO-BREAK SPACE}min"
        return f"{sign}{rest}\N{NO-BREAK SPACE}s"

    def date(self, day: datetime.date) -> str:
        """Write the day out in full."""
        return str(self.texts["date"]).format(
            weekday=self.weekday(day),
            day=day.day,
            month=self.texts["months"][day.month - 1],
            year=day.year,
        )

    def short_date(self, day: datetime.date) -> str:
        """Write the day with the first letters of its weekday and month."""
        return str(self.texts["short_date"]).format(
            weekday=self.weekday(day)[:3],
            day=day.day,
            month=self.texts["months"][day.month - 1][:3],
        )

    def period(self, kind: str, first: datetime.date, last: datetime.date) -> str:
        """Write what a report is about."""
        if kind == "day":
            return self.date(first)
        if kind == "month":
            return self.phrase(
                "month", month=self.texts["months"][first.month - 1], year=first.year
            )
        known = "day_month_year" if first.year != last.year else "day_month"
        begin = str(first.day) if first.month == last.month else self._named(known, first)
        return self.phrase("week", first=begin, last=self._named("day_month_year", last))

    def _named(self, key: str, day: datetime.date) -> str:
        month = self.texts["months"][day.month - 1]
        return self.phrase(key, day=day.day, month=month, year=day.year)

    def weekday(self, day: datetime.date) -> str:
        """Name the day of the week."""
        return str(self.texts["weekdays"][day.weekday()])

    def phrase(self, key: str, **values: Any) -> str:
        """Return the text at `key` with `values` in it."""
        return str(self.texts[key]).format(**values)

    def _moment(self, unit: Unit, value: str, zone: str) -> str:
        try:
            found = datetime.datetime.fromisoformat(value)
            if found.tzinfo is not None and unit != "date":
                found = found.astimezone(ZoneInfo(zone))
        except (ValueError, OverflowError):  # the zone's year may be beyond the calendar
            return value  # a text of the SQL's own
        if unit == "date":
            return self.short_date(found.date())
        return f"{self.short_date(found.date())} {found:%H:%M}"


def _seen(text: str) -> str:
    """Return `text`; one of blanks alone in quotation marks, as else it would look like none."""
    blank = not any(letter.isprintable() and not letter.isspace() for letter in text)
    return f"«{text}»" if text and blank else text


@cache
def words_in(language: Language) -> Words:
    """Return the words of `language`."""
    source = Path(__file__).with_name("texts") / f"{language}.toml"
    read = lazy("tomllib").loads  # the first report loads it
    return Words(language, read(source.read_text(encoding="utf-8")))
