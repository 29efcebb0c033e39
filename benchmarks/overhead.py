"""What a node costs: memory over a bare asyncio process, processor share and statements when idle.

    .venv/bin/python benchmarks/overhead.py [--seconds 30] [--repeat 3]

Runs side by side, in turn, on a throw-away PostgreSQL: a process that only runs an asyncio loop; a
leader without plugins; a leader with the three plugins, idle, after a scrape of its metrics and
after its first report; a standby beside that one. Prints medians and spread, and a JSON line.

Bytecode is compiled beforehand, into a directory of the bench: a process that compiles its modules
itself is some MB larger, and whether it must is the environment's doing.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points, version
from pathlib import Path

import asyncpg

from sereno.embedded import EmbeddedPostgres
from sereno.testing import free_port
from sereno_etl_ivr.target.schema import ensure_schema

BARE = "import asyncio; asyncio.run(asyncio.sleep(10_000))"
PLUGINS = {"etl_ivr", "cleanup", "reports"}
STATEMENT = re.compile(r"^sereno (\S+)\|.*LOG:  (?:statement|execute )", re.MULTILINE)
"""A statement in the server's log, and whose it is. pg_stat_database would not do: of statements
that touch no table, as a standby's, it is not told until the session touches one."""

LOGGING = ("ALTER SYSTEM SET log_statement = 'all'", "ALTER SYSTEM SET log_line_prefix = '%a|'")
SETTLE_SECONDS = 2.0
PRIVATE = ("Private_Clean:", "Private_Dirty:")
COLUMNS = (
    ("RSS MB", "rss_mb", True),
    ("PSS MB", "pss_mb", True),
    ("USS MB", "uss_mb", True),
    ("CPU %", "cpu_percent", False),
    ("statements/s", "statements_s", False),
)
VERSIONS = ("sereno", "asyncpg", "uvloop", "h11", "croniter", "pluggy", "msgspec")

