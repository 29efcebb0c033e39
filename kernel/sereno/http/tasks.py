"""Starts, stops and runs tasks for scripts, as the health pages of many a backend have it.

``POST /health/tasks/start``       resumes every schedule
``POST /health/tasks/stop``        pauses every schedule; runs by hand go on
``POST /health/tasks/run/{name}``  queues a run of a job, with no params

As the pages of runs they are closed unless `http.token` is set. What they change is in the trail.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sereno.http.answer import Answer, json
from sereno.http.request import Request
from sereno.http.runs import answered, queued
from sereno.http.site import Route
from sereno.model.errors import NotFoundError
from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.store.pool import Database

_SHOWN = 20


def task_pages(
    db: Database, jobs: Callable[[], Mapping[str, Job]], *, token: bool
) -> Sequence[Route]:
    """Return the pages. `jobs`: what this replica's plugins declare; `token`: one is set."""
    pages = _TaskPages(db, jobs)
    return [
        Route("/health/tasks/start", answered(pages.start, token), "POST"),
        Route("/health/tasks/stop", answered(pages.stop, token), "POST"),
        Route("/health/tasks/run/{name}", answered(pages.run, token), "POST"),
    ]


class _TaskPages:
    def __init__(self, db: Database, jobs: Callable[[], Mapping[str, Job]]) -> None:
        self._db = db
        self._jobs = jobs

    async def start(self, request: Request) -> Answer:
        found = await self._client(request).resume(everything=True, reason="POST " + request.path)
        return json({"resumed": found.resumed})

    async def stop(self, request: Request) -> Answer:
        found = await self._client(request).pause(everything=True, reason="POST " + request.path)
        return json({"paused": found.paused})

    async def run(self, request: Request) -> Answer:
        client = self._client(request)
        known = [job.name for job in await client.jobs()]
        name = _meant(request.found["name"], known)
        return queued(name, await client.request(name))

    def _client(self, request: Request) -> Any:
        # Loaded by the first script that asks: most replicas are never asked.
        declared = lazy("sereno.client.declarations").Declarations(self._jobs())
        by = f"http {request.caller}".strip()
        return lazy("sereno.client").Client(self._db, declared, requested_by=by)


def _meant(name: str, known: Sequence[str]) -> str:
    """Return the job `name`, or the one that is so called within its plugin, with hyphens for
    underscores as paths have them; raises NotFoundError."""
    if name in known:
        return name
    wanted = name.replace("-", "_")
    found = [job for job in known if job.partition(".")[2].replace("-", "_") == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFoundError(f"'{name}' may be any of these jobs, name one: {' '.join(found)}")
    shown = " ".join(known[:_SHOWN]) or "none"
    raise NotFoundError(f"there is no job '{name}'; the jobs are {shown}")
