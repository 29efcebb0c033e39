"""Asks plugins' apps whether they may be served where they are to be: for ``sereno check``."""

import asyncio

from sereno.cli.invocation import Invocation
from sereno.cli.query import ask
from sereno.client import Client
from sereno.model import fault
from sereno.model.check import Finding
from sereno.plugins import CheckAnswer, DeclaredApp

_WITHIN = 5.0


def ask_apps(invocation: Invocation) -> list[CheckAnswer]:
    """Return what the apps that have something to say find; the database must be there."""
    settings = invocation.settings.apps
    asked = [app for app in invocation.registry.apps.values() if app.app.check is not None]
    if not settings.enabled or not asked:
        return []

    async def question(client: Client) -> list[CheckAnswer]:
        return [await _answer(declared, client, settings.host) for declared in asked]

    return ask(invocation, question)


async def _answer(declared: DeclaredApp, client: Client, host: str) -> CheckAnswer:
    name = f"app {declared.mount}"
    try:
        async with asyncio.timeout(_WITHIN):
            found = await declared.app.check(client, host) if declared.app.check else ()
            findings = tuple(Finding(str(each.sentence), fault=bool(each.fault)) for each in found)
    except Exception as error:  # a check at fault is told by name
        return CheckAnswer(declared.plugin, name, failure=fault.sentence(error))
    return CheckAnswer(declared.plugin, name, findings)
