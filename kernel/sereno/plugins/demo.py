"""Asks every plugin for its part in ``sereno demo``."""

from sereno.model.demo import Demo
from sereno.model.errors import PluginError
from sereno.plugins.blame import describe
from sereno.plugins.loader import Plugins
from sereno.settings import plugin_key


def demos(plugins: Plugins) -> dict[str, Demo]:
    """Return each loaded plugin's part in the demonstration, by the name of its table.

    Raises PluginError when one has no usable answer: a demonstration that lacks a part would
    mislead.
    """
    found = {}
    for name in plugins.loaded:
        try:
            demo = plugins.call(name, "sereno_register_demo")
        except Exception as error:
            reason = describe(error, plugins.records[name].package)
            raise PluginError(f"plugin '{name}': sereno_register_demo: {reason}") from error
        if demo is not None and not isinstance(demo, Demo):
            raise PluginError(f"plugin '{name}': sereno_register_demo returned {demo!r}, no Demo")
        if demo is not None:
            found[plugin_key(name)] = demo
    return found
