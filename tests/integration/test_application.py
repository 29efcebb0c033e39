"""What ``Sereno`` promises to an application that has a node in its process."""

import asyncio
import contextlib
import gc
import logging
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from sereno import Client, ConfigurationError, RunContext, Sereno, StoreError, hookimpl, job
from sereno.asgi import health, metrics, status_of, with_lifespan
from sereno.engine.runlog import RunLogHandler
from sereno.model import errors
from sereno.model.errors import PluginError
from sereno.testing import Kernel

from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .asgi_client import alive, ask

LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def process_of_an_application() -> Iterator[None]:
    """Set aside what nodes that had a process for themselves left: each keeps every logger's lines
    for as long as its process lasts, and other tests start such nodes in this one."""
    root = logging.getLogger()
    left = [handler for handler in root.handlers if isinstance(handler, RunLogHandler)]
    for handler in left:
        root.removeHandler(handler)
    yield
    for handler in left:
        root.addHandler(handler)


def node(database: str, *plugins: Any, **options: Any) -> Sereno:
    """Return a node of this test's, which reads nothing of this machine but `settings`."""
    settings = {"database_url": database, **options.pop("settings", {})}
    return Sereno(settings, plugins=plugins, entry_points=False, **options)


def leads(sereno: Sereno) -> bool:
    return sereno.leading


@job("shop.thread")
def in_thread(run: RunContext) -> None:
    run.log.info("hello from a thread")


@job("shop.host", executor="host")
async def in_host(run: RunContext) -> dict[str, Any]:
    run.progress(1, 2)
    run.checkpoint("half")
    await run.flush()
    async with run.database() as connection:
        one = await connection.fetchval("SELECT 1")
    queued = await run.enqueue("shop.host", run_at=run.now() + timedelta(days=1))
    return {
        "here": run.state is not None and asyncio.get_running_loop() is run.state["loop"],
        "one": one,
        "queued": queued,
        "by": (await run.client.run(queued)).requested_by,
    }


@pytest.mark.every_loop
async def test_jobs_run_in_threads_in_the_node_s_loop_and_in_the_application_s(
    database: str,
) -> None:
    state = {"loop": asyncio.get_running_loop(), "thread": threading.current_thread()}
    where: dict[str, threading.Thread] = {}

    @job("shop.thread")
    def in_thread(run: RunContext) -> bool:
        where["thread"] = threading.current_thread()
        return run.state is state

    @job("shop.loop")
    async def in_loop(run: RunContext) -> bool:
        where["loop"] = threading.current_thread()
        return run.state is state

    async with node(database, in_thread, in_loop, in_host, state=state) as sereno:
        client = sereno.client
        names = ("shop.thread", "shop.loop", "shop.host")
        ended = [await client.wait(await client.enqueue(name)) for name in names]

    assert [run.state for run in ended] == ["succeeded"] * 3, ended
    assert [run.result for run in ended[:2]] == [True, True]
    assert len({*where.values(), state["thread"]}) == 3
    host = ended[2].result
    assert host["here"]
    assert host["one"] == 1
    assert host["by"].startswith(f"run {ended[2].id} ")


async def test_an_endpoint_that_blocks_for_longer_than_the_lease_does_not_cost_the_lead(
    database: str,
) -> None:
    begun = threading.Event()

    @job("shop.loop")
    async def in_loop(run: RunContext) -> None:
        begun.set()

    async with node(database, in_loop, settings={"lease": "2s"}) as sereno:
        await sereno.client.enqueue("shop.loop", run_at=None)
        term = (await sereno.client.leader()).term
        time.sleep(4.5)  # noqa: ASYNC251 - the endpoint: twice the lease and more
        assert begun.wait(30)  # in the node's thread, while this loop is held
        assert sereno.leading
        assert (await sereno.client.leader()).term == term


