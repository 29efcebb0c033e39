"""Writes a report as one HTML page that needs nothing else: styles and chart are inside."""

from datetime import date, datetime
from functools import cache
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from sereno_reports.chart import draw, layers_of
from sereno_reports.comparison import change
from sereno_reports.figures import Figures
from sereno_reports.settings import Settings
from sereno_reports.words import Words, words_in

SMALL = 30  # below so many calls offered, a percentage says little
SHOWN = 8


@cache
def _templates() -> Any:
    # Loaded by the first report: 2 MB that a node which makes none need not carry.
    jinja2 = import_module("jinja2")
    return jinja2.Environment(
        loader=jinja2.PackageLoader("sereno_reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def to_html(figures: Figures, settings: Settings, now: datetime) -> str:
    """Return the page; `now`: when it was made."""
    words = words_in(settings.language)
    page: str = (
        _templates()
        .get_template("report.html.j2")
        .render(
            figures=figures,
            total=figures.total,
            settings=settings,
            words=words,
            text=words.texts,
            day=date.fromisoformat(figures.day),
            made=f"{now.astimezone(ZoneInfo(figures.zone)):%Y-%m-%d %H:%M}",
            chart=draw(figures.hours),
            layers_of=layers_of,
            notes=_notes(figures, words),
            against=_against(figures, words),
            shown=SHOWN,
        )
    )
    return page


def _notes(figures: Figures, words: Words) -> list[str]:
    found = []
    if figures.partial:
        found.append(words.say("partial"))
    if figures.provisional:
        found.append(words.say("provisional"))
    if not figures.total.calls:
        found.append(words.say("empty"))
    elif figures.total.offered < SMALL:
        found.append(words.say("small", offered=figures.total.offered))
    return found


def _against(figures: Figures, words: Words) -> dict[str, str]:
    """Return a sentence for each figure that can be compared with the weeks before."""
    usual = figures.comparison
    if usual is None or figures.partial:
        return {}
    total, before, days = figures.total, usual.facts, len(usual.days)
    changes = {
        "offered": _change(words, change(total.offered, before.offered / days)),
        "answered": _change(words, change(total.answered, before.answered / days)),
        "abandoned": _change(words, change(total.abandoned, before.abandoned / days)),
        "service_level": _points(words, total.service_level, before.service_level),
        "handling": _change(words, change(total.handling_s, before.handling_s)),
        "answer": _change(words, change(total.answer_s, before.answer_s)),
    }
    key = "against" if days > 1 else "against_one"
    weekday = words.weekday(date.fromisoformat(figures.day))
    if days > 1 and words.language == "es" and not weekday.endswith("s"):
        weekday += "s"  # sábados, domingos; English has its s in the text
    return {
        name: words.say(key, change=shift, days=days, weekday=weekday)
        for name, shift in changes.items()
        if shift is not None
    }


def _change(words: Words, shift: float | None) -> str | None:
    return None if shift is None else _sign(shift) + words.share(abs(shift))


def _points(words: Words, value: float | None, usual: float | None) -> str | None:
    """Compare two shares: the change of a percentage is told in points."""
    if value is None or usual is None:
        return None
    shift = 100 * (value - usual)
    return words.say("points", points=_sign(shift) + words.number(abs(shift), 1))


def _sign(shift: float) -> str:
    return "+" if shift >= 0 else "−"
