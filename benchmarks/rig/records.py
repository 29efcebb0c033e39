"""Waits until so much is recorded in the database, as another client sees it."""

import time
from contextlib import ExitStack
from typing import Self

import psycopg

from benchmarks.rig.adapter import AdapterError

PATIENCE = 120.0


class Records:
    """Asks a statement that counts; None: nothing is kept, so there is nothing to ask."""

    def __init__(self, dsn: str, statement: str | None) -> None:
        self._dsn = dsn
        self._statement = statement
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Connect beforehand: it is not to take time when it counts."""
        self._connection = self._stack.enter_context(psycopg.connect(self._dsn, autocommit=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def reach(self, n: int) -> float | None:
        """Return when `n` are recorded, by the system's clock; None where nothing is kept."""
        if self._statement is None:
            return None
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self._connection.execute(self._statement.encode()).fetchone()
            if found is not None and found[0] >= n:
                return time.time()
            time.sleep(0.002)
        raise AdapterError(f"not all of {n} were recorded in {PATIENCE:.0f} s")
