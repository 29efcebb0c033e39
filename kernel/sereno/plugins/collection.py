"""Asks every loaded plugin what it declares, and settles every clash.

A fault of a plugin (it raises, a job contradicts itself, a name is taken, a chain leads nowhere)
fails that plugin, whole. A fault of the configuration is the user's: all of them are raised at
once.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec

from sereno.model.check import Check
from sereno.model.errors import ConfigurationError, DeclarationError, ParamsError, PluginError
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.metric import Collector
from sereno.model.migrations import Migrations
from sereno.model.notification import Notifier
from sereno.model.policies import learn_executor
from sereno.model.schedule import Schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.suggestion import nearest, suggested
from sereno.plugins.apps import DeclaredApp, checked_apps
from sereno.plugins.blame import describe
from sereno.plugins.chain import chain_faults
from sereno.plugins.checks import checked_checks
from sereno.plugins.collectors import checked_collectors
from sereno.plugins.density import check_density
from sereno.plugins.executors import checked_executors
from sereno.plugins.handed_on import handed_on_faults
from sereno.plugins.kinds import learn_kinds
from sereno.plugins.loader import Plugins
from sereno.plugins.overrides import Overrides
from sereno.plugins.registry import Registry
from sereno.settings import Settings, plugin_key, plugin_settings
from sereno.store.migration import read_migrations
from sereno.store.migration_series import PluginSeries
from sereno.triggers.guard import is_foreign
from sereno.triggers.occurrences import next_slot

_MOST_JOBS = 100_000
_NOTIFIER = re.compile(r"[a-z][a-z0-9_.-]{0,59}")


def collect(plugins: Plugins, settings: Settings) -> Registry:
    """Return what `plugins` declare, with `settings` laid over it.

    Raises ConfigurationError, a sentence a line, and PluginError when `settings` are strict and a
    plugin failed.
    """
    collector = _Collector(plugins, settings)
    for name in plugins.loaded:
        collector.learn_kinds(name)
    for name in collector.plugins.loaded:
        collector.learn_executors(name)
    for name in collector.plugins.loaded:
        collector.ask(name)
    for name in collector.plugins.loaded:
        collector.ask_checks(name)
    collector.check_chains()
    return collector.registry()


def settings_of(plugins: Plugins, name: str, chosen: Settings) -> Any:
    """Return the settings of the plugin `name` as its Struct, None where it takes none.

    Raises ConfigurationError where they do not fit it, and what its hook raises.
    """
    struct = plugins.call(name, "sereno_register_settings")
    if struct is None:
        if table := chosen.plugins.get(plugin_key(name)):
            place = chosen.place("plugins", plugin_key(name))
            raise ConfigurationError(
                f"{place}: plugin '{name}' takes no settings, and '{min(table)}' is set"
            )
        return None
    if not (inspect.isclass(struct) and issubclass(struct, msgspec.Struct)):
        raise PluginError(f"sereno_register_settings returned {struct!r}, no msgspec.Struct")
    return plugin_settings(chosen, name, struct)


class _Collector(msgspec.Struct):
    plugins: Plugins
    chosen: Settings
    settings: dict[str, Any] = {}
    jobs: dict[str, Job] = {}
    plugin_of: dict[str, str] = {}
    notifiers: dict[str, Notifier] = {}
    notifiers_of: dict[str, set[str]] = {}
    collectors: dict[str, tuple[Collector, ...]] = {}
    metrics: dict[str, str] = {}
    checks: dict[str, tuple[Check, ...]] = {}
    migrations: dict[str, PluginSeries] = {}
    apps: dict[str, DeclaredApp] = {}
    executors: dict[str, Executor] = {}
    executors_of: dict[str, set[str]] = {}
    problems: list[str] = []
    unknown: list[str] = []

    @contextmanager
    def _at_fault(self, name: str) -> Iterator[None]:
        """Fail this plugin alone for whatever its code raises; SystemExit is its fault too."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(name, describe(error, self.plugins.records[name].package))

    def learn_kinds(self, name: str) -> None:
        """Teach the reader of triggers the kinds of this plugin, whoever writes them."""
        with self._at_fault(name):
            learn_kinds(self.plugins, name)

    def learn_executors(self, name: str) -> None:
        """Learn the executors of this plugin, whoever has jobs that ask for them."""
        hook = "sereno_register_executors"
        if self.plugins.implementation(name, hook) is None:
            return
        with self._at_fault(name):
            try:
                answer = self.plugins.call(
                    name, hook, settings=settings_of(self.plugins, name, self.chosen)
                )
                found = checked_executors({} if answer is None else answer, self.executors)
            except ConfigurationError as error:
                self.problems.append(str(error))
            else:
                self.executors |= found
                self.executors_of[name] = set(found)
                for executor in found:
                    learn_executor(executor)

    def ask(self, name: str) -> None:
        with self._at_fault(name):
            try:
                settings = settings_of(self.plugins, name, self.chosen)
                jobs = self._jobs(name, settings)
                notifiers = self._notifiers(name, settings)
                answer = self.plugins.call(name, "sereno_register_collectors", settings=settings)
                collectors, metrics = checked_collectors(answer or (), self.metrics)
                series = self._migrations(name, settings)
                answer = self.plugins.call(name, "sereno_register_apps", settings=settings)
                apps = {} if answer is None else checked_apps(name, answer, self.apps)
            except ConfigurationError as error:
                self.problems.append(str(error))
            else:
                self.settings[name] = settings
                self.jobs |= jobs
                self.plugin_of |= dict.fromkeys(jobs, name)
                self.notifiers |= notifiers
                self.notifiers_of[name] = set(notifiers)
                self.collectors[name] = collectors
                self.metrics |= dict.fromkeys(metrics, name)
                if series is not None:
                    self.migrations[name] = series
                self.apps |= apps

    def ask_checks(self, name: str) -> None:
        """Ask for checks once all notifiers are known."""
        if name not in self.settings:
            return
        given = {"settings": self.settings[name], "notifiers": [*self.notifiers]}
        with self._at_fault(name):
            try:
                answer = self.plugins.call(name, "sereno_register_checks", **given)
                self.checks[name] = checked_checks(answer or ())
            except ConfigurationError as error:
                place = self.chosen.place("plugins", plugin_key(name))
                self.unknown += [f"{place}: {sentence}" for sentence in str(error).splitlines()]

    def _jobs(self, name: str, settings: Any) -> dict[str, Job]:
        found: dict[str, Job] = {}
        answer = self.plugins.call(name, "sereno_register_jobs", settings=settings)
        for job in () if answer is None else islice(answer, _MOST_JOBS + 1):
            if len(found) == _MOST_JOBS:
                raise PluginError(f"it declares more than {_MOST_JOBS} jobs")
            if not isinstance(job, Job):
                raise PluginError(
                    f"sereno_register_jobs returned {job!r:.200}; decorate it with @job(...)"
                )
            if job.name in found:
                raise PluginError(f"it declares the job '{job.name}' twice")
            if other := self.plugin_of.get(job.name):
                raise PluginError(
                    f"plugins '{other}' and '{name}' both declare the job '{job.name}'; "
                    f"'{other}' keeps it"
                )
            _check(job)
            if (executor := self.executors.get(job.policies.executor)) is not None:
                executor.check(job)
            found[job.name] = job
        return found

    def _notifiers(self, name: str, settings: Any) -> dict[str, Notifier]:
        found: dict[str, Notifier] = {}
        answer = self.plugins.call(name, "sereno_register_notifiers", settings=settings)
        for notifier in () if answer is None else answer:
            if not isinstance(notifier, Notifier):
                raise PluginError(f"sereno_register_notifiers returned {notifier!r}, no Notifier")
            if not _NOTIFIER.fullmatch(str(notifier.name)):
                raise PluginError(
                    f"the notifier {notifier.name!r} needs a name of lower-case letters, digits, "
                    "'_', '.' and '-'"
                )
            if notifier.name in found or notifier.name in self.notifiers:
                raise PluginError(f"the name '{notifier.name}' of a notifier is taken; rename it")
            found[notifier.name] = notifier
        return found

    def _migrations(self, name: str, settings: Any) -> PluginSeries | None:
        answer = self.plugins.call(name, "sereno_register_migrations", settings=settings)
        if answer is None:
            return None
        if not isinstance(answer, Migrations):
            raise PluginError(f"sereno_register_migrations returned {answer!r:.200}, no Migrations")
        for other, series in self.migrations.items():
            if series.schema == answer.schema:
                raise PluginError(
                    f"plugins '{other}' and '{name}' both have the schema '{answer.schema}'; "
                    f"'{other}' keeps it"
                )
        files = read_migrations(answer.package, answer.folder)
        return PluginSeries(migrations=files, schema=answer.schema, plugin=name)

    def check_chains(self) -> None:
        """Fail plugins until every chain that is left works: each failure may break another's."""
        while faults := chain_faults(self.jobs):
            owners = {self.plugin_of[job]: fault for job, fault in reversed(faults.items())}
            for owner, fault in owners.items():
                self._fail(owner, fault)

    def _fail(self, name: str, reason: str) -> None:
        self.plugins = self.plugins.failed({name: reason})
        self.jobs = {job: j for job, j in self.jobs.items() if self.plugin_of[job] != name}
        self.settings.pop(name, None)
        self.migrations.pop(name, None)
        self.collectors.pop(name, None)
        self.checks.pop(name, None)
        self.metrics = {m: plugin for m, plugin in self.metrics.items() if plugin != name}
        self.apps = {m: app for m, app in self.apps.items() if app.plugin != name}
        for notifier in self.notifiers_of.pop(name, ()):
            del self.notifiers[notifier]
        for executor in self.executors_of.pop(name, ()):
            del self.executors[executor]

    def registry(self) -> Registry:
        overrides = Overrides(self.chosen, self.plugins.records)
        jobs = overrides.jobs(self.jobs)
        schedules = overrides.schedules(jobs)
        self.problems += self._unsuited(jobs)
        misspelt, left = self._unknown_plugins()
        problems = [*misspelt, *self.problems]
        problems += handed_on_faults(jobs).values()  # none before the settings were laid over them
        warnings = [*left, *overrides.warnings]
        # One that seems unknown may be of a plugin that failed, or is not loaded here.
        idle = bool(left) or any(r.state != "loaded" for r in self.plugins.records.values())
        (warnings if idle else problems).extend(self.unknown)
        # A plugin whose settings are at fault has declared nothing: its jobs only seem unknown.
        if problems := problems or overrides.problems:
            raise ConfigurationError("\n".join(dict.fromkeys(problems)))
        self._check_strict()
        return Registry(
            plugins=self.plugins,
            jobs=jobs,
            plugin_of={name: self.plugin_of[name] for name in jobs},
            settings=self.settings,
            schedules=schedules,
            notifiers=self.notifiers,
            notifiers_of=self.notifiers_of,
            collectors=self.collectors,
            checks=self.checks,
            migrations=self.migrations,
            apps=self.apps,
            executors=self.executors,
            warnings=tuple(warnings),
        )

    def _unsuited(self, jobs: Mapping[str, Job]) -> list[str]:
        """Return a sentence for each job that the settings give an executor which cannot run it."""
        found = []
        for name, job in jobs.items():
            executor = self.executors.get(job.policies.executor)
            if executor is None or job.policies == self.jobs[name].policies:
                continue
            try:
                executor.check(job)
            except DeclarationError as error:
                found.append(f"{self.chosen.place('jobs', name, 'executor')}: {error}")
        return found

    def _unknown_plugins(self) -> tuple[list[str], list[str]]:
        """Return a sentence for each plugin that the settings name and nobody has installed: of
        those that are misspelt, and of those that an uninstalled plugin has left, which stop
        nothing else unless settings are strict."""
        known = {plugin_key(name) for name in self.plugins.records}
        named: list[tuple[str, tuple[str, ...]]]
        named = [(plugin_key(n), ("disabled_plugins",)) for n in self.chosen.disabled_plugins]
        named += [(n, ("plugins", n)) for n in self.chosen.plugins]
        named += [(plugin_key(n), ("log", "plugins", n)) for n in self.chosen.log.plugins]
        misspelt, left = [], []
        for name, key in named:
            if name in known:
                continue
            sentence = f"{self.chosen.place(*key)}: no plugin '{name}' is installed"
            near = nearest(name, known)
            if near is not None or self.chosen.strict:
                misspelt.append(sentence + suggested(near, "; `sereno plugins` lists them"))
            else:
                remedy = "install it again, or take this out"
                left.append(f"{sentence}: what is set for it is orphaned; {remedy}")
        return misspelt, left

    def _check_strict(self) -> None:
        failed = [r for r in self.plugins.records.values() if r.state == "failed"]
        if self.chosen.strict and failed:
            raise PluginError("\n".join(f"plugin '{r.name}': {r.reason}" for r in failed))


