"""Names the sessions of others that stand in the way, so that a person can end the right one."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Backend(msgspec.Struct, frozen=True):
    """A session of the database: process, role, and what it calls itself.

    These three are told to every role.
    """

    pid: int
    role: str | None = None
    application: str | None = None

    def __str__(self) -> str:
        called = f", application {self.application!r}" if self.application else ""
        return f"pid {self.pid} (role {self.role!r}{called})"

    @property
    def remedy(self) -> str:
        """Return the statement that ends it."""
        return f"SELECT pg_terminate_backend({self.pid})"


def backend(row: Mapping[str, Any]) -> Backend:
    """Return the session of a row with `pid`, `role` and `application`."""
    return Backend(row["pid"], row["role"], row["application"])


def named(rows: Sequence[Mapping[str, Any]], most: int = 5) -> str:
    """Return the sessions of `rows` as a part of a sentence."""
    found = [str(backend(row)) for row in rows]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)
