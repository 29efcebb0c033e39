"""What all verbs of a client work with."""

from datetime import timedelta

from sereno.client.asker import asker
from sereno.client.declarations import Declarations
from sereno.model.errors import ParamsError
from sereno.store.pool import Database

MOST_ID = 2**63 - 1

Duration = str | float | timedelta
"""As people write one, in seconds, or as it is."""


class Verbs:
    """A database, what jobs are declared beside it, and who asks.

    `requested_by`: None stands for this process's person where a name is needed, and for the
    database's role where a run is asked for.
    """

    def __init__(
        self,
        db: Database,
        declarations: Declarations | None = None,
        *,
        requested_by: str | None = None,
    ) -> None:
        self._db = db
        self._declarations = declarations or Declarations({})
        self._requested_by = requested_by

    def _by(self, requested_by: str | None) -> str:
        return requested_by or self._requested_by or asker()


def checked_id(run_id: int) -> int:
    """Return the number of a run; raises ParamsError on what none can have."""
    if type(run_id) is not int or not 0 <= run_id <= MOST_ID:
        raise ParamsError(f"run {run_id!r:.60}: a run's number is a whole one, from 1 to {MOST_ID}")
    return run_id


def checked_limit(limit: int, most: int) -> int:
    """Return how many are asked for at most; raises ParamsError."""
    if type(limit) is not int or not 1 <= limit <= most:
        raise ParamsError(f"limit is {limit!r:.60}, it must be a whole number from 1 to {most:,}")
    return limit
