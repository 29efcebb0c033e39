"""Writes numbers, durations, shares and dates as the report's reader does."""

import datetime
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

import msgspec

from sereno_reports.settings import Language


class Words(msgspec.Struct, frozen=True):
    """A language's texts (``texts/<language>.toml``) and its way of writing figures."""

    language: Language
    texts: dict[str, Any]

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Write 1234.5 as 1.234,5, say."""
        if value is None:
            return str(self.texts["no_value"])
        plain = f"{value:,.{decimals}f}"
        marks = {",": self.texts["thousands"], ".": self.texts["decimal"]}
        return "".join(marks.get(letter, letter) for letter in plain)

    def share(self, value: float | None, decimals: int = 1) -> str:
        """Write 0.127 as 12,7 %."""
        if value is None:
            return str(self.texts["no_value"])
        return self.number(100 * value, decimals) + "\N{NO-BREAK SPACE}%"

    def duration(self, seconds: float | None) -> str:
        """Write 187 s as 3:07, and from one hour on as 1:02:03."""
        if seconds is None:
            return str(self.texts["no_value"])
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

    def date(self, day: datetime.date) -> str:
        """Write the day out in full."""
        return str(self.texts["date"]).format(
            weekday=self.weekday(day),
            day=day.day,
            month=self.texts["months"][day.month - 1],
            year=day.year,
        )

    def weekday(self, day: datetime.date) -> str:
        """Name the day of the week."""
        return str(self.texts["weekdays"][day.weekday()])

    def say(self, key: str, **values: Any) -> str:
        """Return the text at `key` with `values` in it."""
        return str(self.texts[key]).format(**values)


@cache
def words_in(language: Language) -> Words:
    """Return the words of `language`."""
    source = files("sereno_reports") / "texts" / f"{language}.toml"
    read = import_module("tomllib").loads  # the first report loads it
    return Words(language, read(source.read_text(encoding="utf-8")))
