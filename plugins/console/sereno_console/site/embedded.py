"""Makes the console for an application that mounts it, with that one's users or the console's."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from sereno import Client, Sereno, StoreUnavailableError
from sereno_console.security.gate import Gate
from sereno_console.security.resolver import Resolver
from sereno_console.settings import Settings
from sereno_console.site.console import ClientSource, Console, Host
from sereno_console.site.headers import Headers
from sereno_console.site.served import GivenClient


class OpenedClient:
    """A client that the first request opens: one that finds no database leaves it to the next."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._client: Client | None = None

    async def get(self) -> Client:
        """Return it."""
        async with self._opening:
            if self._client is None:
                self._client = await self._stack.enter_async_context(Client.open(self._url))
        return self._client

    async def close(self) -> None:
        """Close it; another request would open it again."""
        async with self._opening:
            self._client = None
            await self._stack.aclose()


class NodeClient:
    """The client of a node in the same process, for the loop that asks; the node closes it."""

    def __init__(self, node: Sereno) -> None:
        self._node = node

    async def get(self) -> Client:
        """Return it; raises StoreUnavailableError while the node is not started, or not yet up."""
        try:
            return self._node.client
        except RuntimeError as error:
            raise StoreUnavailableError(str(error)) from None

    async def close(self) -> None:
        """Leave it open."""


def embedded(
    database: Client | Sereno | str | None,
    *,
    resolver: Resolver | None,
    settings: Settings | None,
    host: Mapping[str, str],
) -> Console:
    """Return the console over a client, a node, or the database at a URL.

    `host`: the fields of a `Host`.
    """
    chosen = settings or Settings(local="none")
    clients: ClientSource
    if isinstance(database, Client):
        clients = GivenClient(database)
    elif isinstance(database, Sereno):
        clients = NodeClient(database)
    else:
        clients = OpenedClient(database)
    gate, headers = Gate(chosen, resolver), Headers(chosen.frame_ancestors)
    return Console(clients, gate, headers, links=chosen.links, host=Host(**host))
