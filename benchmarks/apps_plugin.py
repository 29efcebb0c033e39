"""The plugin of benchmarks/apps.py: a job a second, and an app that computes 60 ms for a page."""

import time
from collections.abc import Mapping
from typing import Any

from sereno import App, RunContext, every, hookimpl, job

PAGE_SECONDS = 0.06


@job("bench.tick", schedule=every("1s"))
async def tick(run: RunContext) -> dict[str, float]:
    at = time.time()
    return {"late": at - (at if run.slot is None else run.slot.timestamp())}


def computing(client: object) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        until = time.thread_time() + PAGE_SECONDS  # of the processor, and not of the clock
        while time.thread_time() < until:
            sum(range(1_000))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"computed"})

    return app


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick]


@hookimpl
def sereno_register_apps() -> Mapping[str, App]:
    return {"/computing": App("Computing", computing)}
