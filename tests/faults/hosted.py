"""A web application with a node in each of its workers, for tests that kill and stop them."""

import os
import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from sereno import RunContext, Sereno, asgi, every, job

LEASE = 2.0

INSERT = "INSERT INTO beat (slot, pid) VALUES ($1, $2) ON CONFLICT DO NOTHING"


@job("web.beat", schedule=every("1s"), retry={"attempts": 3, "delay": 0})
async def beat(run: RunContext) -> None:
    """Note the slot, once, also where its worker is killed between this and its end."""
    async with run.database() as connection, connection.transaction():
        await run.fence(connection)
        await connection.execute(INSERT, run.slot, os.getpid())


async def block(request: Request) -> JSONResponse:
    """Hold this worker's loop up for longer than the lease."""
    time.sleep(float(request.query_params["seconds"]))  # noqa: ASYNC251 - what is to be endured
    return JSONResponse({"pid": os.getpid(), "leading": node.leading})


async def who(request: Request) -> JSONResponse:
    return JSONResponse({"pid": os.getpid(), "leading": node.leading})


settings = {
    "database_url": os.environ.get("HOSTED_DATABASE", "embedded"),
    "lease": f"{LEASE:g}s",
    "drain_timeout": "5s",
}
node = Sereno(settings, plugins=[beat], entry_points=False)
routes = [Route("/who", who), Route("/block", block), Mount("/health", asgi.health(node))]
app = Starlette(routes=routes, lifespan=node.lifespan)
