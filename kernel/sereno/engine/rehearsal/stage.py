"""Plays a scene: both paces side by side, so that each slot is computed once for both."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sereno.engine.rehearsal.planned_slots import PlannedSlots
from sereno.engine.rehearsal.player import Played, Player
from sereno.engine.rehearsal.scene import Scene
from sereno.model.rehearsal import Pace, Rehearsal

_PACES: tuple[Pace, Pace] = ("usual", "slow")


def rehearse(
    scene: Scene,
    until: datetime,
    *,
    most: int,
    note: tuple[Pace, Callable[[Played], Any]] | None = None,
) -> Rehearsal:
    """Play `scene` to `until`, or until `most` slots are due at either pace.

    `note`: a pace, and what is told of each slot that is settled and each attempt that ends at it.
    """
    plans = PlannedSlots(scene)
    usual, slow = (Player(scene, p, plans, _heard(note, p)) for p in _PACES)
    reached = until
    usual_at, slow_at = usual.next_instant(), slow.next_instant()
    while (at := min(usual_at, slow_at)) <= until:
        if usual.record.slots >= most or slow.record.slots >= most:
            reached = min(max(at, scene.since), until)
            break
        if usual_at == at:
            usual_at = usual.play(at)
        if slow_at == at:
            slow_at = slow.play(at)
    seen = {job for job, told in scene.jobs.items() if not told.durations.runs}
    return Rehearsal(
        since=scene.since,
        until=reached,
        asked=until,
        places=scene.places,
        usual=usual.record.course(reached),
        slow=slow.record.course(reached),
        unmeasured=tuple(sorted(seen & (usual.begun | slow.begun))),
        unread=plans.unread,
    )


def _heard(
    note: tuple[Pace, Callable[[Played], Any]] | None, pace: Pace
) -> Callable[[Played], Any] | None:
    return note[1] if note is not None and note[0] == pace else None
