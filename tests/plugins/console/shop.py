"""Jobs of a shop and of an exchange, for tests of the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec

from sereno import Client, RunContext, Secret, cron, job
from sereno_console.security.secrets import hashed, hint, new_token
from sereno_console.tables import tokens

from ...integration.node import looking, running

EXACT = 2**63 + 11
"""No number of JavaScript's, nor of PostgreSQL's bigint."""


class Order(msgspec.Struct):
    site: str = "lugo"
    number: int = 0
    key: Annotated[str | None, Secret] = None


@job("shop.orders", params=Order, schedule=cron("0 4 1 1 *"), title="Orders", tags=("shop",))
async def orders(run: RunContext) -> dict[str, Any]:
    """Take orders."""
    run.log.info("taking <b>orders</b>")
    return {"number": run.params.number, "exact": EXACT}


@job("shop.slow")
async def slow(run: RunContext) -> None:
    """Wait until it is told to stop."""
    run.progress(1, 2, "half")
    await asyncio.Event().wait()


@job("shop.bad")
async def bad(run: RunContext) -> None:
    """Fail."""
    raise ValueError("no <script>alert(1)</script>")


@job("etl.sync", schedule=cron("0 5 1 1 *"))
async def sync(run: RunContext) -> None:
    """Move rows."""


JOBS = (orders, slow, bad, sync)


@asynccontextmanager
async def at_work(database: str, *more: Any) -> AsyncIterator[None]:
    """Have a node run the jobs, and `more`."""
    jobs = (*JOBS, *more)
    async with running(database, *jobs), looking(database) as eye:
        for declared in jobs:
            await eye.known(declared.name)
        yield


async def bearer(database: str, *scopes: str, name: str = "test") -> dict[str, str]:
    """Return the header of a new token."""
    token = new_token()
    async with Client.open(database, connections=1) as client:
        await tokens.add(client, name, (hashed(token), hint(token)), list(scopes), "test", None)
    return {"authorization": f"Bearer {token}"}


async def done(web: httpx.AsyncClient, name: str, params: Any = None) -> dict[str, Any]:
    """Run a job and return what became of it."""
    asked = await web.post(f"/api/v1/jobs/{name}/runs", json={"params": params or {}})
    assert asked.status_code == 201, asked.text
    found = await web.get(f"/api/v1/runs/{asked.json()['run_id']}/wait?seconds=30")
    assert found.status_code == 200, found.text
    return dict(found.json())