COUNTED = """
    INSERT INTO ivr.aggregated (source, rules, reached, aggregated_at)
    VALUES ('pbx', '[20, 5]', now(), now())
"""
"""What `etl_ivr.aggregate` leaves of an exchange without calls."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Started:
    """A process. `node`: its id, None for a bare one. `port`: of its pages."""

    pid: int
    node: str | None
    port: int


@dataclass
class Bench:
    """Where the nodes work, and how long each is watched. `cache`: the directory of bytecode."""

    server: EmbeddedPostgres
    cache: str
    seconds: float
    days: int = 1

    def warm_up(self) -> None:
        """Compile all modules, bring both databases up to date, and log statements from now on."""
        for database in ("no_plugin", "plugins"):
            self.execute(f"CREATE DATABASE {database}")
            with self.started(database, "leader"):
                if database == "plugins":
                    asyncio.run(self.make_figures())
                    self.report()
        for statement in (*LOGGING, "SELECT pg_reload_conf()"):
            self.execute(statement)

    async def make_figures(self) -> None:
        """Make the tables that reports read; a report of no calls is a page like any."""
        connection = await asyncpg.connect(self.dsn("plugins"))
        try:
            await ensure_schema(connection)
            await connection.execute(COUNTED)
        finally:
            await connection.close()

    def round(self, found: dict[str, list[Figures]]) -> None:
        """Measure each kind of process once, and keep its figures under its name."""
        with self.started("postgres", None) as bare:
            found.setdefault("bare asyncio", []).append(self.watched(bare))
        with self.started("no_plugin", "leader") as leader:
            found.setdefault("leader, no plugin", []).append(self.watched(leader))
        with self.started("plugins", "leader") as leader:
            found.setdefault("leader, 3 plugins", []).append(self.watched(leader))
            with self.started("plugins", "standby") as standby:
                found.setdefault("standby, 3 plugins", []).append(self.watched(standby))
            urllib.request.urlopen(f"http://127.0.0.1:{leader.port}/metrics", timeout=10).read()
            found.setdefault("the leader, after a scrape", []).append(self.watched(leader))
            self.report()
            found.setdefault("and after a report", []).append(self.watched(leader))

    def report(self) -> None:
        """Let the leader make a report, and wait until it has; raises where it made no page."""
        day = (datetime.now(UTC).date() - timedelta(days=self.days)).isoformat()
        self.days += 1  # a day that is reported already is no first report
        asked = ["trigger", "reports.daily", "-p", f"day={day}", "--wait", "--json"]
        told = subprocess.run(
            [sys.executable, "-m", "sereno", *asked],
            env=self.environment("plugins", free_port()),
            check=True,
            capture_output=True,
            timeout=60,
        )
        if not json.loads(told.stdout)["result"].get("revision"):
            raise SystemExit(f"no report was made: {told.stdout.decode()[:2000]}")

    @contextmanager
    def started(self, database: str, role: str | None) -> Iterator[Started]:
        """Start a node that is to have `role`, or a bare process; give it once it settled."""
        with ExitStack() as stack:
            empty = stack.enter_context(tempfile.TemporaryDirectory())
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, *(["-c", BARE] if role is None else ["-m", "sereno", "run"])],
                env=self.environment(database, port),
                cwd=empty,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            node = None if role is None else wait_for_role(process, port, role)
            time.sleep(SETTLE_SECONDS)
            yield Started(process.pid, node, port)

    def environment(self, database: str, port: int) -> dict[str, str]:
        """Return a clean environment for a node."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SERENO_", "PYTHON"))}
        kept |= {"SERENO_DATABASE_URL": self.dsn(database), "SERENO_HTTP__PORT": str(port)}
        kept |= {"PYTHONPYCACHEPREFIX": self.cache}
        kept |= {"SERENO_PLUGINS__REPORTS__CALLS_REQUIRED": "false"}  # a report of no calls is one
        installed = {found.name for found in entry_points(group="sereno")}
        wanted = set() if database == "no_plugin" else PLUGINS
        return kept | {"SERENO_DISABLED_PLUGINS": ",".join(sorted(installed - wanted))}

    def watched(self, started: Started) -> Figures:
        """Return what a process takes, and what it asks the database for."""
        pid = started.pid
        spent, asked, began = cpu_seconds(pid), self.statements(started), time.monotonic()
        time.sleep(self.seconds)
        passed = time.monotonic() - began
        return {
            "rss_mb": status_kb(pid, "status", "VmRSS:") / 1024,
            "pss_mb": status_kb(pid, "smaps_rollup", "Pss:") / 1024,
            "uss_mb": sum(status_kb(pid, "smaps_rollup", key) for key in PRIVATE) / 1024,
            "cpu_percent": 100 * (cpu_seconds(pid) - spent) / passed,
            "statements_s": (self.statements(started) - asked) / passed,
        }

    def statements(self, started: Started) -> int:
        """Return how many the server has logged so far from a process."""
        return STATEMENT.findall(self.server.log.read_text()).count(started.node)

    def execute(self, statement: str) -> None:
        """Run one statement as the server's superuser."""

        async def executed() -> None:
            connection = await asyncpg.connect(self.server.dsn)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(executed())

    def dsn(self, database: str) -> str:
        """Return the address of a database of the server."""
        return self.server.dsn.replace("/postgres?", f"/{database}?", 1)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="how long each is watched")
    options.add_argument("--repeat", type=int, default=3)
    chosen = options.parse_args()
    found: dict[str, list[Figures]] = {}
    with EmbeddedPostgres.temporary() as postgres, tempfile.TemporaryDirectory() as cache:
        bench = Bench(postgres, cache, chosen.seconds)
        bench.warm_up()
        for _ in range(chosen.repeat):
            bench.round(found)
    print(f"$ {shlex.join(['python', *sys.argv])}\n{setting()}; median (least to most)\n")
    for line in table(found):
        print(line)
    print(json.dumps({"bench": "overhead", "setting": setting(), "runs": found}))


def table(found: dict[str, list[Figures]]) -> Iterator[str]:
    """Write the medians and their spread, as a table of Markdown."""
    yield "| process | " + " | ".join(title for title, _, _ in COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    bare = next(iter(found.values()))
    for name, rows in found.items():
        cells = []
        for _, key, is_memory in COLUMNS:
            values = sorted(row[key] for row in rows)
            digits = 1 if is_memory else 2
            median = statistics.median(values)
            cell = f"{median:.{digits}f} ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"
            if is_memory and rows is not bare:
                over = median - statistics.median(row[key] for row in bare)
                cell = f"**+{over:.1f}**, {cell}"
            cells.append(cell)
        yield f"| {name} | " + " | ".join(cells) + " |"


def setting() -> str:
    """Return the versions and the machine in a line."""
    libraries = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} "
        f"{platform.machine()}, {os.cpu_count()} processors; {libraries}"
    )


def wait_for_role(process: "subprocess.Popen[bytes]", port: int, role: str) -> str:
    """Return the node's id once the node's own page says that it leads, or that it stands by."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the node ended with {process.returncode}")
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).read()
        except OSError:
            time.sleep(0.05)
            continue
        told = json.loads(page)
        if told["store"]["up"] and told["node"]["role"] == role:
            return str(told["node"]["id"])
        time.sleep(0.05)
    raise SystemExit(f"the node was no {role} within 30 s")


def status_kb(pid: int, file: str, key: str) -> float:
    """Return a figure of /proc, in kB."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1])
    raise KeyError(key)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of all threads so far, in seconds, as finely as it is told."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(float((t / "schedstat").read_text().split()[0]) for t in threads) / 1e9


if __name__ == "__main__":
    main()
