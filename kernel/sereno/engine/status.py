"""What this node knows of itself: written by the engine, read by health, metrics and logs."""

from uuid import UUID

import msgspec


class Status(msgspec.Struct, kw_only=True):
    """One node's view of itself; changes as it runs.

    `clock_offset`, `loop_lag`: seconds. `leader_*`: whom the database names, as last read.
    `store_error`: why the database is not usable, a sentence without secrets, None while it is.
    `leaving`: SIGTERM has come.
    """

    node: UUID
    label: str
    version: str
    leading: bool = False
    term: int = 0
    leader_changes: int = 0
    store_up: bool = False
    store_error: str | None = "not connected yet"
    migrated: bool = False
    clock_offset: float = 0.0
    loop_lag: float = 0.0
    loop_blocked: int = 0
    running: dict[str, int] = {}
    leaving: bool = False

    @property
    def role(self) -> str:
        """Return ``leader``, ``standby`` or ``leaving``."""
        if self.leaving:
            return "leaving"
        return "leader" if self.leading else "standby"
