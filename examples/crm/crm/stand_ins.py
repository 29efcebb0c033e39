"""Stand-ins of the outside world: a Redis that can be taken away, a receiver of webhooks, data."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

DATA = Path(__file__).with_name("data.sql")


class Redis:
    """What the CRM needs of a Redis: AUTH, PING, SET with EX, GET; others are refused as it does.

    `port` 0 takes a free one. As Redis, it answers nothing but AUTH where there is a password.
    """

    def __init__(self, password: str = "", port: int = 0) -> None:
        self.password = password
        self.port = port
        self.kept: dict[str, tuple[str, float]] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._clients):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        known = not self.password
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readline():
                words = [await _word(reader) for _ in range(int(head[1:]))]
                if words[0].upper() == "AUTH":
                    known = words[1] == self.password
                    answer = "+OK" if known else "-WRONGPASS invalid username-password pair"
                elif not known:
                    answer = "-NOAUTH Authentication required."
                else:
                    answer = self._answer(words)
                writer.write(f"{answer}\r\n".encode())
                await writer.drain()
        self._clients.discard(writer)
        writer.close()

    def _answer(self, words: list[str]) -> str:
        match [words[0].upper(), *words[1:]]:
            case ["PING"]:
                return "+PONG"
            case ["SET", key, value, "EX", seconds]:
                self.kept[key] = (value, time.monotonic() + int(seconds))
                return "+OK"
            case ["GET", key]:
                value, until = self.kept.get(key, ("", 0.0))
                if until < time.monotonic():
                    return "$-1"
                return f"${len(value.encode())}\r\n{value}"
            case _:
                return f"-ERR unknown command '{words[0]}'"


async def _word(reader: asyncio.StreamReader) -> str:
    size = int((await reader.readline())[1:])
    return (await reader.readexactly(size + 2))[:-2].decode()


class Receiver:
    """An HTTP server that takes webhooks; each `fails_first` as often as it says, with 503."""

    def __init__(self, port: int = 0, fails_first: int = 0) -> None:
        self.port = port
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._fails = fails_first
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
            body = await reader.readexactly(size)
            fails, self._fails = self._fails > 0, max(0, self._fails - 1)
            if not fails:
                self.told.put_nowait(json.loads(body))
            status = "503 Service Unavailable" if fails else "204 No Content"
            writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def world(password: str = "secreto") -> AsyncIterator[tuple[Redis, Receiver]]:
    """Give a Redis and a receiver."""
    async with Redis(password) as redis, Receiver() as receiver:
        yield redis, receiver
