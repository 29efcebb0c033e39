"""What the server makes of the bytes that clients send, and of those that they do not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import httpx
import pytest

from sereno.http.answer import Answer, json
from sereno.http.connection import PageLimits
from sereno.http.request import Page, Request
from sereno.http.server import HttpServer

HEAD = b"HTTP/1.1\r\nHost: here\r\n"
GET = b"GET /one " + HEAD + b"\r\n"
LAST = b"GET /last " + HEAD + b"Connection: close\r\n\r\n"
PATIENT = PageLimits()
LARGE = 64 * 1024 * 1024
"""Bytes, more than what lies between two programs of a machine."""


async def told(request: Request) -> Answer:
    """Answer with what was asked; under /body with what it was sent."""
    if request.path.startswith("/body"):
        return Answer(body=await request.body(100), media_type="text/plain")
    return json({"method": request.method, "path": request.path, "caller": request.caller})


class Client:
    """A client that sends bytes as they are, and reads answers as h11 sees them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *parts: bytes) -> None:
        self.writer.writelines(parts)

    async def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        return await self.reader.read()

    async def answers(self, *methods: str) -> list[tuple[int, bytes]]:
        """Return the codes and bodies of all that the server sends until it closes, which answers
        requests of `methods` ("GET" where none is named)."""
        return answers(await self.rest(), *methods)

    async def until(self, text: bytes) -> bytes:
        return await self.reader.readuntil(text)


def answers(text: bytes, *methods: str) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    left = [*methods]
    while text:
        http = h11.Connection(h11.CLIENT)
        method = left.pop(0) if left else "GET"
        http.send(h11.Request(method=method, target="/", headers=[("Host", "here")]))
        http.send(h11.EndOfMessage())
        http.receive_data(text)
        response = http.next_event()
        assert isinstance(response, h11.Response), response
        body = b""
        while isinstance(event := http.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage), event
        found.append((response.status_code, body))
        text = http.trailing_data[0]
    return found


@asynccontextmanager
async def connected(page: Page = told, limits: PageLimits = PATIENT) -> AsyncIterator[Client]:
    async with HttpServer(page, "127.0.0.1", 0, limits=limits) as server, client(server) as one:
        yield one


