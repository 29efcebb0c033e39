"""What the kernel finds: settings, notifiers and the hooks that ping."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sereno import Notifier, RunFinished, RunStarted, hookimpl
from sereno_notify.mail import EmailNotifier
from sereno_notify.pinger import Pinger
from sereno_notify.settings import Settings
from sereno_notify.webhook import WebhookNotifier


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
async def sereno_lifespan(settings: Settings) -> AsyncIterator[Pinger]:
    """Send pings while the node runs."""
    pinger = Pinger(settings.pings)
    async with pinger.at_work():
        yield pinger


@hookimpl
async def sereno_on_run_started(event: RunStarted, state: Pinger) -> None:
    """Ping that a run begins."""
    state.started(event)


@hookimpl
async def sereno_on_run_finished(event: RunFinished, state: Pinger) -> None:
    """Ping how a run ended."""
    state.finished(event)
