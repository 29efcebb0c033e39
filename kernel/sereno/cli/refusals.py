"""What the database did not take of the plugins that are installed here."""

from collections.abc import Mapping

from sereno.model.lazy import lazy
from sereno.plugins import Registry
from sereno.settings import redact
from sereno.store.catalogue import mark_of
from sereno.store.refusals import Refusal


def refused_here(registry: Registry, found: Mapping[str, Refusal]) -> dict[str, str]:
    """Return why, by plugin, of those that declare here what was not taken; what another version
    of a plugin declared says nothing of this one."""
    if not found:
        return {}
    declarations = lazy("sereno.app.declarations")  # all that a node is made of comes with it
    jobs = declarations.declared_jobs(registry)
    schedules = declarations.DeclaredSchedules(registry)
    return {
        plugin: redact(refusal.sentence)
        for plugin, refusal in found.items()
        if plugin in registry.records and refusal.mark == mark_of(plugin, jobs, schedules)
    }
