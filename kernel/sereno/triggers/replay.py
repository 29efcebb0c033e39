"""Decides which slots that fell into a pause are run when it ends."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Literal

from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleVersion
from sereno.triggers.occurrences import spans, window_slots

MAX_REPLAY = 1_000
"""Runs that a resume with ``run="all"`` may queue at most."""

Replayed = Literal["none", "last", "all"]


def replayed(
    versions: Sequence[ScheduleVersion],
    name: str,
    paused: datetime,
    resumed: datetime,
    run: Replayed,
) -> list[datetime]:
    """Return the slots in (`paused`, `resumed`] to run, each as its version made it due.

    Raises DeclarationError where all of them are more than MAX_REPLAY.
    """
    if run == "none":
        return []
    slots: list[datetime] = []
    ruled = spans(versions, paused, resumed)
    for slot in chain.from_iterable(window_slots(v, name, first, end) for v, first, end in ruled):
        slots.append(slot)
        if len(slots) > MAX_REPLAY:
            if run == "all":
                raise DeclarationError(
                    f"resume: more than {MAX_REPLAY} slots of '{name}' fell into the pause; "
                    "use --run last or none"
                )
            del slots[:-1]
    return slots[-1:] if run == "last" else slots
