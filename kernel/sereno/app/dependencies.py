"""Asks, as long as a node works, whether what plugins depend on is there: a cache, an API, a mail
server.

One that gives no answer is away, and is asked again once it has given one: a check that hangs costs
one thread, however long.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sereno.engine.status import Dependency, Status
from sereno.model.check import Check, Finding
from sereno.model.duration import parse_duration
from sereno.model.text import shortened, visible
from sereno.plugins import CHECK_LIMIT, Registry, asked_once

log = logging.getLogger("sereno.dependencies")

_MAX_WHY = 500


@asynccontextmanager
async def asking(
    registry: Registry, status: Status, now: Callable[[], datetime], limit: float = CHECK_LIMIT
) -> AsyncIterator[None]:
    """Keep asking for all dependencies of `registry`'s plugins; `status` tells how they are.

    `limit`: seconds that an answer may take.
    """
    tasks = [
        asyncio.ensure_future(_Asker(plugin, check, registry, status, now).work(limit))
        for plugin, checks in registry.checks.items()
        for check in checks
        if check.every is not None
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        status.dependencies.clear()


class _Asker:
    """Who asks for one dependency."""

    def __init__(
        self,
        plugin: str,
        check: Check,
        registry: Registry,
        status: Status,
        now: Callable[[], datetime],
    ) -> None:
        self._plugin = plugin
        self._check = check
        self._package = registry.records[plugin].package
        self._status = status
        self._now = now

    async def work(self, limit: float) -> None:
        """Ask for ever."""
        every = parse_duration(self._check.every or 0).total_seconds()
        while True:
            answer = asyncio.wrap_future(asked_once(self._check, self._package))
            done, _ = await asyncio.wait({answer}, timeout=limit)
            if not done:
                self._found(f"it gave no answer within {limit:g} s")
            self._found(_why(await answer))
            await asyncio.sleep(every)

    def _found(self, why: str | None) -> None:
        plugin, name = self._plugin, self._check.name
        before = self._status.dependencies.get((plugin, name))
        up = why is None
        changed = before is None or before.up != up
        since = self._now() if before is None or changed else before.since
        self._status.dependencies[plugin, name] = Dependency(
            plugin=plugin, name=name, up=up, why=why, since=since
        )
        facts = {"plugin": plugin, "dependency": name}
        if changed and not up:
            log.warning("a dependency is away", extra={**facts, "why": why})
        elif changed and before is not None:
            log.info("a dependency is there again", extra=facts)


def _why(answer: tuple[Finding, ...] | str) -> str | None:
    """Return what is the matter, None where nothing was found."""
    if isinstance(answer, str):
        return visible(shortened(answer, _MAX_WHY))
    said = "; ".join(finding.sentence for finding in answer)
    return visible(shortened(said, _MAX_WHY)) if answer else None
