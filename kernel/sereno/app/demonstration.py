"""``sereno demo``: a node with quick schedules, on the embedded database, and what makes work for
it."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec

from sereno.app.host import configured_process, host
from sereno.app.life import ReadyNode, database
from sereno.model.demo import Demo
from sereno.observe.run_logger import RunLogger
from sereno.plugins import collect, demos, load_plugins
from sereno.settings import EMBEDDED, EMBEDDED_DEMO, Settings
from sereno.store.demo import VERSION_SUFFIX, refuse_real_cluster

NEXT_PORTS = 20
"""Several demonstrations may run on one machine: each takes the next free port."""

LEASE = timedelta(seconds=3)


async def demonstrate(
    settings: Settings, *, show: Callable[[ReadyNode], None], anywhere: bool = False
) -> int:
    """Run a node whose plugins do what their demonstration asks for; return the exit code.

    `show` is called once it stands, to say what there is to see. `anywhere`: also in a database
    that replicas lead which are no demonstration; else raises ConfigurationError there.
    """
    if settings.database_url not in (EMBEDDED, EMBEDDED_DEMO) and not anywhere:
        await refuse_real_cluster(settings.database_url)
    status, watch = configured_process(settings, everybody=False)
    status.version += VERSION_SUFFIX
    plugins = load_plugins(settings, importing=watch.importing)
    parts = demos(plugins)
    if settings.database_url == EMBEDDED:  # what else there is on this machine is not for show
        settings = msgspec.structs.replace(settings, database_url=EMBEDDED_DEMO)
    async with database(settings) as dsn:
        chosen = msgspec.structs.replace(
            settings,
            database_url=dsn,
            plugins=_under(settings.plugins, parts, dsn),
            lease=min(settings.lease, LEASE),
        )

        @asynccontextmanager
        async def beside(standing: ReadyNode) -> AsyncIterator[None]:
            async with AsyncExitStack() as stack:
                for part in parts.values():
                    if part.background is not None:
                        await stack.enter_async_context(part.background(standing.dsn))
                show(standing)
                yield

        return await host(
            chosen,
            collect(plugins, chosen),
            status,
            watch,
            RunLogger(logging.INFO),
            next_ports=NEXT_PORTS,
            beside=beside,
        )


def _under(
    given: Mapping[str, Mapping[str, Any]], parts: Mapping[str, Demo], dsn: str
) -> dict[str, dict[str, Any]]:
    """Return each plugin's table with its demonstration's settings under it."""
    tables = {name: dict(table) for name, table in given.items()}
    for name, part in parts.items():
        filled = {
            key: value.replace("{database_url}", dsn) if isinstance(value, str) else value
            for key, value in part.settings.items()
        }
        tables[name] = {**filled, **tables.get(name, {})}
    return tables
