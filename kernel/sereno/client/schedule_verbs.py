"""Verbs of schedules: read, add, change, pause and resume them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from sereno.client.revision import Part, ScheduleRevision
from sereno.client.slot_verbs import MOST_SLOTS, SlotVerbs, slots_of, text_of
from sereno.client.verbs import Duration, check_texts, checked_limit, known_plugin
from sereno.model.duration import parse_duration
from sereno.model.errors import NotFoundError, ParamsError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.settings import hidden
from sereno.store import cluster, schedules
from sereno.store.filters import is_pattern
from sereno.store.version import ends_with_it
from sereno.triggers import Trigger
from sereno.triggers.replay import Replayed

_AT_ONCE = 200
"""Schedules that are paused or resumed in one transaction."""


class ScheduleChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is after a change. `valid_from`: slots after that follow it, what jitter had
    put off to then stays with the version before; `next_slot`: the first of them."""

    schedule: str
    job: str
    version: ScheduleVersion
    changed_at: datetime
    valid_from: datetime
    next_slot: datetime


class ScheduleAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was added, and its first slot."""

    schedule: str
    job: str
    trigger: str
    next_slot: datetime


class ScheduleRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was removed. `ended`: slots that jitter had put off, and that end unbegun."""

    schedule: str
    ended: tuple[datetime, ...]

    @property
    def remark(self) -> str:
        """Return the sentence that tells of `ended`, empty where there is none."""
        return ends_with_it(self.ended) if self.ended else ""


class ChangePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change would do: the schedule's parts and its next slots, before and after."""

    schedule: str
    job: str
    now: datetime
    before: ScheduleSpec
    after: ScheduleSpec
    slots_before: tuple[datetime, ...]
    slots_after: tuple[datetime, ...]


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules that were paused now. `active`: those of the same name that go on, as they were
    resumed meanwhile or are of another state."""

    paused: tuple[str, ...]
    until: datetime | None


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules that were resumed now, and runs that were queued for slots of the pause."""

    resumed: tuple[str, ...]
    runs: tuple[int, ...]


