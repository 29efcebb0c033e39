"""The kernel's pages on its own server, and a client that asks them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx

from sereno.engine.status import Status
from sereno.http.app import build_app
from sereno.http.runs import run_pages
from sereno.http.server import HttpServer
from sereno.http.tasks import task_pages
from sereno.model.job import Job
from sereno.observe.job_watch import JobWatch
from sereno.observe.metrics import Metrics
from sereno.plugins.record import PluginRecord
from sereno.store.pool import Database

from .metrics_scene import opened


def fresh_status(**facts: Any) -> Status:
    known = {"store_up": True, "store_error": None, "migrated": True, **facts}
    return Status(node=uuid4(), label="<blue>", version="1.2.3", **known)


@asynccontextmanager
async def served(
    dsn: str,
    status: Status | None = None,
    headers: dict[str, str] | None = None,
    jobs: tuple[Job, ...] = (),
    **options: Any,
) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
    status = status or fresh_status()
    async with opened(dsn) as db:
        watch = JobWatch(db, fresh=0)
        plugins = [PluginRecord(name="etl", version="1")]
        declared = {j.name: j for j in jobs}
        routes = [
            page
            for pages in (run_pages, task_pages)
            for page in pages(db, lambda: declared, token="token" in options)
        ]
        metrics = Metrics(status, watch, lambda: plugins)
        app = build_app(status, watch, metrics, lambda: plugins, routes=routes, **options)
        async with (
            HttpServer(app, "127.0.0.1", 0) as server,
            httpx.AsyncClient(
                base_url=server.url, headers=headers, timeout=30, trust_env=False
            ) as client,
        ):
            yield client, db
