"""Tells plugins what happened: one after another, bounded in time, none able to hurt the rest.

A hook that raises, hangs, exits or swallows its cancellation is logged with its plugin's name. A
plugin whose lifespan cannot be opened is failed, and its jobs do not run.
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from sereno.plugins.blame import describe
from sereno.plugins.contained import SWALLOWED, ContainedLifespan, contained
from sereno.plugins.inspection import SPECS
from sereno.plugins.loader import asked_for
from sereno.plugins.registry import Registry

log = logging.getLogger(__name__)

_WORD = re.compile(r"(?<!^)(?=[A-Z])")
Lifespan = tuple[str, ContainedLifespan]


def hook_of(event: object) -> str:
    """Return the hook for `event`: that for RunStarted is sereno_on_run_started."""
    name = "sereno_on_" + _WORD.sub("_", type(event).__name__).lower()
    if name not in SPECS:
        raise TypeError(f"no hook hears a {type(event).__name__}")
    return name


class HookDispatcher(msgspec.Struct):
    """Calls the hooks of the plugins in `registry`. `limit`: how long one call may take;
    `swallowed`: seconds that it then has to end."""

    registry: Registry
    limit: timedelta = timedelta(seconds=10)
    lifespan_limit: timedelta = timedelta(seconds=30)
    swallowed: float = SWALLOWED
    _subscribed: dict[type, bool] = {}
    _calling: str | None = None

    @property
    def calling(self) -> str | None:
        """Name the hook that is being awaited, and its plugin."""
        return self._calling

    def subscribed(self, event: object) -> bool:
        """Return whether any plugin has a hook for events of this kind."""
        found = self._subscribed.get(type(event))
        if found is None:
            hook, plugins = hook_of(event), self.registry.plugins
            found = any(plugins.implementation(p, hook) is not None for p in plugins.loaded)
            self._subscribed[type(event)] = found
        return found

    async def emit(self, event: object) -> None:
        """Call the hook for `event` of each plugin that has it; return when none is at work."""
        hook = hook_of(event)
        for plugin in self.registry.plugins.loaded:
            found = self.registry.plugins.implementation(plugin, hook)
            if found is not None:
                given = {"event": event, "state": self.registry.states.get(plugin)}
                call: Any = partial(found.function, **{n: given[n] for n in asked_for(found)})
                limit = self.limit.total_seconds()
                await self._guarded(plugin, hook, contained(call, limit, self.swallowed))

    @asynccontextmanager
    async def lifespans(self, database_url: str = "") -> AsyncIterator[Registry]:
        """Open each plugin's lifespan, and close them in reverse order.

        Gives the registry without the plugins that could not be opened, and with the state of those
        that could, and uses it from then on.
        """
        opened: list[Lifespan] = []
        try:
            reasons = await self._open(opened, database_url)
            left = self.registry.without(reasons)
            states = {plugin: lifespan.state for plugin, lifespan in opened}
            self.registry = msgspec.structs.replace(left, states={**left.states, **states})
            self._subscribed.clear()
            yield self.registry
        finally:
            for plugin, lifespan in reversed(opened):
                closing = lifespan.close(self.lifespan_limit.total_seconds(), self.swallowed)
                await self._guarded(plugin, "sereno_lifespan", closing)

    async def _open(self, opened: list[Lifespan], database_url: str) -> dict[str, str]:
        reasons = {}
        for plugin in self.registry.plugins.loaded:
            reason = await self._enter(plugin, opened, database_url)
            if reason:
                reasons[plugin] = f"sereno_lifespan: {reason}"
        return reasons

    async def _enter(self, plugin: str, opened: list[Lifespan], database_url: str) -> str | None:
        arguments = {"settings": self.registry.settings.get(plugin), "database_url": database_url}
        try:
            given = self.registry.plugins.call(plugin, "sereno_lifespan", **arguments)
            if given is None:
                return None
            given.__aenter__, given.__aexit__  # noqa: B018 - is it a context manager?
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit in a hook is one plugin's fault
            return self._logged(plugin, "sereno_lifespan", error)
        lost = partial(self._logged, plugin, "sereno_lifespan")
        lifespan = ContainedLifespan(given, lost)
        opening = lifespan.open(self.lifespan_limit.total_seconds(), self.swallowed)
        reason = await self._guarded(plugin, "sereno_lifespan", opening)
        if reason is None:
            opened.append((plugin, lifespan))
        return reason

    async def _guarded(
        self, plugin: str, hook: str, call: Awaitable[BaseException | None]
    ) -> str | None:
        """Await `call`, and return what went wrong in it as a sentence, None when nothing did."""
        self._calling = f"{hook} of plugin '{plugin}'"
        try:
            error = await call
        finally:
            self._calling = None
        return None if error is None else self._logged(plugin, hook, error)

    def _logged(self, plugin: str, hook: str, error: BaseException) -> str:
        log.error("hook failed", exc_info=error, extra={"plugin": plugin, "hook": hook})
        return describe(error, self.registry.records[plugin].package)
