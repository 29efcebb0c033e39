"""Tells whether anybody can come in, for ``sereno check``: closed is the default."""

from sereno import Client, Finding, SchemaError
from sereno_console.security.origin import is_loopback
from sereno_console.settings import Settings
from sereno_console.tables import accounts


async def findings(settings: Settings, client: Client, host: str) -> list[Finding]:
    """Return a fault where apps are served beyond this machine and nobody can come in."""
    if settings.proxy.user_header or (is_loopback(host) and settings.local != "none"):
        return []
    try:
        found = await accounts.anybody(client)
    except SchemaError:
        sentence = (
            "the console's tables are not there yet: a replica makes them, or `sereno migrate`"
        )
        return [Finding(sentence, fault=not is_loopback(host))]
    if found.accounts or found.tokens:
        return []
    return [
        Finding(
            f"apps are served on {host}, and the console is closed there: nobody can come in. "
            "`sereno console user add NAME --scope admin` adds somebody; or set "
            "plugins.console.proxy, or apps.host to 127.0.0.1",
            fault=True,
        )
    ]
