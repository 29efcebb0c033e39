"""What the kernel finds: settings, tables, notifiers, and the hooks that tell and ping."""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager

from sereno import (
    Check,
    ConfigurationError,
    LeaderChanged,
    Migrations,
    Notifier,
    RunFinished,
    RunStalled,
    RunStarted,
    SlotSettled,
    hookimpl,
)
from sereno_notify.mail import EmailNotifier
from sereno_notify.routes import unknown_notifiers
from sereno_notify.service import Service
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
def sereno_register_migrations() -> Migrations:
    """Name the schema of what is to be told, and of the record of what was."""
    return Migrations(schema="sereno_notify", package="sereno_notify")


@hookimpl
def sereno_register_checks(settings: Settings, notifiers: Collection[str]) -> Iterable[Check]:
    """Return no check; raise ConfigurationError where a route leads to nobody."""
    if unknown := [*unknown_notifiers(settings.routes, notifiers)]:
        raise ConfigurationError("\n".join(unknown))
    return []


@hookimpl
@asynccontextmanager
async def sereno_lifespan(settings: Settings) -> AsyncIterator[Service]:
    """Send pings while the node runs, and give the kernel what carries messages."""
    state = Service(settings)
    async with state.pinger.at_work():
        yield state


@hookimpl
async def sereno_on_run_started(event: RunStarted, state: Service) -> None:
    """Ping that a run begins."""
    state.pinger.started(event)


@hookimpl
async def sereno_on_run_finished(event: RunFinished, state: Service) -> None:
    """Ping how a run ended, and tell where it failed."""
    state.pinger.finished(event)
    state.take(event)


@hookimpl
async def sereno_on_run_stalled(event: RunStalled, state: Service) -> None:
    """Tell of a run that says nothing any more."""
    state.take(event)


@hookimpl
async def sereno_on_slot_settled(event: SlotSettled, state: Service) -> None:
    """Tell of missed slots."""
    state.take(event)


@hookimpl
async def sereno_on_leader_changed(event: LeaderChanged, state: Service) -> None:
    """Tell who leads."""
    state.take(event)