def _check(job: Job) -> None:
    job.check()
    for schedule in job.schedules:
        subject = f"schedule '{schedule.name(job.name)}'"
        policies = job.checked_policies(schedule.policies, subject)
        job.check_concurrency_key(job.checked_params(schedule.params), policies, subject)
        _check_trigger(schedule, schedule.name(job.name))
        check_density(job, schedule, schedule.name(job.name))
    if job.after:
        _check_chained(job)


def _check_trigger(schedule: Schedule, name: str) -> None:
    """Ask a plugin's own trigger, read back from its text, for two slots, as the leader will."""
    text = schedule.trigger.text
    if type(schedule.trigger).__module__.startswith("sereno.triggers.") and not is_foreign(text):
        return
    now = datetime.now(UTC)  # noqa: TID251 - any instant would do, and no database is asked yet
    version = ScheduleSpec.of(schedule).as_version(1, now, "active")
    first = next_slot(version, name, now)
    if first is not None:
        next_slot(version, name, first)


def _check_chained(job: Job) -> None:
    """Refuse params that a run after another could not have: it is queued with those alone that
    it takes from there, of which `chain_faults` tells."""
    if job.params_from:
        return
    try:
        job.checked_params({})
    except ParamsError as error:
        raise PluginError(
            f"{error}; a run after {', '.join(job.after)} has no params: take them from there by "
            "params_from, or give each a default and read what came before from run.upstream"
        ) from error
