"""What the kernel's own trail does not tell: log-ins, users, tokens, secrets that were shown."""

from datetime import datetime

import msgspec

from sereno import Client
from sereno_console.tables.statement import done, rows

_LONGEST = 1_000


class TrailView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody did. `by`: who, and from where."""

    id: int
    at: datetime
    by: str
    action: str
    subject: str
    reason: str


async def note(client: Client, by: str, action: str, subject: str, reason: str = "") -> None:
    """Keep that `by` did something."""
    texts = [text[:_LONGEST].replace("\0", "\ufffd") for text in (by, action, subject, reason)]
    await done(client, "trail_note", *texts)


async def page(client: Client, key: int, older: bool, most: int) -> list[TrailView]:
    """Return at most `most` entries beside the one of number `key`, the newest first."""
    found = await rows(client, "trail_page", key, older, most)
    return [TrailView(**dict(each)) for each in found]
