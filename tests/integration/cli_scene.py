"""Calls ``sereno`` against a database, and puts into it what the kernel would have left there."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg.types.json import Jsonb

from sereno import cron, hookimpl, job
from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.plugins import load_plugins
from sereno.settings import Settings
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS

from ..servers.connections import kept, let_go
from ..servers.waiting import wait_until
from ..servers.warm_python import python_process


class Params(msgspec.Struct):
    """What `etl.sync` takes."""

    site: str = "madrid"
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


@job("etl.sync", schedule=cron("0 8 * * *"), params=Params)
async def sync(run: Any) -> None: ...


@job("etl.new", schedule=cron("0 8 * * *"))
async def new(run: Any) -> None: ...


class Etl:
    @staticmethod
    @hookimpl
    def sereno_register_jobs() -> list[Any]:
        return [sync, new]


class Scene:
    """One database, and ``sereno`` on it with the plugin `etl`."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def call(self, *args: str) -> Result:
        """Call ``sereno`` in this process."""
        invocation = Invocation()
        invocation.plugins = load_plugins(Settings(), extra=[("etl", Etl)], entry_points=False)
        return CliRunner().invoke(main, ["--database-url", self.dsn, *args], obj=invocation)

    def json(self, *args: str) -> Any:
        """Call ``sereno`` with --json; what it prints must be one document, its code 0."""
        result = self.call(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def command(self, *args: str) -> list[str]:
        """Return the command line of a process of its own."""
        return [sys.executable, "-m", "sereno", "--database-url", self.dsn, *args]

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Start ``sereno`` as a process, and leave none behind."""
        with python_process(
            self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        cursor = kept(self.dsn).execute(statement.encode(), args)
        return cursor.fetchall() if cursor.description else []

    def led(self) -> None:
        """Wait until a replica leads and has made its jobs known: its term begins a moment
        before. The command says so too."""
        leading = (
            "SELECT 1 FROM sereno.leadership l, sereno.job WHERE l.node IS NOT NULL AND present"
        )
        wait_until(lambda: self.sql(leading), "a leader")
        assert self.json("cluster")["leader"]["held"]

    def job(self, name: str = "etl.sync", *, present: bool = True, **stat: Any) -> None:
        """Declare a job, as a leader does."""
        policies = Jsonb({"grace": "PT60S", "priority": 0})
        self.sql(
            "INSERT INTO sereno.job (name, plugin, policies, present) VALUES (%s, 'etl', %s, %s)",
            name, policies, present,
        )  # fmt: skip
        columns = "".join(f", {column}" for column in stat)
        values = ", %s" * len(stat)
        self.sql(
            f"INSERT INTO sereno.job_stat (job{columns}) VALUES (%s{values})", name, *stat.values()
        )

    def schedule(
        self,
        name: str = "etl.sync",
        trigger: str = "every 1h",
        *,
        since: str = "2026-01-01T00:00:00Z",
        settled_to: str = "2026-03-01T00:00:00Z",
        state: str = "active",
        **version: Any,
    ) -> int:
        """Declare a schedule that was made at `since`; returns its id."""
        declared = Jsonb({"trigger": trigger})
        found: int = self.sql(
            "INSERT INTO sereno.schedule (name, job, origin, declared, state, created_at)"
            " VALUES (%s, split_part(%s, '@', 1), 'plugin', %s, %s, %s) RETURNING id",
            name, name, declared, state, since,
        )[0][0]  # fmt: skip
        columns = "".join(f", {column}" for column in version)
        values = ", %s" * len(version)
        self.sql(
            "INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger,"
            f" params, policies, changed_by, changed_at, reason{columns})"
            f" VALUES (%s, 1, %s, %s, %s, '{{}}', '{{}}', 'the code', %s, 'declared'{values})",
            found, since, state, trigger, since, *version.values(),
        )  # fmt: skip
        self.sql(
            "INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)"
            " VALUES (%s, split_part(%s, '@', 1), %s, now() + interval '61 minutes',"
            " now() + interval '61 minutes')",
            found, name, settled_to,
        )  # fmt: skip
        return found

    def slot(
        self,
        schedule: int,
        at: str,
        verdict: str,
        reason: str | None = None,
        run: int | None = None,
    ) -> None:
        self.sql(
            "INSERT INTO sereno.slot (schedule_id, slot, verdict, reason, run_id, term, decided_at)"
            " VALUES (%s, %s, %s, %s, %s, 1, %s)",
            schedule, at, verdict, reason, run, at,
        )  # fmt: skip

    def run(self, name: str = "etl.sync", state: str = "succeeded", **columns: Any) -> int:
        """Leave a run behind; returns its id."""
        if state != "queued":
            columns = {"attempt": 1, "started_at": "2026-02-01T10:00:00Z", **columns}
        if state not in ("queued", "running"):
            columns = {"finished_at": "2026-02-01T10:00:03.2Z", **columns}
        columns = {"cause": "slot", **columns}
        values = [Jsonb(v) if isinstance(v, dict | list) else v for v in columns.values()]
        found: int = self.sql(
            f"INSERT INTO sereno.run (job, state, {', '.join(columns)})"
            f" VALUES (%s, %s{', %s' * len(columns)}) RETURNING id",
            name, state, *values,
        )[0][0]  # fmt: skip
        return found

    def node(self, label: str = "blue-1") -> tuple[str, int]:
        """Let a replica have joined; returns its id and the key of its presence lock."""
        found = str(uuid4())
        key = self.sql(
            "INSERT INTO sereno.node (id, label, pid, version) VALUES (%s, %s, 42, '0.1.0')"
            " RETURNING key",
            found, label,
        )[0][0]  # fmt: skip
        return found, key

    def term(self, node: str, term: int = 1) -> None:
        """Let `node` have begun the first term."""
        self.sql("INSERT INTO sereno.term (term, node) VALUES (%s, %s)", term, node)
        self.sql(
            "UPDATE sereno.leadership SET term = %s, node = %s, acquired_at = now(),"
            " beat_at = now()",
            term, node,
        )  # fmt: skip

    @contextmanager
    def leading(self, label: str = "blue-1") -> Iterator[str]:
        """Keep the locks of a replica that leads; gives its id."""
        node, key = self.node(label)
        self.term(node)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for lock in (key, LEADER_LOCK):
                connection.execute("SELECT pg_advisory_lock(%s::int, %s::int)", (LOCK_CLASS, lock))
            yield node

    @contextmanager
    def when_queued(self, then: Callable[["Scene", int], None]) -> Iterator[None]:
        """Do `then` with the first queued run, beside the test, as a replica would."""

        def queued() -> bool:
            return bool(self.sql("SELECT 1 FROM sereno.run WHERE state = 'queued'"))

        def work() -> None:
            wait_until(queued, "a queued run")
            then(self, self.sql("SELECT id FROM sereno.run WHERE state = 'queued'")[0][0])

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            worker.join()

    def finish(self, run: int, state: str = "succeeded", **columns: Any) -> None:
        """Let `run` have ended after 1.5 s."""
        values = [Jsonb(v) if isinstance(v, dict | list) else v for v in columns.values()]
        self.sql(
            "UPDATE sereno.run SET attempt = attempt + 1, started_at = now() - interval '1.5 s',"
            f" finished_at = now(), state = %s{''.join(f', {c} = %s' for c in columns)}"
            " WHERE id = %s",
            state, *values, run,
        )  # fmt: skip


@pytest.fixture
def scene(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Give a database of this test's own, with this machine's settings kept out."""
    for name in [name for name in os.environ if name.startswith("SERENO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.chdir(tmp_path)
    yield Scene(database)
    let_go()