@asynccontextmanager
async def client(server: HttpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def test_requests_in_one_packet_are_answered_in_their_order() -> None:
    async with connected() as one:
        one.send(GET, b"GET /two%20words?x=/y " + HEAD + b"\r\n", LAST)
        found = await one.answers()

    assert [code for code, _ in found] == [200, 200, 200]
    assert [b"/one" in found[0][1], b'"/two words"' in found[1][1]] == [True, True]


async def test_a_request_may_come_byte_by_byte() -> None:
    async with connected() as one:
        for byte in b"POST /body " + HEAD + b"Content-Length: 3\r\nConnection: close\r\n\r\nabc":
            one.send(bytes([byte]))
            await one.writer.drain()
        assert await one.answers() == [(200, b"abc")]


async def test_a_head_has_the_length_of_the_body_and_not_the_body() -> None:
    async with connected() as one:
        one.send(b"HEAD /one " + HEAD + b"\r\n", LAST)
        text = await one.rest()

    (head, nothing), (last, _) = answers(text, "HEAD", "GET")
    assert (head, nothing, last) == (200, b"", 200)
    assert text.count(b"Content-Length: ") == 2


async def test_a_client_of_http_1_0_is_answered_and_let_go() -> None:
    async with connected() as one:
        one.send(b"GET /one HTTP/1.0\r\n\r\n")
        text = await one.rest()

    assert text.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in text


async def test_a_body_may_come_in_chunks() -> None:
    body = b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: 1\r\n\r\n"
    async with connected() as one:
        one.send(b"POST /body " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n", body, LAST)
        found = await one.answers()

    assert found[0] == (200, b"abcdefg")
    assert found[1][0] == 200


async def test_a_client_that_asks_first_is_told_to_go_on_where_the_body_is_wanted() -> None:
    wanted = b"Expect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    async with connected() as one:
        one.send(b"POST /body " + HEAD + wanted)
        assert await one.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.send(b"abc")
        assert await one.answers() == [(200, b"abc")]


@pytest.mark.parametrize(
    ("target", "length", "code"),
    [(b"/one", b"3", 200), (b"/body", b"101", 413), (b"/body", b"9" * 20, 413)],
)
async def test_a_client_that_asks_first_is_not_told_to_where_it_is_not(
    target: bytes, length: bytes, code: int
) -> None:
    wanted = b"Expect: 100-continue\r\nContent-Length: " + length + b"\r\n\r\n"
    async with connected() as one:
        one.send(b"POST ", target, b" " + HEAD, wanted)
        text = await one.rest()

    assert [c for c, _ in answers(text)] == [code]
    assert b"Connection: close\r\n" in text


@pytest.mark.parametrize("target", [b"/one", b"/body"])
@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n\r\n" % LARGE, b""])
async def test_a_client_still_gets_its_answer_while_it_sends_what_nobody_reads(
    target: bytes, framing: bytes
) -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % LARGE
    async with connected() as one:
        one.send(b"POST ", target, b" " + HEAD, framing or chunked, b"x" * LARGE)
        (answer,) = await one.answers()

    assert answer[0] == (200 if target == b"/one" else 413)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS to a port without
        (b"hello\r\n\r\n", 400),
        (b"GET /one HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / one " + HEAD + b"\r\n", 400),
        (b"GET /\x00 " + HEAD + b"\r\n", 400),
        (b"GET /one " + HEAD + b"A b: c\r\n\r\n", 400),
        (b"POST /body " + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /body " + HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /body " + HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST /body " + HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /body " + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /one " + HEAD + b"A: " + b"b" * 100_000, 431),
        (b"GET /" + b"a" * 100_000, 431),
    ],
)
async def test_what_is_no_http_is_refused_and_the_connection_ends(text: bytes, code: int) -> None:
    async with connected() as one:
        one.send(text)
        assert [c for c, _ in await one.answers()] == [code]


async def test_a_refused_request_takes_nothing_from_the_one_before_it() -> None:
    async with connected() as one:
        one.send(GET, b"hello\r\n\r\n", GET)
        assert [c for c, _ in await one.answers()] == [200, 400]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://other:80/one?x", '"/one"'),
        (b"//one", '"//one"'),
        (b"/jobs/a%2Fb%C3%B1", '"/jobs/a/bñ"'),
        (b"/%zz%ff", '"/%zz\N{REPLACEMENT CHARACTER}"'),
        (b"*", '"*"'),
        (b"http://[", '"http://["'),
    ],
)
async def test_the_path_is_what_the_target_says(target: bytes, path: str) -> None:
    async with connected() as one:
        one.send(b"OPTIONS " + target + b" " + HEAD + b"Connection: close\r\n\r\n")
        ((code, body),) = await one.answers()

    assert (code, f'"path": {path}' in body.decode()) == (200, True)


async def test_an_offer_to_speak_another_protocol_is_left_aside() -> None:
    async with connected() as one:
        one.send(
            b"GET /one " + HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        )
        assert [c for c, _ in await one.answers()] == [200]


async def test_a_proxy_of_this_machine_says_who_asks() -> None:
    async with connected() as one:
        one.send(b"GET / " + HEAD + b"X-Forwarded-For: 9.9.9.9, 192.0.2.7\r\n\r\n", LAST)
        (_, first), (_, last) = await one.answers()

    assert b'"caller": "192.0.2.7"' in first
    assert b'"caller": "127.0.0.1"' in last


@pytest.mark.parametrize(
    "begun",
    [b"GET /one HTTP/1.1\r\nHost:", b"POST /body " + HEAD + b"Content-Length: 3\r\n\r\nab"],
)
async def test_a_request_that_does_not_arrive_in_time_is_told_so(begun: bytes) -> None:
    async with connected(limits=PageLimits(transit=0.05)) as one:
        one.send(begun)
        ((code, body),) = await one.answers()

    assert code == 408
    assert b"did not arrive within" in body


