"""Decides when a schedule is due: pure values, `next_after(instant)`, and one text form for each.

The text, in config, database, command line and API alike::

    trigger  := KIND argument*                  # a colon after KIND is allowed
    argument := word | name=value | (trigger)   # a value may be quoted, as JSON quotes

    cron 0 8 * * * Europe/Madrid                # UTC if no zone is named
    cron 0 30 8 * * MON-FRI                     # six fields: the second comes first
    cron @daily Europe/Madrid gap=skip fold=both
    every 6h anchor=2026-01-01T00:30:00Z        # the epoch if there is no anchor
    once 2026-03-01T08:00:00Z
    once 2026-03-01T09:00 Europe/Madrid
    any_of (cron 0 8 * * * UTC) (every 7h)
    except_on (cron 0 8 * * * UTC) 2026-12-25 (cron 0 0 1 1 * UTC) tz=UTC
    except_on (cron 0 8 * * * Europe/Madrid) calendar=festivos_madrid
    only_on (cron 0 9 * * * Europe/Madrid) calendar=close_of_books
    within (every 6h) start=2026-01-01T00:00:00Z end=2026-07-01T00:00:00Z
    jitter (cron 0 3 * * * UTC) 10m key=etl_ivr.sync
    jitter (every 1h) ±30s                      # to both sides

A bare cron expression (``0 8 * * *``, ``@daily Europe/Madrid``) and a bare duration (``6h``) are
read too, wherever a trigger may stand. Plugins add kinds with `register_kind`.
"""

from sereno.model.duration import format_duration, parse_duration
from sereno.triggers.arguments import Arguments
from sereno.triggers.cron import Cron, Fold, Gap, cron
from sereno.triggers.exclusion import ExceptOn, OnlyOn, except_on, only_on
from sereno.triggers.instant import format_instant, parse_instant
from sereno.triggers.interval import Every, every
from sereno.triggers.jitter import Jitter, jitter
from sereno.triggers.once import Once, once
from sereno.triggers.registry import KindParser, kinds, learn_when_asked, register_kind
from sereno.triggers.text import parse
from sereno.triggers.trigger import Trigger
from sereno.triggers.union import AnyOf, any_of
from sereno.triggers.window import Within, within

__all__ = [
    "AnyOf",
    "Arguments",
    "Cron",
    "Every",
    "ExceptOn",
    "Fold",
    "Gap",
    "Jitter",
    "KindParser",
    "Once",
    "OnlyOn",
    "Trigger",
    "Within",
    "any_of",
    "cron",
    "every",
    "except_on",
    "format_duration",
    "format_instant",
    "jitter",
    "kinds",
    "learn_when_asked",
    "once",
    "only_on",
    "parse",
    "parse_duration",
    "parse_instant",
    "register_kind",
    "within",
]
