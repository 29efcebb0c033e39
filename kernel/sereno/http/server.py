"""Serves an app inside the kernel's own loop; signals stay with the kernel."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from uvicorn.config import Config
from uvicorn.server import Server

from sereno.model.errors import ConfigurationError

_GOODBYE = 2
"""Seconds that open requests get when the server closes."""

_REASONS = {
    errno.EADDRINUSE: "another program listens there; stop it, or set another port "
    "(SERENO_HTTP__PORT, 0 takes a free one)",
    errno.EACCES: "this user may not listen there; set a port from 1024 up (SERENO_HTTP__PORT)",
    errno.EADDRNOTAVAIL: "this machine has no such address; set http.host to one that it has "
    "(SERENO_HTTP__HOST), or to 0.0.0.0 for all",
}


class _Server(Server):
    """uvicorn's server, less its signal handlers and its ten wake-ups a second."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.leave = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        self.up.set()
        await self.leave.wait()


class HttpServer:
    """Serves `app` on `host` and `port` from ``async with`` to its end.

    Port 0 takes a free one; `next_ports`: how many ports after `port` are tried while they are
    taken. Raises ConfigurationError when it cannot listen.
    """

    def __init__(self, app: Any, host: str, port: int, *, next_ports: int = 0) -> None:
        self._app = app
        self._host = host
        self._ports = range(port, min(port + (next_ports if port else 0), 65535) + 1)
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
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
        config = Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_GOODBYE,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="http")
        await self._server.up.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let open requests end, for a short while, and stop listening."""
        if self._server is not None and self._task is not None:
            self._server.leave.set()
            await asyncio.wait({self._task}, timeout=_GOODBYE + 1)
            self._task.cancel()

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
                    return _bound(family, (address[0], port, *address[2:]))
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


def _bound(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "::" is everything, IPv4 too, whatever the system's own default.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
