"""What all verbs of a client work with."""

from collections.abc import Collection
from datetime import timedelta

from sereno.client.asker import asker
from sereno.client.declarations import Declarations
from sereno.model.errors import NotFoundError, ParamsError
from sereno.model.rehearsal import Places
from sereno.model.suggestion import suggestion
from sereno.model.text import shortened, visible
from sereno.settings import MAX_BACKFILL, Settings
from sereno.store.pool import Database

MOST_ID = 2**63 - 1

Duration = str | float | timedelta
"""As people write one, in seconds, or as it is."""


class Verbs:
    """A database, what jobs are declared beside it, who asks, and how much.

    `requested_by`: None stands for this process's person where a name is needed, and for the
    database's role where a run is asked for. `max_backfill`: slots of one back-fill at most.
    `places`: of the node that leads, as its settings say here.
    """

    def __init__(
        self,
        db: Database,
        declarations: Declarations | None = None,
        *,
        requested_by: str | None = None,
        max_backfill: int = MAX_BACKFILL,
        places: Places | None = None,
    ) -> None:
        self._db = db
        self._max_backfill = max_backfill
        self._places = places or Places()
        self._declarations = declarations or Declarations({})
        self._requested_by = requested_by

    def _by(self, requested_by: str | None) -> str:
        return requested_by or self._requested_by or asker()


def places_of(settings: Settings) -> Places:
    """Return the places of a node with these settings."""
    return Places(
        max_running=settings.max_running,
        threads=settings.threads,
        processes=settings.processes,
    )


def checked_id(run_id: int) -> int:
    """Return the number of a run; raises ParamsError on what none can have."""
    if type(run_id) is not int or not 0 <= run_id <= MOST_ID:
        raise ParamsError(f"run {run_id!r:.60}: a run's number is a whole one, from 1 to {MOST_ID}")
    return run_id


def check_texts(**texts: str | None) -> None:
    """Raise ParamsError on what is no text, or one that PostgreSQL cannot hold; of a name that
    nothing can have, NotFoundError."""
    for what, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise ParamsError(f"{what} is a {type(text).__name__}, it must be a text")
        if text is None or not ("\0" in text or any("\ud800" <= c <= "\udfff" for c in text)):
            continue
        shown = visible(shortened(text, 200))
        if what in ("job", "name"):
            raise NotFoundError(f"there is no {'job' if what == 'job' else 'schedule'} '{shown}'")
        raise ParamsError(
            f"{what} holds U+0000 or half of a surrogate pair, which PostgreSQL cannot keep"
        )


def checked_limit(limit: int, most: int) -> int:
    """Return how many are asked for at most; raises ParamsError."""
    if type(limit) is not int or not 1 <= limit <= most:
        raise ParamsError(f"limit is {limit!r:.60}, it must be a whole number from 1 to {most:,}")
    return limit


def known_plugin(name: str, known: Collection[str]) -> None:
    """Raise NotFoundError, with a suggestion, unless the plugin `name` is among those `known`."""
    if name not in known:
        hint = suggestion(name, sorted(known), "; `sereno plugins` lists them")
        raise NotFoundError(f"there is no plugin '{name}'{hint}")