class ScheduleVerbs(SlotVerbs):
    """Verbs of schedules."""

    async def add_schedule(
        self,
        job: str,
        trigger: str | Trigger,
        *,
        label: str = "",
        params: Mapping[str, Any] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: Duration | None = None,
        policies: Mapping[str, Any] | None = None,
        reason: str = "",
        requested_by: str | None = None,
    ) -> ScheduleAdded:
        """Add a schedule to `job`, named as the job or, with a `label`, ``job@label``.

        The job must be declared here, by a plugin that is installed. Raises NotFoundError,
        DeclarationError, TriggerError, ParamsError.
        """
        known = self._declarations.job(job)
        name = f"{job}@{label}" if label else job
        spec = ScheduleSpec(
            trigger=text_of(trigger),
            params=dict(params or {}),
            starts_at=start,
            ends_at=end,
            jitter=(parse_duration(jitter) or None) if jitter is not None else None,
            policies=known.checked_policies(dict(policies or {}), f"schedule '{name}'"),
        )
        by = self._by(requested_by)
        first = await schedules.add(self._db, name, known, spec, by=by, reason=reason)
        return ScheduleAdded(schedule=name, job=job, trigger=spec.trigger, next_slot=first)

    async def change_schedule(
        self,
        name: str,
        *,
        trigger: str | Trigger | None = None,
        params: Mapping[str, Any] | None = None,
        start: datetime | UnsetType | None = UNSET,
        end: datetime | UnsetType | None = UNSET,
        jitter: Duration | UnsetType | None = UNSET,
        policies: Mapping[str, Any] | None = None,
        reset: Sequence[Part] = (),
        reason: str = "",
        requested_by: str | None = None,
    ) -> ScheduleChanged:
        """Change one schedule, of whatever origin, from its next slot on.

        What is left out stays, and so does each param and policy that is not named; None for
        `start`, `end`, `jitter` takes these away. `reset`: parts as they were declared again,
        before the rest is laid over. Raises as `add_schedule`; then the schedule is as it was.
        """
        wanted = _revision(trigger, params, start, end, jitter, policies, reset)
        told: dict[str, Any] = {}

        def noted(standing: schedules.LockedSchedule) -> Mapping[str, Any]:
            told.update(schedule=standing.name, job=standing.job, changed_at=standing.now)
            return wanted.laid(self._declarations.job)(standing)

        version, first = await schedules.override(
            self._db,
            name,
            noted,
            jobs=self._declarations.job,
            by=self._by(requested_by),
            reason=reason,
        )
        return ScheduleChanged(
            version=_masked(version), valid_from=version.valid_from, next_slot=first, **told
        )

    async def preview_change(
        self,
        name: str,
        *,
        trigger: str | Trigger | None = None,
        params: Mapping[str, Any] | None = None,
        start: datetime | UnsetType | None = UNSET,
        end: datetime | UnsetType | None = UNSET,
        jitter: Duration | UnsetType | None = UNSET,
        policies: Mapping[str, Any] | None = None,
        reset: Sequence[Part] = (),
        count: int = 10,
    ) -> ChangePreview:
        """Return what `change_schedule` would do, with the next `count` slots before and after.

        Raises as it would; nothing is changed.
        """
        checked_limit(count, MOST_SLOTS)
        wanted = _revision(trigger, params, start, end, jitter, policies, reset)
        laid = wanted.laid(self._declarations.job)
        standing, after = await schedules.preview(self._db, name, laid, jobs=self._declarations.job)

        def slots(spec: ScheduleSpec) -> tuple[datetime, ...]:
            version = spec.as_version(1, standing.now, "active")
            return tuple(slots_of(version, standing.name, standing.now, count))

        return ChangePreview(
            schedule=standing.name,
            job=standing.job,
            now=standing.now,
            before=_masked(standing.current),
            after=_masked(after),
            slots_before=slots(standing.current),
            slots_after=slots(after),
        )

    async def remove_schedule(
        self, name: str, *, reason: str = "", requested_by: str | None = None
    ) -> ScheduleRemoved:
        """Remove a schedule that a person made, or whose plugin is gone; its history stays.

        Raises NotFoundError, DeclarationError for one that is declared.
        """
        by = self._by(requested_by)
        removed, slots = await schedules.remove(self._db, name, by=by, reason=reason)
        return ScheduleRemoved(schedule=removed, ended=tuple(slots))

    async def pause(
        self,
        name: str | None = None,
        *,
        plugin: str | None = None,
        everything: bool = False,
        until: datetime | None = None,
        reason: str = "",
        requested_by: str | None = None,
    ) -> Paused:
        """Pause a schedule, all of a job, those that a pattern stands for, of a plugin, or all.

        Slots are recorded as skipped meanwhile; runs by hand go on. Of many schedules 200 are
        paused at a time, each lot whole: what an error leaves out another call does. Raises
        NotFoundError, and DeclarationError when `until` is past.
        """
        by = self._by(requested_by)
        paused: list[str] = []
        for names in await self._chosen(name, plugin, everything):
            paused += await schedules.pause(self._db, names, by=by, reason=reason, until=until)
        return Paused(paused=tuple(paused), until=until)

    async def resume(
        self,
        name: str | None = None,
        *,
        plugin: str | None = None,
        everything: bool = False,
        replay: Replayed = "none",
        reason: str = "",
        requested_by: str | None = None,
    ) -> Resumed:
        """Resume what `pause` has paused, chosen alike, from the next slot on.

        `replay`: which of the slots that fell into the pause are to be run: ``none``, the ``last``,
        or ``all``. Raises NotFoundError.
        """
        if replay not in ("none", "last", "all"):
            raise ParamsError(f"replay is {replay!r:.60}, it must be none, last or all")
        by = self._by(requested_by)
        resumed: list[str] = []
        runs: list[int] = []
        for names in await self._chosen(name, plugin, everything):
            some, queued = await schedules.resume(self._db, names, by=by, run=replay, reason=reason)
            resumed += some
            runs += queued
        return Resumed(resumed=tuple(resumed), runs=tuple(runs))

    async def _chosen(
        self, name: str | None, plugin: str | None, everything: bool
    ) -> Sequence[str | Sequence[str]]:
        """Return what is chosen, in lots: a name as it is, or names of schedules."""
        given = [what for what in (name, plugin, everything or None) if what is not None]
        if len(given) != 1:
            raise ParamsError(
                "say what is meant by one of these: a name or pattern, a plugin, or everything"
            )
        check_texts(name=name, plugin=plugin)
        if name is not None and not is_pattern(name):
            return [name]
        if plugin is not None:
            known_plugin(plugin, {p.name for p in await cluster.plugins(self._db)})
        names = await schedules.selected(self._db, name, plugin)
        if name is not None and not names:
            raise NotFoundError(f"no schedule, nor a job of one, is like '{name}'")
        return [names[n : n + _AT_ONCE] for n in range(0, len(names), _AT_ONCE)]


S = TypeVar("S", ScheduleSpec, ScheduleVersion)


def _masked(found: S) -> S:
    return msgspec.structs.replace(found, params=hidden("params", found.params))


def _revision(
    trigger: str | Trigger | None,
    params: Mapping[str, Any] | None,
    start: datetime | UnsetType | None,
    end: datetime | UnsetType | None,
    jitter: Duration | UnsetType | None,
    policies: Mapping[str, Any] | None,
    reset: Sequence[Part],
) -> ScheduleRevision:
    spread: timedelta | UnsetType | None = UNSET
    if jitter is None or not isinstance(jitter, UnsetType):
        spread = None if jitter is None else parse_duration(jitter) or None
    return ScheduleRevision(
        trigger=None if trigger is None else text_of(trigger),
        params=dict(params or {}),
        start=start,
        end=end,
        jitter=spread,
        policies=dict(policies or {}),
        reset=tuple(reset),
    )
