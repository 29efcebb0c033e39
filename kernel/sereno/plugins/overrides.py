"""Lays what the configuration says of jobs and schedules over what plugins declare."""

from collections.abc import Iterable, Mapping

import msgspec

from sereno.model.calendar import checked_calendars
from sereno.model.errors import SerenoError
from sereno.model.job import Job
from sereno.model.schedule import Schedule
from sereno.model.spread import parse_spread
from sereno.model.suggestion import nearest, suggested
from sereno.model.titles import checked_tags, checked_title
from sereno.plugins.density import check_density
from sereno.plugins.record import PluginRecord
from sereno.plugins.registry import DeclaredSchedule
from sereno.settings import JobSettings, ScheduleSettings, Settings, plugin_key
from sereno.triggers.guard import read


class Overrides(msgspec.Struct):
    """Applies `settings`; keeps a sentence for each fault in `problems`.

    `records`: of all plugins. A job that nobody declares is a fault, but no more than a warning
    where it may be one of a plugin that failed, that is disabled and bears the first word of its
    name, or that has been uninstalled: nothing here has that word, or a name like it.
    """

    settings: Settings
    records: Mapping[str, PluginRecord]
    problems: list[str] = []
    warnings: list[str] = []

    def jobs(self, declared: Mapping[str, Job]) -> dict[str, Job]:
        """Return `declared` with every ``[jobs."..."]`` over it."""
        jobs = dict(declared)
        for name, chosen in self.settings.jobs.items():
            if name not in declared:
                self._unknown(name, declared, ("jobs", name))
                continue
            try:
                jobs[name] = _changed(declared[name], chosen)
                for one in jobs[name].schedules:
                    check_density(jobs[name], one, one.name(name))
            except SerenoError as error:
                self._fault(("jobs", name, "schedule"), str(error))
        return jobs

    def schedules(self, jobs: Mapping[str, Job]) -> dict[str, DeclaredSchedule]:
        """Return the schedules of `jobs`, and beside them those of the configuration."""
        found: dict[str, DeclaredSchedule] = {}
        for job in jobs.values():
            enabled = self.settings.jobs.get(job.name, _ENABLED).enabled
            for schedule in job.schedules:
                name = schedule.name(job.name)
                found[name] = DeclaredSchedule(name, job.name, schedule, "plugin", enabled)
        for name, chosen in self.settings.schedules.items():
            key = ("schedules", name)
            if name in found:
                remedy = f'choose another name, or set `schedule` in [jobs."{found[name].job}"]'
                self._fault(key, f"a plugin declares a schedule '{name}' already; {remedy}")
            elif chosen.job not in jobs:
                self._unknown(chosen.job, jobs, (*key, "job"))
            else:
                self._add(found, name, chosen, jobs[chosen.job])
        return found

    def _add(
        self, found: dict[str, DeclaredSchedule], name: str, chosen: ScheduleSettings, job: Job
    ) -> None:
        try:
            subject, params = f"schedule '{name}'", job.checked_params(chosen.params)
            job.check_concurrency_key(
                params, job.checked_policies(chosen.policies, subject), subject
            )
            schedule = Schedule(
                trigger=read(chosen.trigger),
                label=name,
                params=params,
                start=chosen.start,
                end=chosen.end,
                jitter=(parse_spread(chosen.jitter) or None) if chosen.jitter else None,
                one_off=chosen.one_off,
                at_start=chosen.at_start,
                except_on=checked_calendars(chosen.except_on, "except_on", subject),
                only_on=checked_calendars(chosen.only_on, "only_on", subject),
                title=checked_title(chosen.title, "title", subject),
                tags=checked_tags(chosen.tags, subject),
                policies=chosen.policies,
            )
            check_density(job, schedule, name)
        except SerenoError as error:
            sentence = str(error).removeprefix(f"schedule '{name}': ")
            self._fault(("schedules", name, "trigger"), f"schedule '{name}': {sentence}")
        else:
            found[name] = DeclaredSchedule(name, job.name, schedule, "config", chosen.enabled)

    def _unknown(self, name: str, known: Iterable[str], key: tuple[str, ...]) -> None:
        near = nearest(name, known)
        hint = suggested(near, "; `sereno jobs` lists them")
        sentence = f"{self.settings.place(*key)}: no plugin declares a job '{name}'{hint}"
        excused = self._is_excused(name) or (near is None and self._is_left(name, known))
        (self.warnings if excused else self.problems).append(sentence)

    def _is_excused(self, job: str) -> bool:
        states = {plugin_key(name): record.state for name, record in self.records.items()}
        return "failed" in states.values() or states.get(job.partition(".")[0]) == "disabled"

    def _is_left(self, job: str, known: Iterable[str]) -> bool:
        """Tell whether `job` can only be of a plugin that is no longer installed."""
        first, dot, _ = job.partition(".")
        words = {plugin_key(n) for n in self.records} | {n.partition(".")[0] for n in known}
        return bool(dot) and not self.settings.strict and first not in words

    def _fault(self, key: tuple[str, ...], sentence: str) -> None:
        self.problems.append(f"{self.settings.place(*key)}: {sentence}")


_ENABLED = JobSettings()


def _changed(job: Job, chosen: JobSettings) -> Job:
    changed = job.changed(**chosen.policies).titled(
        title=chosen.title, owner=chosen.owner, runbook=chosen.runbook, tags=chosen.tags
    )
    changed.check()
    if chosen.schedule is not None:
        try:
            changed = changed.changed(schedule=read(chosen.schedule))
        except SerenoError as error:
            raise type(error)(f"job '{job.name}': {error}") from error
    return changed
