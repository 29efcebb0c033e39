"""Starts the process of apps once, for a moment, as `sereno check` does: one that dies at once is
told before a replica starts it again and again."""

import asyncio
from uuid import uuid4

import msgspec

from sereno.apps.keeper import AppsKeeper
from sereno.cli.invocation import Invocation
from sereno.engine.status import Status


def fault_of_apps(invocation: Invocation) -> str | None:
    """Return a sentence where the process of apps ends by itself, None where it serves."""
    settings, registry = invocation.settings, invocation.registry
    trial = msgspec.structs.replace(
        settings,
        apps=msgspec.structs.replace(settings.apps, host="127.0.0.1", port=0),
        log=msgspec.structs.replace(settings.log, level="critical"),  # what it says is said here
    )
    status = Status(node=uuid4(), label="check", version="")
    keeper = AppsKeeper(trial, registry, invocation.database_url, status)
    why = asyncio.run(keeper.tried())
    if why is None:
        return None
    mounts = ", ".join(sorted(registry.apps))
    return (
        f"the process of the apps at {mounts} cannot be kept: {why}; mend the app, or take the "
        "plugin that brings it out (disabled_plugins)"
    )
