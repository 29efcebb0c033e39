"""The CRM's cache: what it needs of Redis' protocol, on one connection that is made anew."""

import asyncio
from contextlib import suppress

LIMIT = 3.0
"""Seconds that an answer may take."""


class CacheError(Exception):
    """The cache is away, or refuses."""


class Cache:
    """A Redis at `host`. Belongs to the event loop that uses it first."""

    def __init__(self, host: str, port: int, password: str = "") -> None:
        self.host, self.port, self._password = host, port, password
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ping(self) -> None:
        """Raise CacheError unless it answers."""
        await self._ask("PING")

    async def set(self, key: str, value: str, seconds: int) -> None:
        """Keep `value` for so long."""
        await self._ask("SET", key, value, "EX", str(seconds))

    async def get(self, key: str) -> str | None:
        """Return what is kept, None when nothing is."""
        return await self._ask("GET", key)

    async def close(self) -> None:
        """Drop the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _ask(self, *words: str) -> str | None:
        async with self._turn:
            try:
                async with asyncio.timeout(LIMIT):
                    if self._streams is None:
                        self._streams = await asyncio.open_connection(self.host, self.port)
                        if self._password:
                            await self._exchange("AUTH", self._password)
                    return await self._exchange(*words)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                await self.close()
                why = str(error) or type(error).__name__
                raise CacheError(f"the cache at {self.host}:{self.port}: {why}") from error

    async def _exchange(self, *words: str) -> str | None:
        if self._streams is None:
            raise OSError("not connected")
        reader, writer = self._streams
        encoded = [word.encode() for word in words]
        writer.write(b"*%d\r\n" % len(encoded))
        writer.writelines(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n"))[:-2]
        if head.startswith(b"-"):
            raise CacheError(f"the cache at {self.host}:{self.port} says {head[1:].decode()}")
        if not head.startswith(b"$"):
            return head[1:].decode()
        size = int(head[1:])
        return None if size < 0 else (await reader.readexactly(size + 2))[:-2].decode()
