"""``manage.py sereno``: the command line with the project's settings, and a replica of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ...servers.waiting import wait_until
from .conftest import PROJECT

OURS = "FROM sereno.job WHERE plugin = 'django'"


def environ(database: str, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SERENO_", "DJANGO_"))}
    return {**kept, "BOOKSHOP_DATABASE": database, **more}


def manage(database: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT,
        env=environ(database, **more),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@contextmanager
def replica(database: str, **more: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sereno", "run"],
        cwd=PROJECT,
        env=environ(database, **more),
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def ask(database: str, statement: str) -> Any:
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        return None if row is None else row[0]


def test_a_replica_runs_the_project_s_jobs_with_its_logging(database: str, tmp_path: Path) -> None:
    errors = tmp_path / "errors.log"
    with replica(database, BOOKSHOP_ERRORS=str(errors)):
        wait_until(lambda: ask(database, f"SELECT count(*) = 6 {OURS}"), "the jobs")
        names = f"SELECT array_agg(name ORDER BY name) {OURS}"
        assert ask(database, names) == [
            *("bookshop.count", "bookshop.count_async", "bookshop.greet"),
            *("django.async_task", "django.command", "django.task"),
        ]
        done = manage(database, "sereno", "trigger", "bookshop.greet", "--wait", "--json")
        assert done.returncode == 0, done.stderr
        failed = manage(database, "sereno", "trigger", "bookshop.count", "--wait")
        assert failed.returncode == 1, failed.stderr  # the project's tables are not there
        slots = json.loads(manage(database, "sereno", "next", "bookshop.count", "--json").stdout)
        assert slots
    assert errors.read_text().startswith("ERROR sereno.runs ")
    policies = "SELECT policies ->> 'timeout' FROM sereno.job WHERE name = 'bookshop.count'"
    assert ask(database, policies) == "PT30S"


def test_faults_of_the_settings_are_sentences(database: str) -> None:
    wrong = manage(database, "sereno", "jobs", SERENO_LEASE="soon")
    assert wrong.returncode == 2
    assert "SERENO_LEASE" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("words", [["sereno", "--help"], ["sereno", "jobs", "--json"]])
def test_each_command_is_reached(database: str, words: list[str]) -> None:
    done = manage(database, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout
