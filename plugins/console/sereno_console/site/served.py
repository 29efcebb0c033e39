"""Makes the console that a replica's process of apps serves, with the console's own users."""

from sereno import Client
from sereno_console.security.gate import Gate
from sereno_console.settings import Settings
from sereno_console.site.console import Console
from sereno_console.site.headers import Headers


class GivenClient:
    """A client that is there already, and somebody else's to close."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self) -> Client:
        """Return it."""
        return self._client

    async def close(self) -> None:
        """Leave it open."""


def served(client: Client, settings: Settings, *, api_only: bool) -> Console:
    """Return the console, or its API alone, over `client`."""
    headers = Headers(settings.frame_ancestors)
    clients, gate = GivenClient(client), Gate(settings)
    return Console(clients, gate, headers, api_only=api_only, links=settings.links)
