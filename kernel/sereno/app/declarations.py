"""What a registry declares, as the database is to have it."""

from collections.abc import Iterator

from sereno.model.schedule_spec import ScheduleSpec
from sereno.plugins import Registry
from sereno.store.catalogue import DeclaredJob, NamedSchedule


def declared_jobs(registry: Registry) -> list[DeclaredJob]:
    """Return the jobs of a registry, each with its plugin."""
    return [DeclaredJob(job=j, plugin=registry.plugin_of[n]) for n, j in registry.jobs.items()]


class DeclaredSchedules:
    """What a registry declares, by name, as the database is to have it: made anew each time, for
    whoever leads asks once, and others never."""

    def __init__(self, registry: Registry) -> None:
        self._declared = registry.schedules

    def __iter__(self) -> Iterator[NamedSchedule]:
        for name in sorted(self._declared):
            one = self._declared[name]
            declared = ScheduleSpec.of(one.schedule, one.enabled)
            yield NamedSchedule(name=name, job=one.job, origin=one.origin, declared=declared)