@pytest.mark.every_loop
async def test_nothing_of_its_process_is_touched(database: str) -> None:
    def seen() -> dict[str, Any]:
        root = logging.getLogger()
        return {
            "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
            "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
            "root": (root.level, tuple(root.handlers), type(root), root.filters[:]),
            "streams": (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__),
            "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
            "policy": asyncio.get_event_loop_policy(),
            "factory": logging.getLogRecordFactory(),
            "classes": logging.getLoggerClass(),
            "limits": [resource.getrlimit(n) for n in LIMITS],
            "garbage": (gc.get_threshold(), gc.isenabled()),
            "warnings": (warnings.showwarning, warnings.filters[:]),
            "task factory": asyncio.get_running_loop().get_task_factory(),
            "wakeup": signal.set_wakeup_fd(-1),
            "levels": {n: logging.getLogger(n).level for n in ("asyncio", "uvicorn", "sereno")},
        }

    before, frozen = seen(), gc.get_freeze_count()
    signal.set_wakeup_fd(before["wakeup"])
    sereno = node(database, in_host)
    async with sereno:
        within = seen()
        signal.set_wakeup_fd(within["wakeup"])
    after = seen()
    signal.set_wakeup_fd(after["wakeup"])

    assert {k: v for k, v in within.items() if k != "levels"} == {
        k: v for k, v in before.items() if k != "levels"
    }
    assert after == before
    assert gc.get_freeze_count() <= frozen  # less, where the suite's own have gone


async def test_two_nodes_in_one_process_have_one_leader_and_stop_apart(database: str) -> None:
    async with node(database, in_host) as first:
        second = node(database, in_host)
        await second.astart()
        assert [first.leading, second.leading] == [True, False]

        await first.astop()
        await asyncio.to_thread(wait_until, lambda: second.leading, "the other one leads")
        assert await first.astop()
        await second.astop()
    assert not first.running
    assert not second.running


def test_it_starts_and_stops_where_no_event_loop_is(database: str) -> None:
    with node(database, in_thread, in_host) as sereno:
        client = sereno.sync_client
        run = client.wait(client.enqueue("shop.thread"))
        lines = [entry.message for entry in client.log(run.id)]
        host = client.wait(client.enqueue("shop.host"))

    assert run.state == "succeeded"
    assert lines == ["hello from a thread"]
    assert host.state == "failed"
    assert "executor 'host' is an application's event loop" in str(host.error)
    assert sereno.stop()


async def test_code_that_waits_is_refused_in_an_event_loop(database: str) -> None:
    with pytest.raises(RuntimeError, match=r"write await sereno.astart"):
        node(database).start()
    with pytest.raises(RuntimeError, match=r"write await sereno.astop"):
        node(database).stop()


async def test_what_is_wrong_at_the_start_is_raised_as_a_sentence(database: str) -> None:
    class Broken:
        @hookimpl
        def sereno_register_jobs(self) -> list[Any]:
            raise KeyError("shop")

    with pytest.raises(PluginError, match=r"plugin 'Broken': .*KeyError"):
        await node(database, Broken()).astart()
    with pytest.raises(ConfigurationError, match="unknown key 'leese', did you mean 'lease'"):
        await Sereno({"database_url": database, "leese": "1s"}, entry_points=False).astart()
    with pytest.raises(PluginError, match="declares no job"):
        await node(database, sys.modules["json"]).astart()
    with pytest.raises(ConfigurationError, match=r"give a list, as plugins=\['shop'\]"):
        Sereno({"database_url": database}, plugins="shop")


async def test_a_start_without_a_database_lets_the_application_come_up(
    private_postgres: PostgresServer,
) -> None:
    with private_postgres.database("empty_template", lambda dsn: None) as dsn:
        private_postgres.stop()
        async with node(dsn, in_host) as sereno:
            assert sereno.running
            assert not sereno.leading
            reply = await ask(health(sereno), "/readiness")
            assert reply.status == 503
            assert "database" in reply.json["reason"]
            assert (await ask(health(sereno), "/liveness")).status == 200

            private_postgres.start()
            await asyncio.to_thread(wait_until, lambda: leads(sereno), "the node leads")
            assert (await ask(health(sereno), "/readiness")).status == 200


