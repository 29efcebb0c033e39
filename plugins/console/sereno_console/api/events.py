"""What is new, as it happens: server-sent events, and the same by polling.

A stream ends after a minute, and the browser comes back with ``Last-Event-ID``: so who was logged
out, or may no longer, is told so. ``hello``: nothing is known of what was before; ``news``: what
has changed; ``end``: of a run's log, the run is over.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from starlette.responses import Response, StreamingResponse

from sereno import LogEntry, News
from sereno_console.api.operation import operation
from sereno_console.api.runs import allowed
from sereno_console.web.answers import ProblemError
from sereno_console.web.hub import MOST_STREAMS, at_rest, visible_to
from sereno_console.web.request import ConsoleRequest

LASTS = 60.0
_BEAT = 15.0
_RETRY_MS = 2_000

_STREAM = "text/event-stream"


class PollQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Behind which event, and for how many seconds to wait for one."""

    after: Annotated[str, Meta(max_length=60)] = ""
    seconds: Annotated[float, Meta(ge=0, le=25)] = 0


class StreamQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Behind which event, where no ``Last-Event-ID`` says it."""

    after: Annotated[str, Meta(max_length=60)] = ""


class LinesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Behind which line, as ``1-27``: attempt and line, where no ``Last-Event-ID`` says it."""

    after: Annotated[str, Meta(max_length=20)] = ""


class Polled(Struct, frozen=True, kw_only=True):
    """What is new. `id`: to ask behind; `known`: false where what came before is not, and all may
    have changed."""

    id: str
    known: bool
    news: list[News]


@operation("GET", "/events", StreamQuery, str, needs="read", tag="events", media_type=_STREAM)
async def stream_events(request: ConsoleRequest, given: StreamQuery) -> Response:
    """Tell what is new, as it happens, by server-sent events."""
    _check_room(request)
    return _streamed(_news(request, request.headers.get("last-event-id", given.after)))


@operation("GET", "/events/poll", PollQuery, Polled, needs="read", tag="events")
async def poll_events(request: ConsoleRequest, given: PollQuery) -> Polled:
    """Tell what is new behind an event, for who can hold no stream."""
    hub = request.hub
    await hub.begin(request.sereno)
    if hub.since(given.after) == [] and given.seconds:
        await hub.wait(request.sereno, given.after, given.seconds)
    found = hub.since(given.after)
    seen = [visible_to(request.user, event.news) for event in found or ()]
    return Polled(
        id=hub.last, known=found is not None, news=[news for news in seen if news is not None]
    )


@operation(
    "GET", "/runs/{run}/log/stream", LinesQuery, str, needs="read", tag="logs", media_type=_STREAM
)
async def stream_log(request: ConsoleRequest, given: LinesQuery) -> Response:
    """Give a run's lines as they are kept, by server-sent events, until it is over."""
    _check_room(request)
    run = await allowed(request, "read")
    last = request.headers.get("last-event-id", given.after)
    return _streamed(_lines(request, run.id, _place(last)))


def _check_room(request: ConsoleRequest) -> None:
    if request.hub.streams >= MOST_STREAMS:
        wait = {"retry-after": "10"}
        raise ProblemError(503, f"{MOST_STREAMS} streams are open; poll instead", headers=wait)


def _streamed(events: AsyncIterator[bytes]) -> Response:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type=_STREAM, headers=headers)


async def _news(request: ConsoleRequest, last: str) -> AsyncIterator[bytes]:
    hub, loop = request.hub, asyncio.get_running_loop()
    until = loop.time() + LASTS
    hub.streams += 1
    try:
        await hub.begin(request.sereno)
        yield f"retry: {_RETRY_MS}\n\n".encode()
        while loop.time() < until:
            found = hub.since(last)
            if found is None:
                last = hub.last
                yield _event("hello", {}, last)
                continue
            last = found[-1].id if found else last
            seen = [(event.id, visible_to(request.user, event.news)) for event in found]
            if not any(news for _, news in seen):
                yield b":\n\n"  # so that a connection that is cut is found
            for id, news in seen:
                if news is not None:
                    yield _event("news", news, id)
            await hub.wait(request.sereno, last, min(_BEAT, max(until - loop.time(), 0.01)))
    finally:
        hub.streams -= 1


async def _lines(
    request: ConsoleRequest, run: int, place: tuple[int, int] | None
) -> AsyncIterator[bytes]:
    hub, loop = request.hub, asyncio.get_running_loop()
    until = loop.time() + LASTS
    hub.streams += 1
    try:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        async with aclosing(request.sereno.follow(run, after=place)) as lines:
            while (left := until - loop.time()) > 0:
                coming = asyncio.ensure_future(anext(lines, None))
                try:
                    while not coming.done() and (left := until - loop.time()) > 0:
                        await asyncio.wait({coming}, timeout=min(_BEAT, left))
                        if not coming.done():
                            yield b":\n\n"
                    if not coming.done():
                        return
                finally:
                    await at_rest(coming)
                if (line := coming.result()) is None:
                    yield _event("end", {"state": (await request.sereno.run(run, lines=0)).state})
                    return
                yield _line(line)
    finally:
        hub.streams -= 1


def _line(line: LogEntry) -> bytes:
    return _event("line", line, f"{line.attempt}-{line.line}")


def _place(last: str) -> tuple[int, int] | None:
    attempt, _, line = last.partition("-")
    if attempt.isdecimal() and line.isdecimal() and len(last) < 20:
        return min(int(attempt), 2**31 - 1), min(int(line), 2**31 - 1)
    return None


def _event(kind: str, value: Any, id: str | None = None) -> bytes:
    """Return an event as it is sent; JSON has no line breaks."""
    named = b"" if id is None else f"id: {id}\n".encode()
    return named + f"event: {kind}\ndata: ".encode() + msgspec.json.encode(value) + b"\n\n"
