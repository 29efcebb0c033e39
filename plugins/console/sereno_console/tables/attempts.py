"""Log-ins that were tried: counted for all replicas together, those under way among them."""

from datetime import timedelta

from sereno import Client
from sereno_console.tables.statement import done, rows


async def tried(client: Client, about: list[str], within: timedelta) -> dict[str, int]:
    """Count one more try by or from each of `about`; return how many there were of late."""
    await done(client, "log_in_tried", about)
    found = await rows(client, "log_in_counted", about, within)
    return {each["about"]: each["times"] for each in found}


async def succeeded(client: Client, about: str) -> None:
    """Forget the tries of who got in."""
    await done(client, "log_in_succeeded", about)