async def test_health_answers_wherever_it_is_mounted(database: str) -> None:
    sereno = node(database, in_host)
    assert (await ask(health(sereno), "/liveness")).status == 200
    assert (await ask(health(sereno), "/readiness")).status == 503

    async with sereno:
        await sereno.client.wait(await sereno.client.enqueue("shop.host"))
        for root, path in (("", ""), ("", "/health"), ("/health", "/health/"), ("/x", "/x/health")):
            reply = await ask(health(sereno), path, root)
            assert reply.json["status"] == "ok", (root, path, reply)
        tasks = (await ask(health(sereno), "/health/tasks", "/health")).json["tasks"]
        assert [task["name"] for task in tasks] == ["shop.host"]
        assert (await ask(health(sereno), "/health/nothing", "/health")).status == 404
        assert b"sereno_leader 1\n" in (await ask(metrics(sereno), "/metrics")).body
    assert (await ask(health(sereno), "")).status == 503


def test_each_error_is_a_status_for_who_asked() -> None:
    known = {
        errors.NotFoundError: 404,
        errors.ConflictError: 409,
        errors.WaitTimeoutError: 504,
        errors.StoreUnavailableError: 503,
        errors.StoreRightsError: 503,
        errors.ParamsError: 400,
        errors.TriggerError: 400,
        errors.DeclarationError: 400,
    }
    assert {kind: status_of(kind("a sentence")) for kind in known} == known


@pytest.mark.every_loop
async def test_a_stop_waits_for_runs_as_long_as_it_is_told(database: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @job("shop.slow", executor="host", on_lost="retry")
    async def slow(run: RunContext) -> str:
        begun.set()
        await go_on.wait()
        return "whole"

    sereno = node(database, slow)
    for timeout, told, ended in ((math.inf, True, "succeeded"), (0, False, "queued")):
        begun.clear()
        go_on.clear()
        await sereno.astart()
        run = await sereno.client.enqueue("shop.slow")
        await begun.wait()
        stopping = asyncio.ensure_future(sereno.astop(timeout))
        if told:
            go_on.set()
        assert await stopping
        async with Client.open(database) as client:
            found = await client.run(run)
        assert (found.state, found.result) == (ended, "whole" if told else None)
        async with Client.open(database) as client:
            await client.cancel(run) if not told else None


async def test_lines_of_named_loggers_are_kept_with_the_run_and_no_others(database: str) -> None:
    @job("shop.tell")
    async def tell(run: RunContext) -> None:
        logging.getLogger("shop.service").warning("kept")
        logging.getLogger("other.service").warning("not kept")
        run.log.info("own")
        run.log.debug("below keep_level")

    async with node(database, tell, loggers=["shop"]) as sereno:
        run = await sereno.client.wait(await sereno.client.enqueue("shop.tell"))
        lines = [entry.message for entry in await sereno.client.log(run.id)]
    assert lines == ["kept", "own"]
    assert not logging.getLogger("shop").handlers
    assert not [h for h in logging.getLogger("sereno").handlers if isinstance(h, RunLogHandler)]


async def test_a_line_is_kept_once_though_several_handlers_are_on_its_way(
    database: str, sereno_database: str
) -> None:
    @job("shop.tell")
    async def tell(run: RunContext) -> None:
        logging.getLogger("shop.service").warning("named twice")
        run.log.info("own")

    loggers = ["shop", "shop.service", "sereno.job"]
    async with (
        Kernel(database=sereno_database),
        node(database, tell) as first,
        node(database, tell, loggers=loggers),
    ):
        run = await first.client.wait(await first.client.enqueue("shop.tell"))
        lines = [entry.message for entry in await first.client.log(run.id)]
    assert lines == ["named twice", "own"]


def test_a_child_that_is_forked_after_the_start_has_no_node_and_may_have_its_own(
    database: str,
) -> None:
    """As a worker of gunicorn, where its master has loaded and started the application."""
    with node(database, in_thread) as sereno:
        child = os.fork()
        if child == 0:
            code = 9
            with contextlib.suppress(BaseException):
                assert not sereno.running
                assert not sereno.leading
                assert sereno.stop()
                with pytest.raises(RuntimeError, match="not started in this process"):
                    _ = sereno.sync_client
                with sereno:
                    client = sereno.sync_client
                    code = (
                        0 if client.wait(client.enqueue("shop.thread")).state == "succeeded" else 8
                    )
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client = sereno.sync_client
        assert client.wait(client.enqueue("shop.thread")).state == "succeeded"


PROGRAM = """
import sys
from sereno import RunContext, Sereno, job

@job("shop.idle")
async def idle(run: RunContext) -> None: ...

node = Sereno({"database_url": sys.argv[1], "lease": "30s"}, plugins=[idle], entry_points=False)
node.start()
print(node.leading)
"""


async def test_a_program_that_ends_without_a_stop_gives_the_lead_up(database: str) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM, database],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("True\n", "", 0)
    async with Client.open(database) as client:
        (left,) = (await client.cluster()).nodes
    assert left.left_at is not None


