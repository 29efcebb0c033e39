"""Decides when a schedule is due: pure values, `next_after(instant)`, and one text form for each.

The text, in config, database, command line and API alike::

    trigger := KIND argument*          a colon after KIND is allowed
    argument := word | name=value | "(" trigger ")"        a value may be quoted, as JSON quotes

    cron 0 8 * * * Europe/Madrid       5 fields, 6 with the second first, or a macro; UTC if no zone is named
    cron 30 2 * * * Europe/Madrid gap=run|skip fold=first|last|both
    every 6h anchor=2026-01-01T00:30:00Z
    once 2026-03-01T08:00:00Z

A bare cron expression (``0 8 * * *``, ``@daily Europe/Madrid``) and a bare duration (``6h``) are read too.
Plugins add kinds with `register_kind`.
"""

from sereno.model.duration import format_duration, parse_duration
from sereno.triggers.arguments import Arguments
from sereno.triggers.cron import Cron, cron
from sereno.triggers.interval import Every, every
from sereno.triggers.once import Once, once
from sereno.triggers.registry import KindParser, kinds, register_kind
from sereno.triggers.text import parse
from sereno.triggers.trigger import Trigger

__all__ = [
    "Arguments",
    "Cron",
    "Every",
    "KindParser",
    "Once",
    "Trigger",
    "cron",
    "every",
    "format_duration",
    "kinds",
    "once",
    "parse",
    "parse_duration",
    "register_kind",
]
