"""Serves all apps of a registry until this process is told to stop: ``sereno apps``, and the
process that a node starts. It never stands for the lead, and runs no job."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from typing import Any

from sereno.apps.directory import EXTENSION, AppDirectory
from sereno.apps.extra import missing
from sereno.apps.mounted import Mounted
from sereno.apps.port import listen
from sereno.client import Client
from sereno.client.declarations import Declarations
from sereno.client.verbs import places_of
from sereno.engine import garbage
from sereno.engine.backoff import Backoff
from sereno.model.errors import ConfigurationError, StoreError
from sereno.model.lazy import lazy
from sereno.plugins import Registry
from sereno.settings import AppsSettings, Settings, redact
from sereno.store.migrator import check
from sereno.store.pool import Database

log = logging.getLogger("sereno.apps")

CONNECTIONS = 8
_MOST_REQUESTS = 512
"""Requests at once; what comes beside them gets 503 at once."""

_GOODBYE = 5


async def serve_apps(
    settings: Settings, registry: Registry, dsn: str, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve the apps until SIGTERM or SIGINT. `ready`: hears the address once they answer.

    Raises ConfigurationError, a sentence, when there is nothing to serve, or no port or certificate
    to serve it on.
    """
    chosen = settings.apps
    if not registry.apps:
        raise ConfigurationError(
            "there is no app to serve: no plugin that is loaded brings one "
            "(sereno_register_apps); `sereno plugins` lists them"
        )
    server = _server(chosen)
    listener = listen(chosen.host, chosen.port)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        db = Database(dsn, size=CONNECTIONS, application="sereno apps")
        stack.push_async_callback(db.close)
        await _opened(db)
        client = Client(db, Declarations(registry.jobs), places=places_of(settings))
        within = chosen.answer_within.total_seconds()
        apps = [Mounted(app, within) for app in registry.apps.values()]
        for app in apps:
            stack.push_async_callback(app.close)
            await app.start(client)
        names = (chosen.host, *chosen.hosts)
        directory = AppDirectory(apps, chosen.path_prefix, names, plugin_facts(registry))
        server.config.loaded_app = _with_proxies(directory, chosen)
        url = _url(chosen, listener)
        _on_start(server, lambda: _announce(url, apps, ready))
        _on_signals(server)
        await server.serve(sockets=[listener])
    log.info("the apps are no longer served")


def plugin_facts(registry: Registry) -> list[dict[str, Any]]:
    """Return what this process has loaded of each plugin, or why it has not."""
    of: dict[str, list[str]] = {}
    for mount, app in registry.apps.items():
        of.setdefault(app.plugin, []).append(mount)
    return [
        {
            "name": record.name,
            "version": record.version,
            "state": record.state,
            "package": record.distribution,
            "reason": redact(record.reason),
            "apps": sorted(of.get(record.name, ())),
        }
        for record in registry.records.values()
    ]


def _announce(url: str, apps: list[Mounted], ready: Callable[[str], None]) -> None:
    served = sorted(app.mount for app in apps if app.fault is None)
    garbage.spare()
    log.info("apps are served", extra={"at": url, "apps": served})
    ready(url)


def _on_start(server: Any, call: Callable[[], None]) -> None:
    """Have `call` called once `server` answers: uvicorn itself tells it to its log alone."""
    begin = server.startup

    async def startup(**options: Any) -> None:
        await begin(**options)
        call()

    server.startup = startup


def _on_signals(server: Any) -> None:
    """Have `server` end at a signal, and its apps then: uvicorn would raise it again."""

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    server.capture_signals = nullcontext
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _opened(db: Database) -> None:
    """Wait for the database; raises SchemaError when it does not fit."""
    waits = Backoff(0.5, 10.0)
    while True:
        try:
            await db.open()
            await check(db)
            return
        except StoreError as error:
            log.warning("the apps wait for the database", extra={"why": redact(str(error))})
            await asyncio.sleep(waits.wait())


def _server(chosen: AppsSettings) -> Any:
    """Return uvicorn's server, with its TLS read; raises ConfigurationError."""
    if sentence := missing():
        raise ConfigurationError(sentence)
    uvicorn = lazy("uvicorn")
    config = uvicorn.Config(
        _not_yet,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_GOODBYE,
        ssl_certfile=chosen.tls_certificate,
        ssl_keyfile=chosen.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError among them
        raise ConfigurationError(
            f"apps.tls_certificate '{chosen.tls_certificate}' and apps.tls_key "
            f"'{chosen.tls_key}' cannot be used: {error}; both are PEM files that this user can "
            "read, and belong together"
        ) from error
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return uvicorn.Server(config)


async def _not_yet(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("the apps are not there yet")


def _with_proxies(app: Any, chosen: AppsSettings) -> Any:
    """Have `app` see who asks and by which scheme, as proxies that are trusted say, and beside that
    in the extension ``sereno.apps`` who is connected (`peer`) and where this listens (`host`)."""
    trusting = app
    if chosen.trusted_proxies:
        headers = lazy("uvicorn.middleware.proxy_headers")
        trusted = "*" if "*" in chosen.trusted_proxies else list(chosen.trusted_proxies)
        trusting = headers.ProxyHeadersMiddleware(app, trusted)

    async def informed(scope: Any, receive: Any, send: Any) -> None:
        peer = (scope.get("client") or ("", 0))[0]
        known = {EXTENSION: {"peer": peer, "host": chosen.host}}
        await trusting(
            {**scope, "extensions": {**scope.get("extensions", {}), **known}}, receive, send
        )

    return informed


def _url(chosen: AppsSettings, listener: socket.socket) -> str:
    """Return the address that a person on this machine may open."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
    host = own.get(chosen.host, chosen.host)
    scheme = "https" if chosen.tls_certificate else "http"
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{listener.getsockname()[1]}{chosen.path_prefix}/"
