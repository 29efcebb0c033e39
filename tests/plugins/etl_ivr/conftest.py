"""Fixtures for the tests of etl_ivr: an exchange with calls, and a sync that one line runs."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest

from sereno import Job
from sereno.store.migrator import migrate
from sereno.testing import RecordedRun, run_context
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync
from sereno_etl_ivr.target.schema import ensure_schema

from ...servers.filling import filling, on_connection
from ...servers.postgres import PostgresServer
from .pbx import FREEPBX, Pbx

Sync = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give a database with the kernel's schema, in which an earlier sync has made its tables."""
    fill = filling(migrate, on_connection(ensure_schema))
    with postgres_server.database("etl_ivr_template", fill) as dsn:
        yield dsn


@pytest.fixture
def empty_pbx(mariadb: str) -> Iterator[Pbx]:
    """Give an exchange without a table."""
    with Pbx.connected(mariadb) as pbx:
        yield pbx


@pytest.fixture
def pbx(empty_pbx: Pbx) -> Pbx:
    """Give an exchange with FreePBX's `cdr`, empty."""
    empty_pbx.execute(FREEPBX)
    return empty_pbx


@pytest.fixture
def context(database: str) -> Callable[..., RecordedRun]:
    """Build a run's context from settings."""

    def build(
        url: str, job: Job = sync, params: Mapping[str, Any] | None = None, **settings: Any
    ) -> RecordedRun:
        chosen = msgspec.convert({"source_url": url, **settings}, Settings)
        return run_context(job, params, settings=chosen, database_url=database)

    return build


@pytest.fixture
def synced(context: Callable[..., RecordedRun]) -> Sync:
    """Run `etl_ivr.sync` once from the exchange `pbx` (or a URL) with settings, give its result.

    `job`, `params`: another job, and what it is given.
    """

    async def run(pbx: Pbx | str, /, job: Job = sync, **settings: Any) -> dict[str, Any]:
        url = pbx if isinstance(pbx, str) else pbx.url
        result: dict[str, Any] = await job.function(context(url, job, **settings))
        return result

    return run
