"""Words for a database that went on from an older state."""

from datetime import datetime
from typing import Any

from sereno.cli.moments import exact
from sereno.client import Timeline


def went_back(timeline: Timeline) -> str:
    """Return what is to be known of it, and what nobody can know."""
    if timeline.beside:
        return (
            f"at {exact(timeline.seen_at)} `sereno new-cluster` made this a cluster of its own: "
            "what was at work or due by then is the work of the one that it was copied from"
        )
    until = _until(timeline.known_until)
    numbers = timeline.numbers.get("run.id")
    runs = "" if numbers is None else f", runs from {numbers + 1}"
    return (
        f"at {exact(timeline.seen_at)} a leader found that the database had gone on from an older "
        f"state{until}, as after a promoted standby or a restore: terms went on from "
        f"{timeline.term + 1}{runs}. What was committed after that state is not known here: runs "
        "of it may have ended that are made again, and runs that others were told of may be gone"
    )


def _until(instant: datetime | None) -> str:
    return "" if instant is None else f" (of {exact(instant)})"


def as_json(timeline: Timeline) -> dict[str, Any]:
    """Return it as commands print it."""
    return {
        "seen_at": timeline.seen_at,
        "known_until": timeline.known_until,
        "doubtful_until": timeline.doubtful_until,
        "timeline": timeline.timeline,
        "term": timeline.term,
        "numbers": timeline.numbers,
    }
