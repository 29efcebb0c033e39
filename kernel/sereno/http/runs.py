"""Queues runs for programs that speak HTTP, and tells them what became of each.

``POST /jobs/{job}/runs``   queues a run, through ``sereno.enqueue`` as everybody does
``GET /runs/{id}``          the run as it stands

Both are shut unless `http.token` is set: who may queue a run may do what the job does, and a run
shows what it was given and what it found. A browser sends neither the token nor JSON on its own.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sereno.http.answer import Answer, RefusedError, json, sentence
from sereno.http.request import Page, Request
from sereno.http.site import Route
from sereno.model.bounds import holds_nul
from sereno.model.errors import (
    NotFoundError,
    ParamsError,
    SchemaError,
    StoreUnavailableError,
    TriggerError,
)
from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.model.suggestion import suggestion
from sereno.model.trace import is_traceparent
from sereno.settings import redact
from sereno.store.pool import Database
from sereno.store.queue import Requested

_MOST_BYTES = 1_048_576
_MOST_ID = 2**63 - 1
_CLOSED = (
    "this page queues or shows runs, and is shut while there is no token; "
    "set http.token (SERENO_HTTP__TOKEN) and send it as 'Authorization: Bearer <token>'"
)


class Wanted(msgspec.Struct, kw_only=True):
    """What a request for a run may say. `delay`: from now, `start_by`: from its instant, as text
    ("10m") or seconds."""

    params: dict[str, Any] = {}
    run_at: Annotated[datetime, Meta(tz=True)] | None = None
    delay: str | float | None = None
    priority: Annotated[int, Meta(ge=-32768, le=32767)] | None = None
    unique_key: Annotated[str, Meta(min_length=1)] | None = None
    start_by: str | float | None = None
    unique_for: str | float | None = None
    unique_by: Annotated[list[str], Meta(min_length=1)] | None = None
    requested_by: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    tags: list[str] = []
    place: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


def run_pages(
    db: Database, jobs: Callable[[], Mapping[str, Job]], *, token: bool
) -> Sequence[Route]:
    """Return the pages. `jobs`: what this replica's plugins declare; `token`: one is set."""
    pages = _RunPages(db, jobs)
    return [
        Route("/jobs/{job}/runs", answered(pages.queue, token), "POST"),
        Route("/runs/{run:int}", answered(pages.show, token)),
    ]


def answered(page: Page, token: bool) -> Page:
    """Return `page` with its errors as answers."""

    async def answer(request: Request) -> Answer:
        if not token:
            return sentence(403, _CLOSED)
        try:
            return await page(request)
        except NotFoundError as error:
            return sentence(404, str(error))
        except (ParamsError, TriggerError) as error:
            return sentence(422, str(error))
        except (StoreUnavailableError, SchemaError) as error:
            return sentence(503, redact(str(error)))

    return answer


def queued(job: str, found: Requested) -> Answer:
    """Answer that a run is queued, or was before."""
    facts: dict[str, Any] = {
        "run": found.run_id,
        "job": job,
        "state": found.state,
        "new": found.new,
        "run_at": found.run_at,
    }
    if not found.new:
        facts |= {
            "queued_at": found.queued_at,
            "finished_at": found.finished_at,
            "held_until": found.held_until,
        }
    answer = json(facts, 202 if found.new else 200)
    answer.headers["Location"] = f"/runs/{found.run_id}"
    return answer


class _RunPages:
    def __init__(self, db: Database, jobs: Callable[[], Mapping[str, Job]]) -> None:
        self._db = db
        self._jobs = jobs

    def _client(self) -> Any:
        """Return a client, loaded by the first request: a replica that nobody asks does without."""
        declared = lazy("sereno.client.declarations").Declarations(self._jobs())
        return lazy("sereno.client.client").Client(self._db, declared)

    async def queue(self, request: Request) -> Answer:
        name = request.found["job"]
        wanted = _read(await _body(request))
        found = await self._client().request(
            name,
            wanted.params,
            requested_by=wanted.requested_by or f"http {request.caller}".strip(),
            run_at=wanted.run_at,
            delay=wanted.delay,
            priority=wanted.priority,
            unique_key=wanted.unique_key,
            start_by=wanted.start_by,
            unique_for=wanted.unique_for,
            unique_by=wanted.unique_by,
            traceparent=_traceparent(request),
            tags=wanted.tags,
            place=wanted.place,
        )
        return queued(name, found)

    async def show(self, request: Request) -> Answer:
        number = int(request.found["run"])
        if number > _MOST_ID:
            raise NotFoundError(f"there is no run {number}")
        run = await self._client().run(number, lines=0)
        return json(run.outline())


async def _body(request: Request) -> bytes:
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "the body must be JSON: send it with Content-Type application/json")
    return await request.body(_MOST_BYTES)


def _read(body: bytes) -> Wanted:
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, f"the body is no JSON object, as {{}}: {error}") from error
    if holds_nul(body):
        raise RefusedError(422, "the body holds U+0000, which PostgreSQL cannot keep")
    known = Wanted.__struct_fields__
    for name in found:
        if name not in known:
            hint = suggestion(name, known)
            raise RefusedError(422, f"unknown key '{name}'{hint}")
    try:
        wanted = msgspec.convert(found, Wanted)
    except msgspec.ValidationError as error:
        raise RefusedError(422, f"the body does not fit: {error}") from error
    if wanted.run_at is not None and wanted.delay is not None:
        raise RefusedError(422, "run_at and delay are both given; name one of them")
    return wanted


def _traceparent(request: Request) -> str | None:
    """Return the trace that the run belongs to; one that is not well-formed counts as none."""
    found = request.header("traceparent")
    return found if is_traceparent(found) else None
