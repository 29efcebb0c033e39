"""A request, as a page reads it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from sereno.http.answer import Answer, RefusedError

_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


class Request(msgspec.Struct, kw_only=True, eq=False):
    """A request whose head has arrived.

    `path`: decoded, without the query. `headers`: names in lower case. `peer`: the address at the
    other end, empty when it is not known. `next_part`: gives the body's next bytes, empty at its
    end; raises RefusedError. `found`: what the path says where its route has a name in braces.
    """

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]
    peer: str
    next_part: Callable[[], Awaitable[bytes]]
    found: Mapping[str, str] = {}

    def header(self, name: str) -> str:
        """Return the header `name` (in lower case), its lines joined by commas; empty if none."""
        wanted = name.encode()
        return ", ".join(value.decode("latin-1") for key, value in self.headers if key == wanted)

    @property
    def caller(self) -> str:
        """Return the address that asks: a proxy on this machine says for whom it does."""
        if self.peer not in _LOOPBACK:
            return self.peer
        return self.header("x-forwarded-for").rpartition(",")[2].strip() or self.peer

    async def body(self, most: int) -> bytes:
        """Read the body, of at most `most` bytes. Raises RefusedError."""
        too_long = RefusedError(413, f"the body is longer than {most:,} bytes")
        if int(self.header("content-length") or 0) > most:
            raise too_long  # before the client is told to go on and send it
        found = bytearray()
        while part := await self.next_part():
            found += part
            if len(found) > most:
                raise too_long
        return bytes(found)


Page = Callable[[Request], Awaitable[Answer]]
