"""What the database says of the replicas, asked from outside of their networks."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from sereno.store.keys import LEADER_LOCK, LOCK_CLASS

_HELD = f"""
    SELECT l.pid FROM pg_locks l
     WHERE l.locktype = 'advisory' AND l.classid = {LOCK_CLASS} AND l.objid = {LEADER_LOCK}
       AND l.objsubid = 2 AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_LEADER = f"""
    SELECT n.label, l.term FROM sereno.leadership l JOIN sereno.node n ON n.id = l.node
     WHERE EXISTS ({_HELD})
"""
_TERM_AFTER = "SELECT term, acquired_at FROM sereno.term WHERE term > %s ORDER BY term LIMIT 1"
_STEADY = f"""
    SELECT (SELECT count(*) FROM sereno.node n JOIN pg_locks l ON l.objid = n.key::oid
             WHERE l.locktype = 'advisory' AND l.classid = {LOCK_CLASS} AND l.objsubid = 2
               AND l.granted AND n.label = ANY(%s)
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())),
           EXISTS ({_HELD}),
           (SELECT min(settled_to) FROM sereno.watermark) > clock_timestamp() - interval '1.3 s',
           NOT EXISTS (SELECT 1 FROM sereno.run WHERE state = 'queued'
                          AND run_at < clock_timestamp() - interval '1 s'),
           NOT EXISTS (SELECT 1 FROM sereno.run WHERE state = 'running'
                          AND started_at < clock_timestamp() - %s * interval '1 s')
"""


class Eye:
    """A connection that is made again when it breaks."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection[Any] | None = None

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what the database answers; raises psycopg.Error when it is away."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=2)
        try:
            return self._connection.execute(query.encode(), parameters or None).fetchall()
        except psycopg.OperationalError:
            self.close()
            raise

    def value(self, query: str, parameters: Sequence[object] = ()) -> Any:
        return self.rows(query, parameters)[0][0]

    def now(self) -> datetime:
        found: datetime = self.value("SELECT clock_timestamp()")
        return found

    def leader(self) -> tuple[str, int] | None:
        """Return label and term of the node that holds the lead."""
        with contextlib.suppress(psycopg.Error):
            for label, term in self.rows(_LEADER):
                return label, term
        return None

    def holder(self) -> int | None:
        """Return the process id of the backend that holds the leader's lock."""
        return next((pid for (pid,) in self.rows(_HELD)), None)

    def unsteady(self, labels: Sequence[str], longest: float = 6) -> str | None:
        """Say what is not as it should be, None when all is well. `longest`: seconds of a run."""
        try:
            present, held, fired, taken, ended = self.rows(_STEADY, [list(labels), longest])[0]
        except psycopg.Error as error:
            return f"the database is away: {error}"
        if present != len(labels):
            return f"{present} of {len(labels)} replicas are present"
        if not held:
            return "nobody leads"
        if not fired:
            return "slots are not settled in time"
        if not taken:
            return "runs wait in the queue"
        return None if ended else "a run does not end"

    def term_after(self, term: int) -> tuple[int, datetime] | None:
        """Return the next term after `term`, and when it began."""
        with contextlib.suppress(psycopg.Error):
            for number, began in self.rows(_TERM_AFTER, [term]):
                return number, began
        return None

    def move(self, dsn: str) -> None:
        """Look at another server from now on."""
        self.close()
        self._dsn = dsn

    def commits(self) -> int:
        """Return a number that grows by one with each transaction that writes."""
        found: int = self.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