async def test_a_client_that_rests_too_long_is_let_go_without_a_word() -> None:
    async with connected(limits=PageLimits(rest=0.05)) as one:
        assert await one.rest() == b""


async def test_a_client_that_does_not_take_its_answer_is_dropped() -> None:
    over = asyncio.Event()

    async def large(request: Request) -> Answer:
        over.set()
        return Answer(body=bytes(LARGE))

    async with connected(large, PageLimits(transit=0.05)) as one:
        one.writer.transport.set_write_buffer_limits(0)
        one.writer.transport.pause_reading()
        one.send(GET)
        await over.wait()
        while not one.writer.is_closing():  # to write to a connection that is gone ends it
            one.send(b"x")
            await asyncio.wait({asyncio.ensure_future(one.writer.drain())}, timeout=0.01)


async def test_a_client_that_takes_its_answer_slowly_gets_all_of_it() -> None:
    async def large(request: Request) -> Answer:
        return Answer(body=bytes(LARGE))

    async with connected(large) as one:
        one.send(LAST)
        ((code, body),) = await one.answers()

    assert (code, len(body)) == (200, LARGE)


async def test_a_client_that_leaves_within_its_body_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def reading(request: Request) -> Answer:
        try:
            return Answer(body=await request.body(100))
        except Exception as error:
            ended.set_result(str(error))
            raise

    async with HttpServer(reading, "127.0.0.1", 0) as server:
        async with client(server) as one:
            one.send(b"POST /body " + HEAD + b"Content-Length: 3\r\n\r\na")
            await one.writer.drain()
            one.writer.write_eof()
            assert "the body ended before its time" in await ended
            assert [c for c, _ in await one.answers()] == [400]
        async with client(server) as two:
            two.send(b"POST /body " + HEAD + b"Content-Length: 1\r\nConnection: close\r\n\r\na")
            assert await two.answers() == [(200, b"a")]
    assert not caplog.records


async def test_a_page_under_way_when_its_client_leaves_comes_to_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, go, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Answer:
        begun.set()
        await go.wait()
        over.set()
        return Answer(body=bytes(LARGE))

    async with HttpServer(slow, "127.0.0.1", 0) as server:
        async with client(server) as one:
            one.send(GET)
            await begun.wait()
        go.set()
        await over.wait()
    assert not caplog.records


async def test_a_page_that_fails_is_a_line_in_the_log_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(request: Request) -> Answer:
        raise RuntimeError("boom")

    async with connected(broken) as one:
        one.send(GET, LAST)
        found = await one.answers()

    assert [code for code, _ in found] == [500, 500]
    assert b"boom" not in found[0][1]
    assert [r.levelno for r in caplog.records] == [logging.ERROR] * 2
    assert "boom" in caplog.text


async def test_when_the_server_closes_a_client_that_rests_is_let_go_at_once() -> None:
    async with HttpServer(told, "127.0.0.1", 0) as server, client(server) as one:
        one.send(GET)
        await one.until(b"\r\n\r\n")
        async with client(server) as fresh:
            await server.__aexit__(None, None, None)
            assert b"/one" in await one.rest()
            assert await fresh.rest() == b""


async def test_when_the_server_closes_a_page_that_hangs_is_cancelled() -> None:
    begun = asyncio.Event()
    cancelled = False

    async def hanging(request: Request) -> Answer:
        nonlocal cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise
        raise AssertionError

    async with HttpServer(hanging, "127.0.0.1", 0) as server, client(server) as one:
        one.send(GET)
        await begun.wait()
        await server.__aexit__(None, None, None)
        assert await one.rest() == b""
    assert cancelled


async def test_many_clients_at_once_are_each_given_their_own_answers() -> None:
    async with (
        HttpServer(told, "127.0.0.1", 0) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=None) as many,
    ):
        found = await asyncio.gather(*(many.get(f"/{number}") for number in range(200)))

    assert [answer.json()["path"] for answer in found] == [f"/{number}" for number in range(200)]
