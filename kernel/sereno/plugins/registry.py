"""What all plugins and the configuration have declared, once every clash is settled."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from sereno.model.check import Check
from sereno.model.errors import NotFoundError
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.metric import Collector
from sereno.model.notification import Notifier
from sereno.model.schedule import Origin, Schedule
from sereno.model.suggestion import suggestion
from sereno.plugins.apps import DeclaredApp
from sereno.plugins.loader import Plugins
from sereno.plugins.record import PluginRecord
from sereno.store.migration_series import PluginSeries


class DeclaredSchedule(msgspec.Struct, frozen=True):
    """A schedule under its name. `enabled` false: it is known, and fires nothing."""

    name: str
    job: str
    schedule: Schedule
    origin: Origin
    enabled: bool = True


class Given(msgspec.Struct, frozen=True):
    """What the jobs of a plugin are given by it."""

    settings: Any
    state: Any


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs and schedules by name, and whose they are.

    `settings`: each loaded plugin's Struct, None where it declares none. `states`: what an
    application gives its own plugins, and what lifespans have yielded once they are open, by
    plugin.
    `notifiers`: by name; `notifiers_of`: their names by plugin. `collectors`, `checks`,
    `migrations`: by plugin. `apps`: by mount. `executors`: plugins' own, by name.
    `warnings`: sentences to be logged once logging stands.
    """

    plugins: Plugins
    jobs: Mapping[str, Job] = {}
    plugin_of: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}
    states: Mapping[str, Any] = {}
    schedules: Mapping[str, DeclaredSchedule] = {}
    notifiers: Mapping[str, Notifier] = {}
    notifiers_of: Mapping[str, Collection[str]] = {}
    collectors: Mapping[str, tuple[Collector, ...]] = {}
    checks: Mapping[str, tuple[Check, ...]] = {}
    migrations: Mapping[str, PluginSeries] = {}
    apps: Mapping[str, DeclaredApp] = {}
    executors: Mapping[str, Executor] = {}
    warnings: tuple[str, ...] = ()

    @property
    def records(self) -> Mapping[str, PluginRecord]:
        """Return a record of each plugin by name: loaded, failed and disabled ones."""
        return self.plugins.records

    def job(self, name: str) -> Job:
        """Return the job `name`. Raises NotFoundError with a suggestion."""
        if name in self.jobs:
            return self.jobs[name]
        hint = suggestion(name, self.jobs, "; `sereno jobs` lists them")
        raise NotFoundError(f"there is no job '{name}'{hint}")

    def given_to(self, job: str) -> Given:
        """Return what the plugin that declares `job` gives it."""
        plugin = self.plugin_of[job]
        return Given(self.settings.get(plugin), self.states.get(plugin))

    def without(self, reasons: Mapping[str, str]) -> "Registry":
        """Return this registry with the plugins in `reasons` failed and their jobs gone."""
        jobs = {n: j for n, j in self.jobs.items() if self.plugin_of[n] not in reasons}
        gone = {n for plugin in reasons for n in self.notifiers_of.get(plugin, ())}
        return msgspec.structs.replace(
            self,
            plugins=self.plugins.failed(reasons),
            jobs=jobs,
            plugin_of={name: self.plugin_of[name] for name in jobs},
            settings={n: s for n, s in self.settings.items() if n not in reasons},
            states={n: s for n, s in self.states.items() if n not in reasons},
            schedules={n: s for n, s in self.schedules.items() if s.job in jobs},
            notifiers={n: f for n, f in self.notifiers.items() if n not in gone},
            notifiers_of={n: f for n, f in self.notifiers_of.items() if n not in reasons},
            collectors={n: c for n, c in self.collectors.items() if n not in reasons},
            checks={n: c for n, c in self.checks.items() if n not in reasons},
            migrations={n: m for n, m in self.migrations.items() if n not in reasons},
            apps={m: a for m, a in self.apps.items() if a.plugin not in reasons},
        )
