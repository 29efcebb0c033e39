"""A plugin with apps of every kind: sound ones, and each fault that one may have."""

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from sereno import App, RunContext, hookimpl, job


async def whole(send: Any, body: bytes, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def sound(client: Any) -> Any:
    """Tells what it was asked; keeps its lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["begun"] = "yes"
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("the sound app has ended", file=sys.stderr, flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return
        facts = {
            **{key: scope[key] for key in ("path", "root_path", "method", "scheme")},
            "query": scope["query_string"].decode(),
            "raw": scope["raw_path"].decode(),
            "client": scope["client"][0],
            "begun": scope["state"].get("begun"),
            "pid": os.getpid(),
            "spared": gc.get_freeze_count() > 0,
        }
        await whole(send, json.dumps(facts).encode())

    return app


def asking(client: Any) -> Any:
    """Queues a run through its client, and tells its number."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # it knows no lifespan
        run = await client.enqueue("apps.noted", {})
        await whole(send, str(run).encode())

    return app


def faulty(client: Any) -> Any:  # noqa: C901 - a case for each fault
    """Does the worst that its path names."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        match scope["path"].rpartition("/")[2]:
            case "raise":
                raise ValueError("no")
            case "never":
                await asyncio.Event().wait()
            case "swallow":
                while True:
                    try:
                        await asyncio.Event().wait()
                    except asyncio.CancelledError:
                        await asyncio.sleep(0)
            case "half":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                raise ValueError("in the midst")
            case "hold":
                time.sleep(3600)  # noqa: ASYNC251 - the whole loop
            case "exit":
                os._exit(7)
            case "memory":
                held = [bytearray(64 * 1024 * 1024) for _ in range(100)]
                await whole(send, str(len(held)).encode())

    return app


def unmade(client: Any) -> Any:
    raise RuntimeError("this factory has no luck")


def exiting(client: Any) -> Any:
    sys.exit(3)


async def late(client: Any) -> Any:
    return sound(client)


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "it has no table"})


@job("apps.noted")
async def noted(run: RunContext) -> str:
    return "noted"


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [noted]


@hookimpl
def sereno_register_apps() -> Mapping[str, App]:
    return {
        "/console": App("The console", sound),
        "/console/deep": App("Below it", late),
        "/api/v1": App("Runs <b>over</b> HTTP", asking),
        "/faulty": App("Faults", faulty),
        "/unmade": App("Never made", unmade),
        "/exiting": App("Ends", exiting),
        "/refusing": App("Does not start", lambda client: refusing),
        "/number": App("A number", lambda client: 7),
    }
