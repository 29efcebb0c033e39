"""What a rehearsal begins with: schedules, jobs, runs under way, places, as values."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from sereno.model.calendar import Blackout
from sereno.model.ledger import Entry
from sereno.model.policies import Policies
from sereno.model.rehearsal import Places, RehearsedJob, UnderWay


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """All that a rehearsal knows. `since`: where it begins; `turns`: the numbers of turns by
    job and concurrency key, as the database reckons them."""

    since: datetime
    entries: Sequence[Entry]
    jobs: Mapping[str, RehearsedJob]
    places: Places = Places()
    under_way: Sequence[UnderWay] = ()
    blackouts: Sequence[Blackout] = ()
    turns: Mapping[tuple[str, str], int] = {}

    def policies(self, entry: Entry) -> Policies | None:
        """Return what the slots of `entry` follow, None where its job is not known; raises
        DeclarationError."""
        job = self.jobs.get(entry.job)
        if job is None:
            return None
        return job.policies.changed(entry.current.policies, f"schedule '{entry.name}'")
