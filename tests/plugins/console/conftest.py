"""The console over real HTTP: as a replica's process of apps serves it, in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn

import sereno_console.plugin
from sereno.app.plugin_tables import tables_made
from sereno.apps.directory import AppDirectory
from sereno.apps.mounted import Mounted
from sereno.apps.service import _with_proxies, plugin_facts
from sereno.client import Client
from sereno.client.declarations import Declarations
from sereno.plugins import collect, load_plugins
from sereno.settings import AppsSettings, Settings
from sereno.store.pool import Database

from ...integration.node import plugin

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def answering(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port; gives its address, without a slash."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_config=None, access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    ticking = asyncio.create_task(server.main_loop())
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        await ticking
        await server.shutdown()


@asynccontextmanager
async def serving(
    database: str,
    *jobs: Any,
    console: dict[str, Any] | None = None,
    apps: dict[str, Any] | None = None,
    beside: Sequence[tuple[str, Any]] = (),
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the console: `jobs` are declared beside it, `console` are its settings, `apps` those of
    the process, `beside` other plugins. Gives a client of it, which asks below its root."""
    chosen = AppsSettings(**(apps or {}))
    settings = Settings(database_url=database, apps=chosen, plugins={"console": console or {}})
    extra = [("console", sereno_console.plugin), ("t", plugin(*jobs)), *beside]
    registry = collect(load_plugins(settings, extra=extra, entry_points=False), settings)
    assert [r.reason for r in registry.records.values() if r.state == "failed"] == []
    db = Database(database, application="sereno apps")
    await db.open()
    registry = await tables_made(db, registry)
    client = Client(db, Declarations(registry.jobs))
    mounted = [Mounted(app, 20.0) for app in registry.apps.values()]
    for app in mounted:
        await app.start(client)
        assert app.fault is None, app.fault
    names = (chosen.host, *chosen.hosts)
    directory = AppDirectory(mounted, chosen.path_prefix, names, plugin_facts(registry))
    try:
        async with (
            answering(_with_proxies(directory, chosen)) as url,
            httpx.AsyncClient(base_url=url, timeout=20) as asking,
        ):
            yield asking
    finally:
        for app in mounted:
            await app.close()
        await db.close()


@pytest.fixture
def serve(database: str) -> Serve:
    """Return what serves the console of the test's database."""
    return partial(serving, database)
