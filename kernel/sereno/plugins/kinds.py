"""Teaches the reader of triggers the kinds that plugins bring."""

from sereno.plugins.loader import Plugins
from sereno.triggers import register_kind


def learn_kinds(plugins: Plugins, name: str) -> None:
    """Register the kinds of trigger of the plugin `name`; raises whatever its hook raises."""
    kinds = plugins.call(name, "sereno_register_trigger_kinds") or {}
    for kind, parser in dict(kinds).items():
        register_kind(kind, parser)


def learn_all_kinds(plugins: Plugins) -> None:
    """Register the kinds of every plugin, but for those of one that fails: `collect` tells why."""
    for name in plugins.loaded:
        try:
            learn_kinds(plugins, name)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: S112 - SystemExit in a hook is one plugin's fault
            continue
