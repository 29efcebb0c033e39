"""Checks what a plugin would show on the metrics page: names that nobody else has, each once."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sereno.model.errors import DeclarationError, PluginError
from sereno.model.family import check_metric, names_of
from sereno.model.metric import Collector

MOST_METRICS = 1_000

Collectors = tuple[Collector, ...]


def checked_collectors(
    answer: Iterable[Any], taken: Mapping[str, str]
) -> tuple[Collectors, frozenset[str]]:
    """Return the collectors of a plugin, and the names that their metrics take; raise PluginError
    with what is wrong with them.

    `taken`: names, and the plugin before it that has each.
    """
    found = tuple(answer)
    names: set[str] = set()
    for collector in found:
        if not isinstance(collector, Collector):
            raise PluginError(f"sereno_register_collectors returned {collector!r}, no Collector")
        metrics = list(islice(collector.metrics, MOST_METRICS + 1))
        if len(metrics) > MOST_METRICS:
            raise PluginError(
                f"a collector has more than {MOST_METRICS} metrics; what differs is a label"
            )
        for metric in metrics:
            try:
                check_metric(metric)
            except DeclarationError as error:
                raise PluginError(str(error)) from error
            for name in names_of(metric):
                if name in names or name in taken:
                    by = f"of plugin '{taken[name]}'" if name in taken else "there twice"
                    raise PluginError(f"the metric '{metric.name}' is {by}; rename it")
            names.update(names_of(metric))
    return found, frozenset(names)
