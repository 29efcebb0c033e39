"""Imports plugins one by one: whatever one does on the way, the others are loaded.

A plugin is `loaded`, `disabled` by the settings, or `failed`: it raised at import, or its hooks
would not work. pluggy alone would stop at the first that raises, and keep silent on a hook that
lacks its mark or is misspelt.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import pluggy
from msgspec.structs import replace

from sereno import hookspecs
from sereno.model.errors import PluginError
from sereno.model.fault import message
from sereno.model.text import visible_line
from sereno.plugins.blame import MAX_REASON, describe
from sereno.plugins.inspection import check_hooks
from sereno.plugins.modules import named
from sereno.plugins.record import PluginRecord
from sereno.plugins.source import PluginSource, given, installed
from sereno.settings import Settings, plugin_key

_MAX_NAME = 100


class Plugins(msgspec.Struct, frozen=True):
    """What was found: a record of each plugin by name, and the hooks of those that are loaded."""

    records: Mapping[str, PluginRecord]
    manager: pluggy.PluginManager

    @property
    def loaded(self) -> list[str]:
        """Return the names of the loaded plugins, in the order in which they are asked."""
        return [name for name, record in self.records.items() if record.state == "loaded"]

    def implementation(self, plugin: str, hook: str) -> pluggy.HookImpl | None:
        """Return what `plugin` has for `hook`, if anything."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook)
        return next((i for i in caller.get_hookimpls() if i.plugin_name == plugin), None)

    def call(self, plugin: str, hook: str, **arguments: Any) -> Any:
        """Return `plugin`'s answer to `hook`, None when it has no such hook. May raise anything."""
        found = self.implementation(plugin, hook)
        if found is None:
            return None
        return found.function(**{name: arguments[name] for name in asked_for(found)})

    def failed(self, reasons: Mapping[str, str]) -> "Plugins":
        """Return these with those of them that are in `reasons` marked as failed."""
        mine = {name: reason for name, reason in reasons.items() if name in self.records}
        failed = {n: replace(self.records[n], state="failed", reason=r) for n, r in mine.items()}
        return replace(self, records={**self.records, **failed})


def asked_for(hook: pluggy.HookImpl) -> tuple[str, ...]:
    """Return the arguments that `hook` takes; pluggy forgets those that have a default."""
    return (*hook.argnames, *hook.kwargnames)


def load_plugins(
    settings: Settings,
    *,
    extra: Iterable[tuple[str, Any]] = (),
    entry_points: bool = True,
    importing: Callable[[str], None] = lambda _: None,
) -> Plugins:
    """Import and check every installed plugin, the modules that `settings` name, and `extra` ones,
    which are at hand as (name, module).

    `importing`: hears the name of each before it is imported.
    Never raises for a plugin's sake; KeyboardInterrupt alone passes.
    """
    manager = pluggy.PluginManager("sereno")
    manager.add_hookspecs(hookspecs)
    records: dict[str, PluginRecord] = {}
    disabled = {plugin_key(name) for name in settings.disabled_plugins}
    modules = named(settings.modules, settings.place("modules"))
    for source in [*(installed() if entry_points else []), *modules, *given(extra)]:
        record = source.record
        if fault := _misnamed(record):
            shown = replace(
                record, name=visible_line(record.name[:_MAX_NAME]), version="", module=""
            )
            records[shown.name] = replace(shown, state="failed", reason=fault)
        elif record.name in records:
            # Two distributions may claim one name; the first by name of its module keeps it.
            name = f"{record.name} ({record.distribution or record.module})"
            reason = f"the name '{record.name}' is taken by {records[record.name].module}"
            records[name] = replace(record, name=name, state="failed", reason=reason)
        elif plugin_key(record.name) in disabled:
            place = settings.place("disabled_plugins")
            records[record.name] = replace(record, state="disabled", reason=f"disabled by {place}")
        else:
            importing(record.name)
            records[record.name] = _loaded(source, manager)
    return Plugins(records, manager)


def _misnamed(record: PluginRecord) -> str | None:
    """Say why name or version cannot be shown and kept, None when they can."""
    for what, text in (("name", record.name), ("version", record.version)):
        if len(text) > _MAX_NAME or visible_line(text) != text:
            return f"its {what} is {text!r:.200}; it takes {_MAX_NAME} characters that can be seen"
    return None


def _loaded(source: PluginSource, manager: pluggy.PluginManager) -> PluginRecord:
    record = source.record
    try:
        plugin = source.load()
        check_hooks(plugin)
        manager.register(plugin, record.name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if manager.has_plugin(record.name):
            manager.unregister(name=record.name)
        return replace(record, state="failed", reason=_reason(error, record))
    return record


def _reason(error: BaseException, record: PluginRecord) -> str:
    if isinstance(error, PluginError):
        return message(error, MAX_REASON)
    return describe(error, record.package)
