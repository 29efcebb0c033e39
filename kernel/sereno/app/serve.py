"""Runs a node until it is told to stop: ``sereno run``."""

import asyncio
import logging
import signal
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from sereno.app.bus import Bus
from sereno.app.kernel import Kernel, new_status
from sereno.embedded import EmbeddedPostgres
from sereno.engine.runlog import RunLogHandler
from sereno.observe.logs import configure_logging
from sereno.plugins import Dispatcher, collect, load_plugins
from sereno.settings import Settings

log = logging.getLogger("sereno.kernel")


async def serve(
    settings: Settings, *, extra: Iterable[tuple[str, Any]] = (), entry_points: bool = True
) -> int:
    """Run a node; return the exit code once SIGTERM or SIGINT has come and all is drained.

    `extra`: plugins at hand, as (name, module). Raises ConfigurationError, PluginError.
    """
    status = new_status(settings, uuid4())
    configure_logging(settings.log, status=status)
    logging.getLogger().addHandler(RunLogHandler())
    registry = collect(load_plugins(settings, extra=extra, entry_points=entry_points), settings)
    for warning in registry.warnings:
        log.warning("configuration", extra={"warning": warning})
    dispatcher = Dispatcher(registry)
    bus = Bus(dispatcher)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    embedded: EmbeddedPostgres | None = None
    dsn = settings.database_url
    if dsn == "embedded":
        embedded = EmbeddedPostgres(settings.data_dir)
        await asyncio.to_thread(embedded.__enter__)
        dsn = embedded.dsn
    try:
        async with dispatcher.lifespans() as opened:
            kernel = Kernel(settings, opened, dsn, status, bus)
            try:
                await kernel.join(None)
                await kernel.work(lambda: log.info("ready"), stop)
            finally:
                await kernel.close()
    finally:
        if embedded is not None:
            await asyncio.to_thread(embedded.__exit__, None, None, None)
    return 0
