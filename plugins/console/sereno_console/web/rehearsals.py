"""Decides who may have the coming days played, and that one after another does: it is work for a
processor, which pages and other requests need, too."""

import asyncio
from weakref import WeakKeyDictionary

from sereno import Client, RehearsalChange
from sereno_console.security.identity import Identity
from sereno_console.web.sight import job_of

_TURNS: WeakKeyDictionary[Client, asyncio.Lock] = WeakKeyDictionary()


def one_at_a_time(client: Client) -> asyncio.Lock:
    """Return what is held while a rehearsal is played."""
    return _TURNS.setdefault(client, asyncio.Lock())


def require_read(user: Identity, change: RehearsalChange) -> None:
    """Raise ForbiddenError where a change names jobs that who asks may not read."""
    for job in (*change.jobs, *map(job_of, change.schedules)):
        user.require("read", job)
