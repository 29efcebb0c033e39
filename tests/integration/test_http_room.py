"""However many connections there are that ask nothing, whoever asks gets an answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sereno.http.answer import Answer, json
from sereno.http.request import Request
from sereno.http.server import HttpServer

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
LARGE = 8 * 1024 * 1024
PLACES = 8


class Pages:
    """Answers at once, or under /slow when it may, or under /large more than anybody takes."""

    def __init__(self) -> None:
        self.at_work = asyncio.Semaphore(0)
        self.go = asyncio.Event()

    async def answer(self, request: Request) -> Answer:
        if request.path == "/large":
            return Answer(body=b"x" * LARGE)
        if request.path == "/slow":
            self.at_work.release()
            await self.go.wait()
        return json({"path": request.path})


@asynccontextmanager
async def serving(pages: Pages) -> AsyncIterator[HttpServer]:
    async with HttpServer(pages.answer, "127.0.0.1", 0, places=PLACES) as server:
        yield server


async def opened(server: HttpServer, stack: AsyncExitStack) -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    stack.callback(lambda: writer.transport.abort())  # holds the writer, whose end is the stream's
    return reader, writer


async def asked(server: HttpServer, path: str = "/") -> int:
    """Return the status of an answer to a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(GET.replace(b"/ ", f"{path} ".encode(), 1))
        return int((await reader.readuntil(b"}\n")).split()[1])
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost:", GET, b"GET /large" + GET[5:]])
async def test_a_newcomer_is_answered_beside_many_connections_that_go_no_further(
    begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(Pages()))
        streams = []
        for _ in range(3 * PLACES):
            reader, writer = await opened(server, stack)
            writer.write(begun)
            streams.append((reader, writer))
            if begun == GET:
                await reader.readuntil(b"}\n")
            assert await asked(server) == 200
            assert (
                len(server._open) <= PLACES + 1
            )  # the one that was ended leaves with the next turn
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert (warning.most, warning.peer) == (PLACES, "127.0.0.1")


async def test_the_one_that_has_rested_for_longest_goes_and_no_page_that_is_at_work() -> None:
    pages = Pages()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(pages))
        working, writer = await opened(server, stack)
        writer.write(GET.replace(b"/ ", b"/slow ", 1))
        await pages.at_work.acquire()
        resting = []
        for _ in range(PLACES):
            reader, writer = await opened(server, stack)
            writer.write(GET)
            await reader.readuntil(b"}\n")
            resting.append((reader, writer))
        assert await resting[0][0].read() == b""
        for reader, writer in resting[1:]:
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"}\n")
        pages.go.set()
        assert b"200 OK" in await working.readuntil(b"}\n")


async def test_while_all_are_being_answered_one_more_is_told_so() -> None:
    pages = Pages()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(pages))
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(asked(server, "/slow")) for _ in range(PLACES)]
            for _ in waiting:
                await pages.at_work.acquire()
            reader, _ = await opened(server, stack)
            said = await reader.read()
            assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"ask again soon" in said
            pages.go.set()
        assert [task.result() for task in waiting] == [200] * PLACES
