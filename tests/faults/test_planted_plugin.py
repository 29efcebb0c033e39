"""A plugin from elsewhere, with tables, a state and something to say, at work on two replicas; then
it is gone, and nothing else is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..planting import plant
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import ROOT, process

PLUGIN = """
from contextlib import asynccontextmanager

import asyncpg

from sereno import Message, Migrations, hookimpl, job


@job("keeper.note")
async def note(run):
    async with run.state.acquire() as connection:
        await connection.execute("INSERT INTO keeper.note (run) VALUES ($1)", run.run_id)
    run.notify(Message(f"run {run.run_id} has noted"), key=str(run.run_id))


@hookimpl
def sereno_register_jobs():
    return [note]


@hookimpl
def sereno_register_migrations():
    return Migrations(schema="keeper", package="keeper_tables")


@hookimpl
@asynccontextmanager
async def sereno_lifespan(database_url):
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        await pool.fetchval("SELECT count(*) FROM keeper.note")
        yield pool


@hookimpl
async def sereno_on_run_finished(event, state):
    if event.job == "keeper.note":
        await state.execute("UPDATE keeper.note SET heard = true WHERE run = $1", event.run_id)
"""
TABLE = "CREATE TABLE note (run bigint PRIMARY KEY, heard boolean NOT NULL DEFAULT false);"

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


def check(dsn: str, site: Path, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sereno", "check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=place,
        env={"PYTHONPATH": f"{ROOT / 'kernel'}:{site}", "SERENO_DATABASE_URL": dsn},
    )


def test_it_works_on_two_replicas_and_leaves_nothing_but_its_schema(
    empty_database: str, tmp_path: Path
) -> None:
    dsn, site, bare = empty_database, tmp_path / "site", tmp_path / "bare"
    plant(site, PLUGIN, "keeper", distribution="sereno-keeper")
    bare.mkdir()
    files = site / "keeper_tables" / "migrations"
    files.mkdir(parents=True)
    (files.parent / "__init__.py").touch()
    (files / "0001_pre_note.sql").write_text(TABLE)
    with (
        process(dsn, tmp_path, "", site=site) as first,
        process(dsn, tmp_path, "", site=site) as second,
    ):
        for replica in (first, second):
            replica.said("ready")
        runs = [enqueue(dsn, "keeper.note") for _ in range(20)]
        wait_until(lambda: {state(dsn, run) for run in runs} == {"succeeded"}, "runs")
        heard = "SELECT count(*) FROM keeper.note WHERE heard"
        wait_until(lambda: value(dsn, heard) == 20, "what the hook has heard")
        said = "SELECT count(*) FROM sereno.message WHERE carriers = 0 AND routed_at IS NOT NULL"
        wait_until(lambda: value(dsn, said) == 20, "messages")
        told = check(dsn, site, tmp_path)
        assert told.returncode == 0, told.stderr
        assert "orphaned" not in told.stderr
        assert "nobody has heard 20 messages of jobs" in told.stderr
        for replica in (first, second):
            replica.signal(signal.SIGTERM)
            assert replica.end() == 0
            assert [r["event"] for r in replica.lines("hook failed")] == []
    with process(dsn, tmp_path, "", site=bare) as without:
        without.said("leading")
        told = check(dsn, bare, tmp_path)
        assert told.returncode == 0, told.stderr
        assert "schema 'keeper' (1 migration) is orphaned: plugin 'keeper' is not" in told.stderr
    assert value(dsn, "SELECT count(*) FROM keeper.note") == 20
