"""Whoever may connect may take the locks that nodes go by: then it is named, and what ends it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from sereno.engine import leader
from sereno.model.job import job
from sereno.observe.health import health, readiness
from sereno.observe.job_watch import JobWatch
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.triggers import every

from ..servers.postgres import PostgresServer
from .cli_scene import Scene as Cli
from .node import Eye, LiveNode, looking, running

pytestmark = [pytest.mark.every_postgres, pytest.mark.timeout(240)]


@job("tests.tick", schedule=every("1s"))
async def tick(run: object) -> None: ...


@pytest.fixture
async def dsn(private_postgres: PostgresServer) -> str:
    """A database of a role that is no superuser, with another role that may connect alone."""
    for statement in (
        "CREATE ROLE app LOGIN",
        "CREATE ROLE guest LOGIN",
        "CREATE DATABASE app OWNER app",
    ):
        private_postgres.execute(statement)
    return private_postgres.dsn("app").replace("postgres@", "app@")


@asynccontextmanager
async def stranger(dsn: str, *locks: int) -> AsyncIterator[asyncpg.Connection]:
    """Give a session that has these locks of nodes' class."""
    connection = await asyncpg.connect(
        dsn.replace("app@", "guest@"), server_settings={"application_name": "nightly report"}
    )
    try:
        for lock in locks:
            await connection.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, lock)
        yield connection
    finally:
        connection.terminate()


def named(connection: asyncpg.Connection) -> str:
    return f"pid {connection.get_server_pid()} (role 'guest', application 'nightly report')"


async def problems(node: LiveNode) -> list[str]:
    report = health(node.status, await JobWatch(node.kernel.db).poll(), [])
    assert report["status"] == ("down" if report["problems"] else "ok")
    assert report["leader"]["alive"] is not bool(report["problems"])
    return list(report["problems"])


async def end(dsn: str, connection: asyncpg.Connection) -> None:
    async with looking(dsn.replace("app@", "postgres@")) as eye:
        await eye.value("SELECT pg_terminate_backend($1)", connection.get_server_pid())


async def test_who_holds_the_leaders_lock_and_is_no_node_is_named_with_what_ends_it(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(dsn) as first:  # brings the schema, and leaves a leader's name behind
        await first.leads()
    with caplog.at_level(logging.WARNING, "sereno.leader"):
        async with stranger(dsn, LEADER_LOCK) as guest, running(dsn, tick) as node:
            remedy = f"SELECT pg_terminate_backend({guest.get_server_pid()})"
            await said(caplog, "nobody can lead")
            assert [(r.holder, r.remedy) for r in caplog.records if "nobody can" in r.message] == [
                (named(guest), remedy)
            ]
            (problem,) = await problems(node)
            assert "no node leads" in problem
            assert f"held by {named(guest)}, which is no node" in problem
            assert problem.endswith(remedy)
            told = await asyncio.to_thread(Cli(dsn).call, "cluster")
            assert problem in told.stdout
            shown = await asyncio.to_thread(Cli(dsn).json, "cluster")
            assert shown["leader"]["held"] is False
            assert shown["leader"]["holder"]["pid"] == guest.get_server_pid()
            await end(dsn, guest)
            await node.finished("tests.tick")
            assert await problems(node) == []


async def said(caplog: pytest.LogCaptureFixture, text: str) -> None:
    async with asyncio.timeout(45):
        while not any(text in r.message for r in caplog.records):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_leader_is_led_by_though_strangers_hold_other_locks_of_its_class(dsn: str) -> None:
    async with running(dsn, tick) as node, stranger(dsn, 500, -1, 2**31 - 1):
        await node.leads()
        await node.finished("tests.tick")
        assert await problems(node) == []


async def test_one_that_holds_a_dead_nodes_lock_beside_the_leaders_is_told_by_its_silence(
    dsn: str,
) -> None:
    async with running(dsn) as first:
        await first.leads()
    async with looking(dsn) as eye, stranger(dsn, LEADER_LOCK, 1) as guest:
        await eye.connection.execute(
            "UPDATE sereno.leadership SET beat_at = clock_timestamp() - interval '4 days'"
        )
        async with running(dsn, tick) as node:
            await eye.until("SELECT count(*) = 2 FROM sereno.node")
            (problem,) = await problems(node)
            assert f"held by {named(guest)}, whose last heartbeat was 4d" in problem


async def test_who_holds_a_nodes_presence_lock_is_named_and_the_node_takes_part_once_it_ends(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "_PRESENCE_PATIENCE", 0.1)
    async with stranger(dsn, 1) as guest, running(dsn, tick) as node:
        await ready(node, lambda told: named(guest) in str(told))
        assert f"pg_terminate_backend({guest.get_server_pid()})" in str(readiness(node.status))
        await end(dsn, guest)
        await node.finished("tests.tick")
        # A run may be over before its leader's first turn is, which is when it says so.
        await ready(node, lambda told: told is None)


async def ready(node: LiveNode, holds: Callable[[str | None], bool]) -> None:
    """Wait until what is told of whether it is ready is as asked."""
    async with asyncio.timeout(45):
        while not holds(readiness(node.status)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_dead_nodes_runs_are_taken_up_though_a_stranger_keeps_its_lock(dsn: str) -> None:
    async with stranger(dsn, 7), running(dsn, tick) as node, looking(dsn) as eye:
        await node.leads()
        run = await run_of_one_that_died(eye)
        await eye.until("SELECT state = 'succeeded' FROM sereno.run WHERE id = $1", run)
        nodes = await asyncio.to_thread(Cli(dsn).json, "cluster", "--all")
        assert {n["label"]: n["present"] for n in nodes["nodes"]}["dead"] is False


async def run_of_one_that_died(eye: Eye) -> int:
    """Let a node have died some minutes ago that had a run; return its id."""
    await eye.connection.execute(
        "INSERT INTO sereno.node (id, label, pid, version, key, started_at, seen_at)"
        " OVERRIDING SYSTEM VALUE VALUES ('00000000-0000-0000-0000-000000000007', 'dead', 7, '1',"
        " 7, now() - interval '1 hour', now() - interval '5 minutes')"
    )
    return int(
        await eye.value(
            "INSERT INTO sereno.run (job, state, cause, attempt, node, term, started_at)"
            " VALUES ('tests.tick', 'running', 'program', 1,"
            " '00000000-0000-0000-0000-000000000007', 1, now()) RETURNING id"
        )
    )
