"""What the kernel finds: settings, notifiers and the hooks that ping."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sereno import Notifier, RunFinished, RunStarted, hookimpl
from sereno_notify.mail import EmailNotifier
from sereno_notify.pinger import Pinger
from sereno_notify.settings import Settings
from sereno_notify.webhook import WebhookNotifier

_pingers: list[Pinger] = []
"""Those at work: one for each node in this process, which is one."""


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.notify]`` must fit."""
    return Settings


@hookimpl
def sereno_register_notifiers(settings: Settings) -> Iterable[Notifier]:
    """Return a notifier for each webhook and each mail that is set."""
    return [
        *(WebhookNotifier(name, chosen) for name, chosen in settings.webhooks.items()),
        *(EmailNotifier(name, chosen) for name, chosen in settings.emails.items()),
    ]


@hookimpl
@asynccontextmanager
async def sereno_lifespan(settings: Settings) -> AsyncIterator[None]:
    """Send pings while the node runs."""
    pinger = Pinger(settings.pings)
    async with pinger.at_work():
        _pingers.append(pinger)
        try:
            yield
        finally:
            _pingers.remove(pinger)


@hookimpl
async def sereno_on_run_started(event: RunStarted) -> None:
    """Ping that a run begins."""
    for pinger in _pingers:
        pinger.started(event)


@hookimpl
async def sereno_on_run_finished(event: RunFinished) -> None:
    """Ping how a run ended."""
    for pinger in _pingers:
        pinger.finished(event)