def fastapi(sereno: Sereno) -> Any:
    app = FastAPI(lifespan=sereno.lifespan)
    app.mount("/health", health(sereno))
    return app


def starlette(sereno: Sereno) -> Any:
    return Starlette(lifespan=sereno.lifespan, routes=[Mount("/health", health(sereno))])


def starlette_with_its_own(sereno: Sereno) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        async with sereno:
            yield {"name": "shop"}

    return Starlette(lifespan=lifespan, routes=[Mount("/health", health(sereno))])


def without_lifespan(sereno: Sereno) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("Django can only handle ASGI/HTTP connections, not lifespan.")
        await health(sereno)(scope, receive, send)

    return with_lifespan(app, sereno)


@pytest.mark.parametrize("made", [fastapi, starlette, starlette_with_its_own, without_lifespan])
async def test_a_framework_keeps_the_node_for_as_long_as_it_serves(
    database: str, made: Any
) -> None:
    sereno = node(database, in_host)
    app = made(sereno)
    async with alive(app):
        assert sereno.running
        assert (await ask(app, "/health/readiness")).json == {"status": "ready"}
        assert (await ask(app, "/health/tasks")).json["tasks"][0]["name"] == "shop.host"
    assert not sereno.running


@pytest.mark.parametrize("made", [fastapi, without_lifespan])
async def test_what_is_wrong_at_the_start_is_told_by_the_server(database: str, made: Any) -> None:
    sereno = Sereno({"database_url": database, "leese": "1s"}, entry_points=False)
    with pytest.raises(RuntimeError, match="did you mean 'lease'"):
        async with alive(made(sereno)):
            pass


async def test_a_start_that_is_cancelled_leaves_no_node_behind(
    private_postgres: PostgresServer,
) -> None:
    with private_postgres.database("empty_template", lambda dsn: None) as dsn:
        sereno = node(dsn, in_host)
        starting = asyncio.ensure_future(sereno.astart())
        await asyncio.sleep(0)
        guest = sereno._guest
        assert guest is not None
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not sereno.running
        await asyncio.to_thread(guest.over.result, 30)
        async with sereno:
            assert sereno.leading
            with pytest.raises(RuntimeError, match="is started already"):
                await sereno.astart()


async def test_a_role_without_rights_is_told_at_the_start(
    postgres_server: PostgresServer, empty_database: str
) -> None:
    owner = await asyncpg.connect(empty_database)
    try:
        await owner.execute("CREATE ROLE poor LOGIN")
        sereno = node(empty_database.replace("//postgres@", "//poor@"), in_host)
        with pytest.raises(StoreError, match=r"poor|permission|rights"):
            await sereno.astart()
        assert not sereno.running
        assert await sereno.astop()
    finally:
        await owner.execute("DROP ROLE poor")
        await owner.close()
