"""Names the sessions of others that stand in the way, so that a person can end the right one."""

from collections.abc import Sequence
from typing import Any

import msgspec


class Backend(msgspec.Struct, frozen=True):
    """A session of the database: process, role, and what it calls itself.

    Who may not see more of it knows these three.
    """

    pid: int
    role: str | None
    application: str | None

    def __str__(self) -> str:
        called = f", application {self.application!r}" if self.application else ""
        return f"pid {self.pid} (role {self.role!r}{called})"


def named(rows: Sequence[Any], most: int = 5) -> str:
    """Return the sessions of `rows` (pid, role, application) as a part of a sentence."""
    found = [str(Backend(r["pid"], r["role"], r["application"])) for r in rows]
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)
