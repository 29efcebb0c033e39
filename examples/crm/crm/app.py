"""The CRM's web application, as far as its tasks are concerned."""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from crm.cache import Cache, CacheError
from crm.people import People, add_people
from crm.settings import tables
from sereno import Sereno, SerenoError, asgi
from sereno_console import app as console_app

PATTERN = "crm.*"


async def _nothing(node: Sereno) -> None:
    """Do nothing first."""


def create_app(
    environ: Mapping[str, str] | None = None,
    first: Callable[[Sereno], Awaitable[None]] = _nothing,
) -> FastAPI:
    """Return the application, set by the variables of its ``.env``.

    `first`: is done once the node is up, before requests are answered.
    """
    environ = os.environ if environ is None else environ
    settings = tables(environ)
    own = settings["plugins"]["crm_jobs"]  # what is wrong with it is told at the start
    cache = None
    if host := own.get("redis_host"):
        cache = Cache(host, own.get("redis_port", 6379), own.get("redis_password", ""))
    node = Sereno(settings, state=cache, loggers=["crm"], wait="1m")
    people = People(node)
    console = console_app(node, resolver=people, log_in="/login?next=")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with node:  # what is wrong with the variables ends it here
            logging.getLogger("crm").setLevel(settings["log"]["level"].upper())
            await first(node)
            try:
                yield
            finally:
                await console.close()
                if cache is not None:
                    await cache.close()

    app = FastAPI(title="CRM", lifespan=lifespan)
    app.add_exception_handler(SerenoError, refused)
    _add_health(app, node, own.get("enable_scheduled_tasks", True), cache)
    _add_orders(app, node)
    app.add_route("/metrics", asgi.metrics(node))  # a mount would answer by a redirect
    # Behind the CRM's own: liveness, readiness and tasks, as any node has them.
    app.mount("/health", asgi.health(node))
    app.mount("/sereno", console)
    add_people(app, people)
    app.state.node = node
    return app


async def refused(request: Request, error: Any) -> JSONResponse:
    """Answer what Sereno refuses, and that its database is away, with the sentence that says so."""
    return JSONResponse({"error": str(error)}, asgi.status_of(error))


def _add_health(app: FastAPI, node: Sereno, enabled: bool, cache: Cache | None) -> None:
    @app.get("/health")
    async def health() -> Response:
        """Answer in the form that the CRM's dashboards know."""
        report: dict[str, Any] = {"status": "healthy", "timestamp": datetime.now(UTC).isoformat()}
        try:
            tasks = [task for task in await node.client.jobs() if task.plugin == "crm_jobs"]
            leader = await node.client.leader()
        except SerenoError as error:
            report |= {"status": "unhealthy", "database": {"up": False, "error": str(error)}}
            return JSONResponse(report, 503)
        report["database"] = {"up": True}
        report["cache"] = await _answers(cache)
        report["scheduled_tasks"] = {
            "enabled": enabled,
            "scheduler_running": leader.held,
            "total_tasks": len(tasks),
            "tasks": [
                {
                    "name": task.title,
                    "id": task.name,
                    "next_run": min(
                        (s.next_slot.isoformat() for s in task.schedules if s.next_slot),
                        default=None,
                    ),
                    "last_run": task.last_end_at and task.last_end_at.isoformat(),
                    "last_state": task.last_state,
                }
                for task in tasks
            ],
        }
        if not leader.held or report["cache"]["up"] is False:
            report["status"] = "degraded"
        return JSONResponse(report)


async def _answers(cache: Cache | None) -> dict[str, Any]:
    if cache is None:
        return {"up": None}
    try:
        await cache.ping()
    except CacheError as error:
        return {"up": False, "error": str(error)}
    return {"up": True}


def _add_orders(app: FastAPI, node: Sereno) -> None:
    @app.post("/health/tasks/start")
    async def start() -> dict[str, Any]:
        """Have the tasks' schedules fire again."""
        resumed = await node.client_for("the CRM's API").resume(plugin="crm_jobs")
        return {"started": list(resumed.resumed)}

    @app.post("/health/tasks/stop")
    async def stop() -> dict[str, Any]:
        """Have the tasks' schedules rest; what runs goes on, and by hand they run."""
        client = node.client_for("the CRM's API")
        paused = await client.pause(plugin="crm_jobs", reason="POST /health/tasks/stop")
        return {"stopped": list(paused.paused)}

    # GET as well, as the CRM's own documents have it.
    @app.api_route("/health/tasks/run/{name}", methods=["POST", "GET"])
    async def run(name: str, wait: bool = False) -> Response:
        """Run a task by hand: ``notification-checks``, ``metrics-refresh``, ``cleanup``..."""
        client = node.client_for("the CRM's API")
        number = await client.enqueue(f"crm.{name.replace('-', '_')}")
        if not wait:
            return JSONResponse({"run": number}, 202)
        done = await client.wait(number)
        return JSONResponse({"run": number, "state": done.state, "result": done.result})
