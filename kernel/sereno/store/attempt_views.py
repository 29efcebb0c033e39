"""Shows the attempts of a run that are over, and what they have warned of."""

from datetime import datetime

import msgspec


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One ended attempt that was not the run's last."""

    attempt: int
    state: str
    node: str | None = None
    term: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    traceback: str | None = None


class WarningView(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt of a run has warned of, and how often."""

    attempt: int
    message: str
    times: int
    first_at: datetime
    last_at: datetime
