"""Gives what waits in a rehearsal its places, as the dispatcher does."""

from collections.abc import Callable
from datetime import datetime

from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.rehearsal.hindrances import hindered
from sereno.engine.rehearsal.scene import Scene
from sereno.engine.rehearsal.waiting_line import RehearsedRun, WaitingLine, Wanted
from sereno.model.policies import Policies


class RehearsedQueue:
    """The places of one pace, and who waits for them."""

    def __init__(self, scene: Scene, occupancy: Occupancy, line: WaitingLine) -> None:
        self._scene, self._occupancy, self._line = scene, occupancy, line

    def admit(self, now: datetime, begin: Callable[[RehearsedRun, datetime], None]) -> None:
        """Have `begin` begin what may, of what waits."""
        excluded: set[int | None] = set()
        closed: set[str | None] = set()
        startable = {job for job in self._line.jobs if self._startable(job)}

        def wanted(run: RehearsedRun) -> bool:
            return (
                run.job in startable
                and run.schedule_id not in excluded
                and run.key not in closed
                and run.may_begin(now)
            )

        while startable:
            closed |= set(self._occupancy.full_keys())
            chosen, refused = self._admitted(startable, wanted)
            for run in chosen:
                self._line.taken(run)
                begin(run, now)
            schedules = {r.schedule_id for r in refused if r.schedule_id is not None}
            keys = {r.key for r in refused if r.key is not None}
            if not chosen and schedules <= excluded and keys <= closed:
                return  # nobody is behind those that have to wait
            excluded |= schedules
            closed |= keys

    def _startable(self, job: str) -> bool:
        policies = self._scene.jobs[job].policies
        return self._occupancy.admits(job, policies.max_running, None, policies.executor)

    def _admitted(
        self, startable: set[str], wanted: Wanted
    ) -> tuple[list[RehearsedRun], list[RehearsedRun]]:
        """Give those a place that may have one; return them, and those that have to wait for
        something else than their job's or executor's."""
        chosen, refused = list[RehearsedRun](), list[RehearsedRun]()
        for run in self._line.ready(startable, wanted):
            policies = run.policies
            if not self._startable(run.job):  # by now, or by policies of its schedule
                startable.difference_update([j for j in startable if not self._startable(j)])
                if not startable:
                    break
                continue
            if self._overlaps(run, policies) or not self._occupancy.admits(
                run.job, policies.max_running, run.key, policies.executor, policies.key_limit
            ):
                self.hold_up(run)
                refused.append(run)
                continue
            chosen.append(run)
            self.occupy(run, running=True)
        return chosen, refused

    def _overlaps(self, run: RehearsedRun, policies: Policies) -> bool:
        return (
            policies.key_limit > 1
            and policies.overlap != "allow"
            and run.schedule_id is not None
            and self._occupancy.running_of(run.schedule_id)
        )

    def hold_up(self, run: RehearsedRun) -> None:
        """Note what is in the way of a run, where that is not known yet."""
        if run.hindrance == "other":
            found = hindered(self._occupancy, run, self._scene.places)
            run.hindrance, run.detail = found

    def occupy(self, run: RehearsedRun, *, running: bool) -> None:
        """Count a run that is not over."""
        self._occupancy.add(
            Occupant(
                run_id=run.id,
                job=run.job,
                schedule_id=run.schedule_id,
                key=run.key,
                key_limit=run.policies.key_limit,
                executor=run.policies.executor,
                running=running,
            )
        )
