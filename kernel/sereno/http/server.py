"""Listens, and serves an app inside the kernel's own loop."""

import asyncio
import errno
import socket
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from sereno.http.connection import CHUNK, Connection, PageLimits
from sereno.http.request import Page
from sereno.http.room import Room, most
from sereno.model.errors import ConfigurationError
from sereno.store.own_sockets import unshare

_GOODBYE = 2
"""Seconds that open requests get when the server closes."""

_BUSY = b'{"error": "this replica answers as many requests as it can, ask again soon"}\n'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%b" % (len(_BUSY), _BUSY)
)
"""What one more gets while there is no room for it, without a word read of what it asks."""

_REASONS = {
    errno.EADDRINUSE: "another program listens there; stop it, or set another port "
    "(SERENO_HTTP__PORT, 0 takes a free one)",
    errno.EACCES: "this user may not listen there; set a port from 1024 up (SERENO_HTTP__PORT)",
    errno.EADDRNOTAVAIL: "this machine has no such address; set http.host to one that it has "
    "(SERENO_HTTP__HOST), or to 0.0.0.0 for all",
}


class HttpServer:
    """Serves `app` on `host` and `port` from ``async with`` to its end.

    Port 0 takes a free one; `next_ports`: how many ports after `port` are tried while they are
    taken; `limits`: of a connection; `places`: how many connections there may be, by default as
    many as this process may well have. Raises ConfigurationError when it cannot listen.
    """

    def __init__(
        self,
        app: Page,
        host: str,
        port: int,
        *,
        next_ports: int = 0,
        limits: PageLimits = PageLimits(),  # noqa: B008
        places: int | None = None,
    ) -> None:
        self._app = app
        self._host = host
        self._ports = range(port, min(port + (next_ports if port else 0), 65535) + 1)
        self._limits = limits
        self._room = Room(most() if places is None else places)
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], Connection] = {}
        self.port = port

    @property
    def url(self) -> str:
        """Return the address that a person on this machine may open."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self._host, self._host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen, and return once requests are answered."""
        listener = await self._listen()
        self.port = listener.getsockname()[1]
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=CHUNK)
        return self

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self._app, reader, writer, self._limits)
        if not self._room.make(self._open.values()):
            writer.write(_FULL)
            writer.close()
            return
        task = asyncio.ensure_future(connection.serve())
        self._open[task] = connection
        task.add_done_callback(self._open.pop)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening, and let open requests end, for a short while."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._open.values():
            connection.leave()
        if self._open:
            await asyncio.wait({*self._open}, timeout=_GOODBYE)
        for task in self._open:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._server.wait_closed()

    async def _listen(self) -> socket.socket:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self._host or None, self._ports[0], type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        except OSError as error:
            raise ConfigurationError(
                f"http.host '{self._host}' is no address: {error.strerror or error}; set it to an "
                "address of this machine, as 127.0.0.1 (SERENO_HTTP__HOST)"
            ) from error
        for port in self._ports:
            for family, _, _, _, address in found:
                try:
                    return bound(family, (address[0], port, *address[2:]))
                except OSError as error:
                    problem = error
            if problem.errno != errno.EADDRINUSE:
                break
        raise ConfigurationError(self._sentence(problem)) from problem

    def _sentence(self, error: OSError) -> str:
        reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}")
        first, last = self._ports[0], self._ports[-1]
        ports = f"port {first}" if first == last else f"ports {first} to {last}"
        return f"the pages cannot be served on {self._host or '*'} {ports}: {reason}"


def bound(family: int, address: Any) -> socket.socket:
    """Return a socket that listens on `address`, and no child keeps; raises OSError."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" is everything, IPv4 too, whatever the system's own default.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
        unshare(listener, socket.socket.fileno)  # a child would keep the port from our successor
    except OSError:
        listener.close()
        raise
    return listener
