"""What was to come of a schedule, as it was computed at an instant, and how it has moved since."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Instant = Annotated[datetime, Meta(tz=True)]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What was to come, as seen at the instant `at`, by `rules`. `slots`: soonest first."""

    at: Instant
    version: int
    rules: str
    trigger: str
    slots: list[Instant]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The next slots of one schedule, as they were computed before and as they are now.

    Where the very next ones agree, those further off that do not.
    """

    schedule: str
    because: str
    before: list[datetime]
    after: list[datetime]
