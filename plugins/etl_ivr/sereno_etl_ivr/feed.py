"""Decides what each sync moves: one source's table into one of the target's, from the settings."""

from datetime import datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec

from sereno import ConfigurationError, suggestion
from sereno_etl_ivr import position
from sereno_etl_ivr.plan import floor
from sereno_etl_ivr.settings import Settings, TableSettings
from sereno_etl_ivr.table import CDR, CEL, KNOWN, QUEUE_LOG, Kind, MovedColumn, MovedTable

CALLS = "calls"
"""The name of the feed that `source_table` makes; others have the names of their settings."""

_KINDS: tuple[Kind, ...] = get_args(Kind)
_ASTERISKS = ("cdr", "cel", "queue_log")
"""Tables that have their names in every exchange; they are kinds of their own."""


class Feed(msgspec.Struct, frozen=True):
    """One table that is moved. `source`: what its rows are called after in the target.

    `keep`: for how long its rows stay there, zero for ever.
    """

    name: str
    source: str
    source_table: str
    table: MovedTable
    zone: ZoneInfo
    keep: timedelta = timedelta(0)

    @property
    def counted(self) -> bool:
        """Tell whether figures of quarter hours are made of its rows."""
        return self.table.target in {CDR.target, QUEUE_LOG.target, CEL.target}

    def kept_from(self, clock: datetime, zone: ZoneInfo) -> int:
        """Return the position before which nothing is kept, nor loaded."""
        return floor(clock, self.keep, zone)[0] if self.keep else position.OLDEST


def feeds(settings: Settings) -> dict[str, Feed]:
    """Return what is moved, by name; raise ConfigurationError on two that share their rows."""
    calls = Feed(
        CALLS, settings.source, settings.source_table, CDR, settings.zone, settings.keep_calls
    )
    found = {CALLS: calls}
    for name, chosen in settings.tables.items():
        found[name] = _feed(name, chosen, settings)
    places: dict[tuple[str, str], str] = {}
    for name, feed in found.items():
        other = places.setdefault((feed.source, feed.table.target), name)
        if other != name:
            raise ConfigurationError(
                f"plugins.etl_ivr: tables '{other}' and '{name}' both move rows of source "
                f"'{feed.source}' into {feed.table.target}; give one another source or target"
            )
    return found


def chosen_feed(settings: Settings, name: str) -> Feed:
    """Return a feed by its name; raise ConfigurationError, naming the nearest, if there is none."""
    found = feeds(settings)
    if name not in found:
        hint = suggestion(name, found, f", there are {', '.join(found)}")
        raise ConfigurationError(f"etl_ivr: unknown table '{name}'{hint}")
    return found[name]


def _feed(name: str, chosen: TableSettings, settings: Settings) -> Feed:
    table = KNOWN[chosen.kind] if chosen.kind != "other" else _other(name, chosen)
    if chosen.target is not None:
        table = msgspec.structs.replace(table, target=chosen.target)
    if chosen.time_format is not None:
        table = msgspec.structs.replace(table, time_format=chosen.time_format)
    zone = ZoneInfo(chosen.timezone) if chosen.timezone else settings.zone
    source = chosen.source or settings.source
    named = chosen.source_table or (chosen.kind if chosen.kind in _ASTERISKS else name)
    return Feed(name, source, named, table, zone, chosen.keep)


def _other(name: str, chosen: TableSettings) -> MovedTable:
    """Return a table that the settings alone describe."""
    columns = tuple(
        MovedColumn(column, kind, (source,))
        for column, (source, kind) in (
            (column, _mapped(column, text)) for column, text in chosen.columns.items()
        )
    )
    return MovedTable(
        name=name,
        target=chosen.target or f"ivr.{name}",
        cursor=chosen.cursor,
        instant=f"{chosen.cursor}_at",
        columns=columns,
        keys=(tuple(chosen.key),) if chosen.key else (),
        required=(chosen.cursor, *chosen.key),
        time_format=None,
    )


def _mapped(column: str, text: str) -> tuple[str, Kind]:
    """Read ``"source_column"`` or ``"source_column type"``."""
    source, _, kind = text.partition(" ")
    found: Kind | None = next((k for k in _KINDS if k == (kind or "text")), None)
    if found is None:
        raise ConfigurationError(
            f"plugins.etl_ivr: column '{column}' is '{text}', its type must be one of "
            f"{', '.join(_KINDS)}"
        )
    return source, found
