"""``sereno run``: one node with the plugins that are installed."""

import logging
from collections.abc import Iterable
from typing import Any

from sereno.app.host import configured_process, host
from sereno.observe.run_logger import RunLogger
from sereno.plugins import collect, load_plugins
from sereno.settings import Settings


async def serve(
    settings: Settings,
    *,
    extra: Iterable[tuple[str, Any]] = (),
    entry_points: bool = True,
    ends_process: bool = True,
) -> int:
    """Run a node until it is told to stop; return the exit code.

    `extra`: plugins at hand, as (name, module). `ends_process`: nothing else comes after it in this
    process, which ends soon whatever is left. Raises ConfigurationError, PluginError.
    """
    status, watch = configured_process(settings, everybody=True)
    plugins = load_plugins(
        settings, extra=extra, entry_points=entry_points, importing=watch.importing
    )
    registry = collect(plugins, settings)
    return await host(
        settings,
        registry,
        status,
        watch,
        RunLogger(logging.getLevelNamesMapping()[settings.log.success_level.upper()]),
        ends_process=ends_process,
    )
