"""The service, with the node of its process and the cache that its jobs reach."""

import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from msgspec import Meta

from metadatos import jobs
from metadatos.cache import Cache
from metadatos.jobs import Figures
from metadatos.people import CHALLENGE, People
from sereno import JobView, RunFilter, Sereno, SerenoError, asgi, variable
from sereno_console import app as console_app

Size = Annotated[int, Meta(ge=1, le=10_000_000)]
Seconds = Annotated[float, Meta(ge=0.001)]
Address = Annotated[
    str, Meta(pattern=r"^https?://[^/\s]", description="an address, as https://host")
]
START = """<!doctype html>
<html lang="es">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Metadatos</title>
<link rel="icon" href="data:,">
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 36rem; padding: 1rem }
a { color: #1f7a72 } li { margin: .5rem 0 }
</style>
<h1>Metadatos</h1>
<ul>
<li><a href="/sereno/">Consola</a>: la limpieza en cada proceso, y cómo fue
<li><a href="/jobs/cache.cleanup">Cifras</a> de las últimas limpiezas
<li><a href="/metadata/libro">Un metadato</a>, del catálogo o de la caché
<li><a href="/health">Salud</a> · <a href="/metrics">métricas</a> · <a href="/docs">API</a>
</ul>
</html>
"""


def create_app(environ: Mapping[str, str] | None = None) -> FastAPI:
    """Return the application of one process. `CATALOGUE_URL`: where metadata come from.

    Raises ConfigurationError, a sentence, for a variable that cannot be read.
    """
    environ = os.environ if environ is None else environ
    cache = Cache(
        max_size=variable("CACHE_MAX_SIZE", 2000, Size, environ=environ),
        ttl=variable("CACHE_TTL_SECONDS", 3600.0, Seconds, environ=environ),
    )
    settings = {"database_url": environ.get("POSTGRES_DSN") or "embedded"}
    node = Sereno(settings, plugins=[jobs], state=cache, wait="1m")
    catalogue = variable("CATALOGUE_URL", "http://127.0.0.1:9001", Address, environ=environ)
    people = People(environ.get("CONSOLE_USERS", ""))
    console = console_app(node, resolver=people, challenge=CHALLENGE)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(base_url=catalogue, timeout=20) as web:
            app.state.web = web
            await node.astart()
            try:
                yield
            finally:
                await console.close()
                await node.astop(math.inf)  # APScheduler's shutdown(wait=True)

    app = FastAPI(title="Metadatos", lifespan=lifespan)
    app.state.node, app.state.cache = node, cache
    app.add_route("/metrics", asgi.metrics(node))
    app.add_route("/health", asgi.health(node))  # which a mount would answer by a redirect
    app.mount("/health", asgi.health(node))  # liveness and readiness, for who restarts and routes
    app.mount("/sereno", console)
    app.add_exception_handler(SerenoError, refused)
    _add_metadata(app, cache)
    _add_jobs(app, node)
    return app


async def refused(request: Request, error: Any) -> JSONResponse:
    """Answer what Sereno refuses, and that its database is away, with the sentence that says so."""
    return JSONResponse({"error": str(error)}, asgi.status_of(error))


def _add_metadata(app: FastAPI, cache: Cache) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def start() -> str:
        return START

    @app.get("/metadata/{name:path}")
    async def metadata(name: str) -> Response:
        """Answer from the cache of this process, else from the catalogue."""
        known = cache.get(name)
        if known is None:
            answer = await app.state.web.get(f"/metadata/{quote(name, safe='')}")
            if answer.status_code != 200:  # it is throttled, or there is no such thing
                return JSONResponse({"error": answer.text}, answer.status_code)
            known = answer.content
            cache.put(name, known)
        return Response(known, media_type="application/json")


def _add_jobs(app: FastAPI, node: Sereno) -> None:
    @app.get("/jobs")
    async def listed() -> list[dict[str, Any]]:
        """List the jobs, with their next runs."""
        return [_told(job) for job in await node.client.jobs()]

    @app.get("/jobs/{name}")
    async def status(name: str) -> Response:
        """Tell how a job stands, and the figures of its last runs, in their order."""
        found = _told(await node.client.job(name))
        page = await node.client.runs(
            RunFilter(job=name, causes=("slot", "person", "program")), limit=5
        )
        figures = []
        for run in page.items:  # each has a part for each process, which is a run as well
            for part in (await node.client.run(run.id)).parts:
                kept = (await node.client.run(part.run)).result
                if kept is not None:
                    figures.append(msgspec.convert(kept, Figures))
        told = msgspec.json.encode({**found, "figures": figures})
        return Response(told, media_type="application/json")

    @app.post("/jobs/{name}/schedules/{label}")
    async def add(name: str, label: str, trigger: str) -> dict[str, str]:
        """Add a schedule: an interval (``every 1h30m15s``) or ``cron 0 3 * * *``."""
        client = node.client_for("the API")
        return {"schedule": (await client.add_schedule(name, trigger, label=label)).schedule}

    @app.delete("/jobs/{name}")
    async def remove(name: str) -> dict[str, list[str]]:
        """Remove the schedules that people have added; what the code declares is paused."""
        client = node.client_for("the API")
        schedules = await client.schedules(name)
        mine = [one.name for one in schedules if one.origin == "user"]
        for one in mine:
            await client.remove_schedule(one)
        paused = await client.pause([one.name for one in schedules if one.name not in mine])
        return {"removed": mine, "paused": list(paused.paused)}


def _told(job: JobView) -> dict[str, Any]:
    slots = [one.next_slot for one in job.schedules if one.next_slot and one.state == "active"]
    return {
        "id": job.name,
        "title": job.title,
        "triggers": [str(one.definition.trigger) for one in job.schedules],
        "next_run": min(slots).isoformat() if slots else None,
        "last_run": job.last_end_at and job.last_end_at.isoformat(),
        "last_state": job.last_state,
    }
