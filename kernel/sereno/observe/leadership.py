"""Says why nobody leads, in a sentence that names who is in the way and what ends it."""

from datetime import datetime, timedelta

from sereno.model.duration import format_duration
from sereno.store.backend import Backend

_MARGIN = timedelta(seconds=5)


def why_nobody_leads(
    *, held: bool, holder: Backend | None, beat_at: datetime | None, now: datetime, lease: timedelta
) -> str | None:
    """Return why slots are not fired, None while a node leads.

    `held`: a node has the leader's lock; `holder`: whoever has it. A leader beats each third of its
    lease, and is silent for longer than two of them when it leads no more.
    """
    silent = None if beat_at is None else now - beat_at
    if held and silent is not None and silent <= 2 * lease + _MARGIN:
        return None
    if holder is None:
        return "no node leads: slots are not fired until one does, and are settled then"
    if held and silent is not None:
        ago = format_duration(timedelta(seconds=round(silent.total_seconds())))
        what = f"whose last heartbeat was {ago} ago"
    else:
        what = "which is no node"
    return (
        f"no node leads: the leader's lock is held by {holder}, {what}; no slot is fired until "
        f"that session has ended: {holder.remedy}"
    )
