"""A plugin's whole life: written, built, installed by pip, at work on two replicas, uninstalled."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from sereno import SyncClient

from ..servers.waiting import wait_until
from .asking import value
from .process import KEPT, ROOT, Process, process

SOURCE = Path(__file__).with_name("keeper_plugin.py").read_text("utf-8")
TABLE = """
CREATE TABLE note (
    run   bigint PRIMARY KEY,
    text  text NOT NULL,
    heard boolean NOT NULL DEFAULT false
);
"""
REST = """
from sereno import every, job


@job("rest.tick", schedule=every("1s"))
async def tick(run):
    return "here"
"""
SETTINGS = """
modules = ["rest"]
disabled_plugins = ["cleanup", "etl_ivr", "notify", "reports", "sun"]

[apps]
port = 0

[plugins.keeper]
mark = "from outside"

[jobs."keeper.count"]
priority = 1
"""

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def done(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


class Place:
    """An environment that has what ours has, and a directory in which replicas are started."""

    def __init__(self, place: Path) -> None:
        self.place = place
        venv.create(place / "env", with_pip=False)
        self.python = str(place / "env/bin/python")
        site = next((place / "env/lib").glob("python3*")) / "site-packages"
        ours = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (site / "ours.pth").write_text(ours)
        (place / "sereno.toml").write_text(SETTINGS)
        (place / "rest.py").write_text(REST)

    def pip(self, *words: str) -> None:
        done(sys.executable, "-m", "pip", "--python", self.python, *words, cwd=self.place)

    def check(self, dsn: str) -> str:
        """Return what `sereno check` says; it must be content."""
        env = {"PYTHONPATH": f"{ROOT / 'kernel'}", "SERENO_DATABASE_URL": dsn, "COLUMNS": "2000"}
        return done(self.python, "-m", "sereno", "check", cwd=self.place, env=env)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a place where the plugin is installed, from a wheel that its author has built."""
    found = Place(tmp_path)
    done(sys.executable, "-m", "sereno", "new-plugin", "keeper", cwd=tmp_path, env=dict(os.environ))
    root = tmp_path / "sereno-keeper"
    (root / "sereno_keeper/plugin.py").write_text(SOURCE)
    migrations = root / "sereno_keeper/migrations"
    migrations.mkdir()
    (migrations / "0001_pre_note.sql").write_text(TABLE)
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=root)
    (wheel,) = (root / "dist").glob("*.whl")
    found.pip("install", "--no-index", "--no-deps", str(wheel))
    return found


def noted(replica: Process) -> float | None:
    """Return the figure of the plugin's Counter, None where it is not on the page."""
    found = re.search(r"^keeper_noted_total (\S+)$", replica.page("/metrics").text, re.MULTILINE)
    return None if found is None else float(found[1])


def end(replica: Process) -> None:
    replica.signal(signal.SIGTERM)
    assert replica.end() == 0
    assert replica.lines("hook failed") == []


def goes_on(dsn: str) -> None:
    """Wait for two ticks of the rest that are yet to come."""
    ticks = "SELECT count(*) FROM sereno.run WHERE job = 'rest.tick' AND state = 'succeeded'"
    before = value(dsn, ticks)
    wait_until(lambda: value(dsn, ticks) >= before + 2, "ticks of the rest")


def test_it_is_installed_by_pip_works_on_two_replicas_and_is_uninstalled(
    empty_database: str, place: Place, tmp_path: Path
) -> None:
    dsn, total = empty_database, 4

    def replica() -> AbstractContextManager[Process]:
        return process(dsn, tmp_path, "", site=tmp_path, python=place.python, **KEPT)

    def note(client: SyncClient) -> None:
        kept = client.wait(client.enqueue("keeper.note", {"text": "more"}), timeout="30s")
        assert kept.result == {"text": "from outside: more", "number": kept.id}, kept

    with replica() as first:
        first.said("leading")
        with replica() as second, SyncClient.open(dsn) as client:
            for one in (first, second):
                base = one.said("apps are served", seconds=40)["at"]
                answer = httpx.get(f"{base}keeper/hello", timeout=30).json()
                assert answer["text"] == "from outside: hello"
            note(client)
            assert (noted(first), noted(second)) == (3, 0)
            end(first)
            second.said("leading")
            note(client)
            assert noted(second) == 1
            heard = "SELECT count(*) FROM keeper.note WHERE heard"
            wait_until(lambda: value(dsn, heard) == total, "what the hook has heard")
            counted = "SELECT max(result::text::int) FROM sereno.run WHERE job = 'keeper.count'"
            routed = "SELECT count(*) FROM sereno.message WHERE routed_at IS NOT NULL"
            wait_until(lambda: value(dsn, routed) == total, "messages")
            wait_until(lambda: value(dsn, counted) == total, "the schedule's run after all notes")
            said = place.check(dsn)
            assert "keeper 0.1.0" in said
            assert f"nobody has heard {total} messages of jobs" in said
            assert "orphaned" not in said

            place.pip("uninstall", "--yes", "sereno-keeper")
            goes_on(dsn)
            end(second)
        for one in (first, second):
            failed = one.lines("a plugin failed, apps of the others are served")
            assert failed == [], failed[0]["reason"]

    with replica() as first, replica() as second:
        gone = "jobs that were declared until now are declared no longer: nothing fires them"
        wait_until(lambda: first.lines(gone) or second.lines(gone), "what a leader says of them")
        goes_on(dsn)
        for one in (first, second):
            one.said("ready")
            assert one.page("/health/readiness").status_code == 200
            assert noted(one) is None
            assert [line["warning"] for line in one.lines("configuration")] != []
            assert all("/keeper" not in line["apps"] for line in one.lines("apps are served"))
        said = place.check(dsn)
        for sentence in (
            "no plugin 'keeper' is installed: what is set for it is orphaned",
            "no plugin declares a job 'keeper.count'",
            "schedule 'keeper.count' of plugin 'keeper' is orphaned",
            "schema 'keeper' (1 migration) is orphaned: plugin 'keeper' is not installed",
        ):
            assert sentence in said
        for one in (first, second):
            end(one)
    assert value(dsn, "SELECT count(*) FROM keeper.note") == total
