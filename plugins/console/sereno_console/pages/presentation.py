"""How one page speaks to one person: their language, the zone in which instants are shown, and
whether it is dark.

All stand in the address where somebody has just chosen (``?zone=Europe/Madrid&language=es``), else
in a cookie, else the browser names the language, UTC is the zone, and the system says how dark.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, cached_property, lru_cache
from typing import Any, Literal

from babel import Locale
from babel.dates import format_datetime, format_skeleton, get_timezone_name
from babel.numbers import format_decimal, get_group_symbol
from starlette.responses import Response

from sereno import TriggerError, find_zone
from sereno_console.pages.texts import Texts, texts_in
from sereno_console.web.request import ConsoleRequest

Language = Literal["en", "es"]

LANGUAGES: dict[str, str] = {"en": "English", "es": "Español"}
THEMES = ("auto", "light", "dark")
ZONE, LANGUAGE, THEME = "sereno_zone", "sereno_language", "sereno_theme"
_KEPT_SECONDS = 365 * 86_400
_LONGEST_ZONE = 100


class Presentation:
    """What a page's words, numbers and instants are written by. `now`: of the reading."""

    def __init__(self, request: ConsoleRequest) -> None:
        self._chosen_zone = request.query_params.get("zone")
        self._chosen_language = request.query_params.get("language")
        self._chosen_theme = request.query_params.get("theme")
        self.language = _language(request, self._chosen_language)
        self.theme = _theme(self._chosen_theme, request.cookies.get(THEME))
        self.zone_name, self.zone = _zone(self._chosen_zone or request.cookies.get(ZONE))
        self.texts: Texts = texts_in(self.language)
        self.locale = Locale(self.language)
        self.now = datetime.now(UTC)  # noqa: TID251 - how far away an instant is, for people
        self._root: str = request.scope.get("root_path", "").rstrip("/") or "/"
        self._secure = request.url.scheme == "https"

    @cached_property
    def gettext(self) -> Callable[..., str]:
        """Return what translates a sentence; named arguments fill it."""
        return self.texts.gettext

    def keep(self, answer: Response) -> None:
        """Have the browser keep what was chosen in the address."""
        for name, value, chosen in (
            (ZONE, self.zone_name, self._chosen_zone),
            (LANGUAGE, self.language, self._chosen_language),
            (THEME, self.theme, self._chosen_theme),
        ):
            if chosen is not None:
                answer.set_cookie(
                    name,
                    value,
                    max_age=_KEPT_SECONDS,
                    path=self._root,
                    samesite="lax",
                    secure=self._secure,
                )

    @property
    def zone_title(self) -> str:
        """Return the zone in words, as ``Central European Time``."""
        if self.zone_name == "UTC":
            return "UTC"
        return str(get_timezone_name(self.now.astimezone(self.zone), locale=self.locale))

    def local(self, instant: datetime) -> datetime:
        """Return `instant` in the chosen zone."""
        return instant.astimezone(self.zone)

    def short(self, instant: datetime, zone: tzinfo | None = None) -> str:
        """Return `instant` as short as it can be told from now: the time alone today, with the
        day in this year."""
        here = instant.astimezone(zone or self.zone)
        today = self.now.astimezone(zone or self.zone)
        clock = f"{here:%H:%M:%S}"
        if here.date() == today.date():
            return clock
        skeleton = "MMMd" if here.year == today.year else "yMMMd"
        return f"{_day(self.language, here.date(), skeleton)}, {clock}"

    hour = timedelta(hours=1)

    def day(self, instant: datetime) -> str:
        """Return the day of `instant` with its name, as ``Sun 29 Nov``."""
        return str(format_datetime(self.local(instant), "EEE d MMM", locale=self.locale))

    def full(self, instant: datetime, zone: tzinfo | None = None) -> str:
        """Return `instant` with its day of the week, year, offset and zone."""
        here = instant.astimezone(zone or self.zone)
        day = _whole_day(self.language, here.date())
        zone_name = self.zone_name if zone is None else zone
        return f"{day}, {here:%H:%M:%S} {_offset(here)} ({zone_name})"

    def ago(self, instant: datetime) -> str:
        """Return how far `instant` is from now, in words."""
        apart = (self.now - instant).total_seconds()
        span = self.span(timedelta(seconds=abs(apart)), parts=1)
        if abs(apart) < 1:
            return self.gettext("now")
        if apart > 0:
            return self.gettext("%(span)s ago", span=span)
        return self.gettext("in %(span)s", span=span)

    def span(self, value: timedelta | float | None, parts: int = 2) -> str:
        """Return a duration as ``3 min 4 s``, of the `parts` greatest units."""
        if value is None:
            return ""
        seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
        sign, seconds = ("\N{MINUS SIGN}" if seconds < 0 else ""), abs(seconds)
        if seconds < 1:
            return f"{sign}{seconds * 1000:.0f} ms"
        if seconds < 60:
            return f"{sign}{self.number(round(seconds, 1 if seconds < 10 else 0))} s"
        left = round(seconds)
        found: list[tuple[int, str]] = []
        for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
            count, left = divmod(left, size)
            if count or found:
                found.append((count, unit))
        shown = [f"{self.number(count)} {unit}" for count, unit in found[:parts] if count]
        return sign + " ".join(shown)

    def number(self, value: float) -> str:
        """Return a number with its thousands apart."""
        if type(value) is int:
            return f"{value:,}".replace(",", _between_thousands(self.language))
        return str(format_decimal(value, locale=self.locale, group_separator=True))


@lru_cache(512)
def _day(language: str, day: date, skeleton: str) -> str:
    """Return a day without its name; each page has hundreds of instants of few days."""
    return str(format_skeleton(skeleton, _midnight(day), locale=language))


@lru_cache(512)
def _whole_day(language: str, day: date) -> str:
    """Return a day with its name and year."""
    return str(format_datetime(_midnight(day), "EEEE d MMMM y", locale=language))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a day of whatever zone


@cache
def _between_thousands(language: str) -> str:
    return str(get_group_symbol(language))


def _offset(here: datetime) -> str:
    text = here.strftime("%z")
    return f"UTC{text[:3]}:{text[3:5]}" if text.strip("+-0") else "UTC"


def _language(request: ConsoleRequest, chosen: str | None) -> str:
    for name in (chosen, request.cookies.get(LANGUAGE)):
        if name in LANGUAGES:
            return str(name)
    wanted = request.headers.get("accept-language", "")[:1_000]
    for part in wanted.split(","):
        name = part.partition(";")[0].strip().lower().partition("-")[0]
        if name in LANGUAGES:
            return name
    return "en"


def _theme(*names: str | None) -> str:
    return next((name for name in names if name in THEMES), "auto")


def _zone(name: str | None) -> tuple[str, Any]:
    if name is not None and name != "UTC" and len(name) <= _LONGEST_ZONE:
        try:
            return name, find_zone(name)
        except TriggerError:
            pass
    return "UTC", UTC
