"""Writes a report as one HTML page that needs nothing else: styles and chart are inside."""

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import jinja2

from sereno_reports.chart import draw, layers_of
from sereno_reports.comparison import change
from sereno_reports.figures import Facts, Figures
from sereno_reports.settings import Language, Settings
from sereno_reports.words import Words, words_in

SMALL = 30  # below so many calls offered, a percentage says little
SHOWN = 12


@cache
def _templates() -> jinja2.Environment:
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
    return (
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
    days = len(usual.days)
    weekday = words.weekday(date.fromisoformat(figures.day))
    measures: dict[str, Callable[[Facts, int], float | None]] = {
        "offered": lambda facts, n: facts.offered / n,
        "answered": lambda facts, n: facts.answered / n,
        "abandoned": lambda facts, n: facts.abandoned / n,
        "service_level": lambda facts, n: facts.service_level,
        "handling": lambda facts, n: facts.handling_s,
        "answer": lambda facts, n: facts.answer_s,
    }
    found = {}
    for name, measure in measures.items():
        shift = change(measure(figures.total, 1), measure(usual.facts, days))
        if shift is not None:
            sign = "+" if shift >= 0 else "−"
            found[name] = words.say(
                "against" if days > 1 else "against_one",
                change=sign + words.share(abs(shift)),
                days=days,
                weekday=_plural(weekday, days, words.language),
            )
    return found


def _plural(weekday: str, days: int, language: Language) -> str:
    """Return the Spanish plural; English adds its s in the text."""
    return f"{weekday}s" if language == "es" and days > 1 and not weekday.endswith("s") else weekday
