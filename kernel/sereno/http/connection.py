"""Serves one connection: requests one after another, by HTTP/1.1 as h11 reads and writes it.

- A request must arrive whole, and its answer be taken, in time; between requests a client may rest
  for longer than proxies do (`PageLimits`).
- What is no HTTP gets 400 (h11 says where 431, 501 or 505 fits better), then the connection ends.
- A body is read when a page wants it, and only then is it asked for (``Expect: 100-continue``). One
  that no page has read by the time of the answer ends the connection.
- A page that fails is a 500 and a line in the log; one under way when the client goes is not
  cancelled.
"""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import h11
import msgspec

from sereno.http.answer import Answer, RefusedError, sentence
from sereno.http.request import Page, Request

log = logging.getLogger("sereno.http")

CHUNK = 65_536
_RESTING, _ARRIVING, _SENDING = range(3)
_HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
_REASONS = {
    200: "OK", 202: "Accepted", 303: "See Other", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    413: "Content Too Large", 415: "Unsupported Media Type", 421: "Misdirected Request",
    422: "Unprocessable Content", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip


class PageLimits(msgspec.Struct, frozen=True):
    """Seconds. `rest`: between requests, more than the 60 s after which proxies let go of one, so
    that theirs never meets our end. `transit`: for a request to arrive, and for its answer to be
    taken. `farewell`: for the client to close after its last answer; to close first while it still
    sends would reset the connection, and take the answer from it."""

    rest: float = 75.0
    transit: float = 30.0
    farewell: float = 2.0


class Connection:
    """One client's connection, which `serve` owns from the first byte to the last."""

    def __init__(
        self,
        app: Page,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: PageLimits,
    ) -> None:
        self._app = app
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER)
        self._due = 0.0
        self._resting = True
        self._stage: int | None = _RESTING
        self._since = self._now()
        self._leaving = False
        self.dropped = False

    def leave(self) -> None:
        """Let the request that is under way be the last; close at once where there is none."""
        self._leaving = True
        if self._resting:
            self._writer.close()

    @property
    def worth(self) -> tuple[int, float] | None:
        """Return how little would be lost with it: the smaller, the less. None: a page is at work.

        Least with one that rests, then with one whose request or whose answer takes its time; and
        less, the longer it does.
        """
        return None if self._stage is None else (self._stage, self._since)

    @property
    def peer(self) -> str:
        """Return the address of the client."""
        peer = self._writer.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def drop(self) -> None:
        """End it at once, whatever is under way."""
        self.dropped = True
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Answer requests until one side has had enough."""
        transport = self._writer.transport
        # drain() then waits until all is with the system: what the client does not take is seen.
        transport.set_write_buffer_limits(0)
        try:
            while await self._exchange():
                self._http.start_next_cycle()
            await self._farewell()
        except OSError:  # also a time that ran out
            pass
        except Exception:
            log.exception("a connection failed")
        finally:
            if transport.get_write_buffer_size():
                transport.abort()
            self._writer.close()

    async def _exchange(self) -> bool:
        """Answer one request; return whether another may follow."""
        try:
            head = await self._head()
        except h11.RemoteProtocolError as error:
            code = error.error_status_hint
            await self._send(sentence(code, f"this is no HTTP/1.1 that is served here: {error}"))
            return False
        except RefusedError as error:
            await self._send(sentence(error.code, str(error)))
            return False
        if not isinstance(head, h11.Request):
            return False
        self._stage = None
        answer = await self._answer(head)
        keep = self._is_read() and not self._leaving
        self._enter(_SENDING)
        await self._send(answer, keep=keep, body=head.method != b"HEAD")
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _enter(self, stage: int) -> None:
        self._stage, self._since = stage, self._now()

    async def _head(self) -> object:
        """Return the next request, or what stands for the end of the connection."""
        event: object = self._http.next_event()
        if event is not h11.NEED_DATA:
            self._enter(_ARRIVING)
            self._due = self._now() + self._limits.transit
            return event
        if self._leaving:
            return h11.ConnectionClosed()
        self._resting = True
        self._enter(_RESTING)
        self._due = self._since + self._limits.rest
        await self._receive()
        self._resting = False
        self._enter(_ARRIVING)
        self._due = self._now() + self._limits.transit
        return await self._event()

    async def _event(self) -> object:
        """Return what h11 finds next. Raises RefusedError when it has not come in time."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[], reason="Continue")
                self._writer.write(self._http.send(go_on) or b"")
            try:
                await self._receive()
            except TimeoutError as error:
                reason = f"the request did not arrive within {self._limits.transit:.0f} s"
                raise RefusedError(408, reason) from error
        return event

    async def _receive(self) -> None:
        async with asyncio.timeout_at(self._due):
            self._http.receive_data(await self._reader.read(CHUNK))

    async def _answer(self, head: h11.Request) -> Answer:
        request = Request(
            method=head.method.decode(),
            path=_path(head.target.decode("latin-1")),
            headers=[*head.headers],
            peer=self.peer,
            next_part=self._part,
        )
        try:
            return await self._app(request)
        except RefusedError as error:
            return sentence(error.code, str(error))
        except Exception:
            log.exception("a page failed", extra={"page": request.path})
            return sentence(500, "this page failed; the log of this replica says why")

    async def _part(self) -> bytes:
        try:
            event = await self._event()
        except (h11.RemoteProtocolError, ConnectionError) as error:
            raise RefusedError(400, f"the body ended before its time: {error}") from error
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def _is_read(self) -> bool:
        """Say whether all of the request is here, without waiting for what no page wanted."""
        try:
            while isinstance(self._http.next_event(), h11.Data):
                pass
        except h11.RemoteProtocolError:
            return False
        return self._http.their_state is h11.DONE

    async def _send(self, answer: Answer, *, keep: bool = False, body: bool = True) -> None:
        """Write `answer`; without `keep` it is the connection's last, without `body` its head."""
        headers = [
            *_HEADERS,
            ("Content-Type", answer.media_type),
            ("Content-Length", str(len(answer.body))),
            *answer.headers.items(),
            *([] if keep else [("Connection", "close")]),
        ]
        reason = _REASONS.get(answer.status, "")
        events: list[h11.Event] = [
            h11.Response(status_code=answer.status, headers=headers, reason=reason),
            *([h11.Data(data=answer.body)] if body else []),
            h11.EndOfMessage(),
        ]
        self._writer.write(b"".join(self._http.send(event) or b"" for event in events))
        async with asyncio.timeout(self._limits.transit):
            await self._writer.drain()

    async def _farewell(self) -> None:
        if self._writer.is_closing():
            return
        self._writer.write_eof()
        async with asyncio.timeout(self._limits.farewell):
            while await self._reader.read(CHUNK):
                pass

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _path(target: str) -> str:
    """Return the path of a request's target, which may be a whole address (RFC 9112, 3.2.2)."""
    if not target.startswith("/"):
        with suppress(ValueError):  # no address either: there is no such page
            target = urlsplit(target).path
    return unquote(target.partition("?")[0])
