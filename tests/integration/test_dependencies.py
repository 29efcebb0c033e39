"""What plugins depend on is asked as long as a node works, and its absence is told."""

import asyncio
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from sereno import Check, Finding, Sereno, hookimpl
from sereno.app.dependencies import asking
from sereno.asgi import health, metrics
from sereno.engine.status import Dependency, Status
from sereno.model.errors import PluginError
from sereno.plugins import collect, load_plugins
from sereno.settings import Settings

from ..servers.waiting import wait_until
from .asgi_client import ask

UP = b'sereno_dependency_up{plugin="shop",dependency="cache"} %d\n'


class Cache:
    """A cache that is there or not."""

    def __init__(self) -> None:
        self.fault: str | None = None

    def find(self) -> Iterable[Finding]:
        if self.fault == "raise":
            raise ConnectionError("connection refused")
        return [] if self.fault is None else [Finding(self.fault)]


def plugin(*checks: Check) -> Any:
    @hookimpl
    def sereno_register_checks() -> list[Check]:
        return list(checks)

    return SimpleNamespace(__name__="shop", sereno_register_checks=sereno_register_checks)


def node(database: str, *checks: Check) -> Sereno:
    settings = {"database_url": database}
    return Sereno(settings, plugins=[plugin(*checks)], entry_points=False)


async def until(status: Status, *, up: bool) -> Dependency:
    """Wait until the only dependency is found to be so."""

    def found() -> bool:
        return [d.up for d in status.dependencies.values()] == [up]

    await asyncio.to_thread(wait_until, found, f"the dependency is {'up' if up else 'away'}")
    return next(iter(status.dependencies.values()))


async def test_a_cache_that_goes_and_comes_is_told_by_health_and_metrics(database: str) -> None:
    cache = Cache()
    sereno = node(database, Check("cache", cache.find, every=1), Check("once", cache.find))
    async with sereno:
        assert sereno._guest is not None
        status = sereno._guest.status
        before = await until(status, up=True)
        assert (await ask(health(sereno), "")).json["status"] == "ok"
        assert UP % 1 in (await ask(metrics(sereno), "")).body

        cache.fault = "cache: no answer from redis://user:secret@cache"
        away = await until(status, up=False)
        page = (await ask(health(sereno), "")).json
        assert page["status"] == "degraded"
        why = "cache: no answer from redis://user:***@cache"
        assert page["problems"] == [f"'cache', which plugin 'shop' depends on, is away: {why}"]
        (told,) = page["dependencies"]
        assert (told["plugin"], told["name"], told["up"], told["why"]) == (
            "shop",
            "cache",
            False,
            why,
        )
        assert away.since > before.since
        assert UP % 0 in (await ask(metrics(sereno), "")).body

        cache.fault = None
        await until(status, up=True)
        assert (await ask(health(sereno), "")).json["status"] == "ok"


async def test_a_check_that_hangs_is_away_and_costs_one_thread() -> None:
    asked: list[int] = []
    go_on = threading.Event()

    def find() -> Iterable[Finding]:
        asked.append(1)
        go_on.wait(30)
        return []

    settings = Settings()
    given = [("shop", plugin(Check("slow", find, every="1h")))]
    registry = collect(load_plugins(settings, extra=given, entry_points=False), settings)
    status = Status(node=uuid4(), label="", version="")
    async with asking(registry, status, lambda: datetime.now(UTC), limit=0.05):
        assert (await until(status, up=False)).why == "it gave no answer within 0.05 s"
        go_on.set()
        await until(status, up=True)
    assert asked == [1]
    assert not status.dependencies


async def test_what_a_check_raises_is_why_it_is_away() -> None:
    cache = Cache()
    cache.fault = "raise"
    settings = Settings()
    given = [("shop", plugin(Check("cache", cache.find, every="1h")))]
    registry = collect(load_plugins(settings, extra=given, entry_points=False), settings)
    status = Status(node=uuid4(), label="", version="")
    async with asking(registry, status, lambda: datetime.now(UTC)):
        assert "connection refused" in str((await until(status, up=False)).why)


@pytest.mark.parametrize("every", [0.5, "2d", "often", -1])
async def test_how_often_is_checked_at_the_start(database: str, every: Any) -> None:
    with pytest.raises(PluginError, match="the check 'cache' is asked every"):
        await node(database, Check("cache", lambda: [], every=every)).astart()
