"""Checks what a plugin would show on the metrics page: names that nobody else has, each once."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sereno.model.errors import PluginError
from sereno.model.metric import Collector

_NAME = re.compile(r"(?!sereno_|process_)[a-z][a-z0-9_]*")

Collectors = tuple[Collector, ...]


def checked_collectors(answer: Iterable[Any], others: Mapping[str, Collectors]) -> Collectors:
    """Return the collectors of a plugin; raise PluginError with what is wrong with them.

    `others`: those of the plugins before it.
    """
    found = tuple(answer)
    names = {m.name: plugin for plugin, of in others.items() for one in of for m in one.metrics}
    for collector in found:
        if not isinstance(collector, Collector):
            raise PluginError(f"sereno_register_collectors returned {collector!r}, no Collector")
        for metric in collector.metrics:
            name = metric.name
            if not _NAME.fullmatch(name):
                raise PluginError(
                    f"the metric '{name}' needs a name of lower-case letters, digits and '_'; "
                    "sereno_ and process_ are the kernel's"
                )
            if name.endswith("_total") != (metric.kind == "counter"):
                raise PluginError(
                    f"the metric '{name}' is a {metric.kind}; a counter's name, and no other, "
                    "ends in _total"
                )
            if name in names:
                by = f"of plugin '{names[name]}'" if names[name] else "there twice"
                raise PluginError(f"the metric '{name}' is {by}; rename it")
            names[name] = ""
    return found
