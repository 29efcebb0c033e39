"""What the kernel finds: settings, tables, commands, and the two apps."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from sereno import App, Finding, Migrations, hookimpl, lazy
from sereno_console.settings import Settings


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.console]`` must fit."""
    return Settings


@hookimpl
def sereno_register_migrations() -> Migrations:
    """Return the tables of users, tokens, sessions, and of what they did."""
    return Migrations(schema="sereno_console", package="sereno_console")


@hookimpl
def sereno_register_commands() -> list[Any]:
    """Add ``sereno console``."""
    return [lazy("sereno_console.commands").console]  # loaded by the command line alone


@hookimpl
def sereno_register_apps(settings: Settings) -> Mapping[str, App]:
    """Return the console, with its API, and the API by the address that programs know."""
    if not settings.enabled:
        return {}
    return {
        "/console": App(
            "Console", partial(_made, settings, False), partial(_found, settings), doorkeeper=True
        ),
        "/api/v1": App("API", partial(_made, settings, True)),
    }


async def _found(settings: Settings, client: Any, host: str) -> list[Finding]:
    """Return what is in the way of who would use the console, where it is served on `host`."""
    found: list[Finding] = await lazy("sereno_console.security.closed").findings(
        settings, client, host
    )
    return found


def _made(settings: Settings, api_only: bool, client: Any) -> Any:
    """Make one of the apps, in the process that serves them: only there is the framework loaded."""
    return lazy("sereno_console.site.served").served(client, settings, api_only=api_only)
