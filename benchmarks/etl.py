"""What it takes to move calls from MariaDB to PostgreSQL: ours, pgloader, dlt, and a bare pipe.

    .venv/bin/python benchmarks/etl.py [--rows 1000000] [--only ours,floor] [--repeat 1] [--again]
        [--beside TREE]

Side by side in one run, on throw-away servers: FreePBX's `cdr` with 26 columns. The floor is
``mariadb --quick -B | psql -c 'COPY'`` into a table of the source's columns without an index; it
keeps no types, takes NULL for the word, and would load every row again. pgloader (where it is
installed) and dlt (in a virtual environment that is made for the run) make a full copy too. Ours is
`etl_ivr.sync` with its settings' defaults but a longer time limit, then run again with 1000 new
calls, then with nothing new. Each round takes the four in turn. Prints medians of seconds with the
least and the most, their ratio to the floor, the most memory of the program that moves (not of the
servers), and for ours how long the event loop was held at a time. Processor seconds are told too:
unlike the others they hardly depend on what else the machine does. Every round is a JSON line in
``.cache/etl.jsonl``; with `--again` the rounds that stand there already count too. `--beside`: the
first sync of another checkout as well, in turn with ours, by this environment's packages.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pymysql

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.mariadb import MariaDb
from tests.servers.postgres import PostgresServer, installed_programs

from benchmarks.etl_table import ROOT, forget, keep, table

NEW_CALLS = 1000
START = 1_748_736_000
TABLE = """
CREATE TABLE cdr (
  calldate datetime NOT NULL DEFAULT '0000-00-00 00:00:00', clid varchar(80) NOT NULL DEFAULT '',
  src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '',
  dcontext varchar(80) NOT NULL DEFAULT '', channel varchar(80) NOT NULL DEFAULT '',
  dstchannel varchar(80) NOT NULL DEFAULT '', lastapp varchar(80) NOT NULL DEFAULT '',
  lastdata varchar(80) NOT NULL DEFAULT '', duration int NOT NULL DEFAULT 0,
  billsec int NOT NULL DEFAULT 0, disposition varchar(45) NOT NULL DEFAULT '',
  amaflags int NOT NULL DEFAULT 0, accountcode varchar(20) NOT NULL DEFAULT '',
  uniqueid varchar(32) NOT NULL DEFAULT '', userfield varchar(255) NOT NULL DEFAULT '',
  did varchar(50) NOT NULL DEFAULT '', recordingfile varchar(255) NOT NULL DEFAULT '',
  cnum varchar(40) NOT NULL DEFAULT '', cnam varchar(40) NOT NULL DEFAULT '',
  outbound_cnum varchar(40) NOT NULL DEFAULT '', outbound_cnam varchar(40) NOT NULL DEFAULT '',
  dst_cnam varchar(40) NOT NULL DEFAULT '', linkedid varchar(32) NOT NULL DEFAULT '',
  peeraccount varchar(80) NOT NULL DEFAULT '', sequence int NOT NULL DEFAULT 0,
  KEY calldate (calldate), KEY dst (dst), KEY accountcode (accountcode), KEY uniqueid (uniqueid)
) DEFAULT CHARSET = utf8mb4
"""
# One call each 25 seconds and no two alike, by the shares of data/cdr: 61 in 100 answered.
FILL = """
INSERT INTO cdr
SELECT {calldate}, CONCAT('"Person ', seq % 5003, '" <555', LPAD(seq % 99991, 7, '0'), '>'),
  CONCAT('555', LPAD(seq % 99991, 7, '0')), 400 + seq % 3 * 10, 'ext-queues',
  CONCAT('PJSIP/trunk-', LPAD(HEX(seq), 8, '0')), CONCAT('PJSIP/', 201 + seq % 12, '-0000a1f3'),
  'Queue', CONCAT(400 + seq % 3 * 10, ',t,,,120'), seq % 1201, seq % 1103,
  ELT(1 + (seq % 100 >= 61) + (seq % 100 >= 99), 'ANSWERED', 'NO ANSWER', 'BUSY'), 3, '',
  CONCAT({epoch}, '.', seq), '', '5550100',
  CONCAT('q-400-', seq % 99991, '-20260301-120000-', {epoch}, '.', seq, '.wav'),
  CONCAT('555', LPAD(seq % 99991, 7, '0')), CONCAT('Person ', seq % 5003), '', '', 'Agent',
  CONCAT({epoch}, '.', seq), '', seq
FROM seq_{first}_to_{last}
"""
OURS = """
import asyncio, json, sys, time
import uvloop
from datetime import UTC, datetime, timedelta
from sereno.testing import run_context
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync
source, target = sys.argv[1:]
async def main():
    loop, longest, on = asyncio.get_running_loop(), 0.0, True
    async def watch():
        nonlocal longest
        while on:
            used = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - used)
    settings = Settings(source_url=source, timeout=timedelta(hours=1))
    run = run_context(sync, settings=settings, database_url=target)
    watching = asyncio.create_task(watch())
    begun = time.perf_counter()
    result = await sync.function(run)
    seconds, on = time.perf_counter() - begun, False
    await watching
    print(json.dumps({"seconds": seconds, "held_ms": 1000 * longest, **result}))
uvloop.run(main())
"""
DLT = """
import json, sys, time
import dlt
from dlt.sources.sql_database import sql_table
source, target = sys.argv[1:]
begun = time.perf_counter()
pipeline = dlt.pipeline("calls", destination=dlt.destinations.postgres(target), dataset_name="dlt")
table = sql_table(source.replace("mysql:", "mysql+pymysql:"), table="cdr", backend="pyarrow",
                  chunk_size=50_000)
pipeline.run(table, loader_file_format="csv")
print(json.dumps({"seconds": time.perf_counter() - begun}))
"""
DLT_PLACE = ROOT / ".cache" / "peers" / "dlt"
DLT_NEEDS = (
    *("dlt[postgres]==1.31.0", "sqlalchemy==2.0.58", "pymysql==1.2.4"),
    *("pyarrow==26.0.1", "numpy==2.4.6", "pandas==3.1.1"),
)


@dataclass(frozen=True)
class Cost:
    """What a program took: most MB at a time, processor seconds of its own and of the servers."""

    peak_mb: float
    own_s: float
    servers_s: float


@dataclass(frozen=True)
class Figure:
    """One line of the table. `held_ms`: the longest time that the event loop was held."""

    name: str
    seconds: float
    rows: int
    cost: Cost
    held_ms: float | None = None


@dataclass
class Scene:
    """Both servers, and what was measured on them."""

    maria: MariaDb
    postgres: PostgresServer
    source: str
    rows: int
    place: Path
    other: Path | None = None
    figures: list[Figure] = field(default_factory=list)

    @contextmanager
    def target(self) -> Iterator[str]:
        """Give a new, empty database."""
        with self.postgres.database("empty", lambda dsn: None) as dsn:
            yield dsn

    def floor(self) -> None:
        """Pipe the source's rows into COPY."""
        parts = urlsplit(self.source)
        psql = shutil.which("psql") or str(self.postgres.programs.bin / "psql")
        columns = TABLE.split("(", 1)[1].replace("datetime", "timestamp").split("KEY calldate")[0]
        columns = re.sub(r" NOT NULL DEFAULT ('[^']*'|0)", "", columns).strip().rstrip(",")
        reading = (
            f"mariadb --no-defaults --quick -B -N --protocol=tcp -h {parts.hostname}"
            f" -P {parts.port} -u {parts.username} -p{parts.password} {parts.path[1:]}"
            " -e 'SELECT * FROM cdr'"
        )
        with self.target() as target:
            self.postgres_execute(target, f"CREATE TABLE cdr ({columns})")
            line = f"{reading} | {psql} -q {target} -c \"COPY cdr FROM STDIN (NULL 'NULL')\""
            seconds, cost, _ = self.measured(["/bin/sh", "-c", line])
            self.check(target, "cdr")
        self.figures.append(Figure("floor: mariadb -B | psql COPY", seconds, self.rows, cost))

    def ours(self) -> None:
        """Sync all, sync 1000 new calls, sync nothing."""
        command = [sys.executable, "-c", OURS, self.source]
        with self.target() as target:
            _, cost, out = self.measured([*command, target])
            self.check(target, "ivr.calls")
            self.keep("ours: first sync", out, cost)
            present = f"{int(time.time()) - 7200} + seq - {self.rows}"
            self.fill(self.rows + 1, self.rows + NEW_CALLS, present)
            try:
                _, cost, out = self.measured([*command, target])
                self.keep("ours: 1000 new calls", out, cost)
                _, cost, out = self.measured([*command, target])
                self.keep("ours: nothing new", out, cost)
            finally:
                self.execute(f"DELETE FROM cdr WHERE sequence > {self.rows}")

    def beside(self) -> None:
        """Sync all by the code of another checkout."""
        if self.other is None:
            raise SystemExit("--beside names another checkout")
        trees = [f"{self.other}/kernel", f"{self.other}/plugins/etl_ivr"]
        with self.target() as target:
            command = [sys.executable, "-c", OURS, self.source, target]
            _, cost, out = self.measured(command, {"PYTHONPATH": os.pathsep.join(trees)})
            self.check(target, "ivr.calls")
            self.keep(f"{self.other.name}: first sync", out, cost)

    def pgloader(self) -> None:
        """Copy with pgloader, without indexes, as fast as it goes."""
        program = shutil.which("pgloader")
        if program is None:
            print("pgloader is not installed (Debian: apt-get install pgloader)", file=sys.stderr)
            return
        load = self.place / "cdr.load"
        with self.target() as target:
            load.write_text(
                f"LOAD DATABASE FROM {self.source} INTO {target}\n"
                "WITH include drop, create tables, create no indexes, reset no sequences,\n"
                "  prefetch rows = 10000, workers = 2, concurrency = 1\n"
                "INCLUDING ONLY TABLE NAMES MATCHING 'cdr';\n"
            )
            seconds, cost, out = self.measured([program, "--on-error-stop", str(load)])
            schema = urlsplit(self.source).path[1:]
            self.check(target, f"{schema}.cdr", out)
        self.figures.append(Figure("pgloader", seconds, self.rows, cost))

    def dlt(self) -> None:
        """Copy with dlt, by its quickest way that needs no other program."""
        python = installed_dlt()
        home = {"DLT_DATA_DIR": str(self.place / "dlt-data"), "RUNTIME__DLTHUB_TELEMETRY": "false"}
        with self.target() as target:
            address = target.replace("postgres@", "postgres:unasked@")
            _, cost, out = self.measured([python, "-c", DLT, self.source, address], home)
            self.check(target, "dlt.cdr", out)
        seconds = json.loads(out.splitlines()[-1])["seconds"]
        self.figures.append(Figure("dlt, pyarrow to CSV to COPY", seconds, self.rows, cost))

    def keep(self, name: str, out: str, cost: Cost) -> None:
        """Keep what our own process printed."""
        result = json.loads(out.splitlines()[-1])
        self.figures.append(
            Figure(name, result["seconds"], result["inserted"], cost, result["held_ms"])
        )

    def measured(
        self, command: list[Any], environment: dict[str, str] | None = None
    ) -> tuple[float, Cost, str]:
        """Run a program to its end; return seconds, what it took, and its output."""
        servers = [maria_pid(self.maria), self.postgres.pid]
        before = sum(map(processor_seconds, servers))
        own = children_seconds()
        seconds, peak, out = run(command, environment)
        after = sum(map(processor_seconds, servers))
        return seconds, Cost(peak, children_seconds() - own, after - before), out

    def fill(self, first: int, last: int, epoch: str) -> None:
        """Write the calls numbered `first` to `last`."""
        calldate = f"'1970-01-01' + INTERVAL {epoch} SECOND"
        self.execute(FILL.format(first=first, last=last, calldate=calldate, epoch=f"({epoch})"))

    def execute(self, statement: str) -> None:
        """Run a statement at the source."""
        parts = urlsplit(self.source)
        with pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            database=parts.path[1:],
            autocommit=True,
        ) as connection:
            connection.cursor().execute(statement)

    def check(self, target: str, table: str, out: str = "") -> None:
        """Refuse a figure for rows that did not arrive."""
        found = self.postgres_execute(target, f"SELECT count(*) FROM {table}", out)
        if found != self.rows:
            raise SystemExit(f"{table}: {found} rows arrived, {self.rows} are there\n{out}")

    def postgres_execute(self, target: str, statement: str, out: str = "") -> Any:
        """Return the one value of a statement in the target; on an error show `out`."""

        async def run() -> Any:
            connection = await asyncpg.connect(target)
            try:
                return await connection.fetchval(statement)
            except asyncpg.PostgresError as error:
                raise SystemExit(f"{statement}: {error}\n{out}") from error
            finally:
                await connection.close()

        return asyncio.run(run())


def run(command: list[Any], environment: dict[str, str] | None = None) -> tuple[float, float, str]:
    """Run a program to its end; return seconds, peak MB of it and its children, and its output."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        peaks: dict[int, int] = {}
        while process.poll() is None:
            for pid in family(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), peak_kb(pid))
            threading.Event().wait(0.05)
        seconds = time.perf_counter() - begun
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {text[-3000:]}")
    return seconds, sum(peaks.values()) / 1024, text


def installed_dlt() -> str:
    """Return dlt's own interpreter; its virtual environment is made when it is first asked for."""
    python, whole = str(DLT_PLACE / "bin" / "python"), DLT_PLACE / "whole"
    if not whole.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", DLT_PLACE], check=True)
        install = [python, "-m", "pip", "install", "-q", *DLT_NEEDS]
        subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
        whole.touch()
    return python


def maria_pid(maria: MariaDb) -> int:
    """Return the process id of our own server."""
    return int((maria.log.parent / "pid").read_text())


def children_seconds() -> float:
    """Return the processor seconds of all programs that were run so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a server, its sessions included."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:15] if one == pid else stat[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for one in found:
        try:
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        found += map(int, children)
    return found


def peak_kb(pid: int) -> int:
    """Return the most memory that a process has had."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) if found else 0


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--only", default="floor,ours,pgloader,dlt")
    options.add_argument("--repeat", type=int, default=1, help="rounds")
    options.add_argument("--beside", type=Path, help="another checkout")
    options.add_argument("--again", action="store_true", help="count the rounds before, too")
    chosen = options.parse_args()
    if not chosen.again:
        forget()
    if "dlt" in chosen.only:
        installed_dlt()
    with ExitStack() as stack:
        maria = MariaDb.start()
        stack.callback(maria.remove)
        postgres = PostgresServer.started(next(iter(installed_programs().values())))
        stack.callback(postgres.remove)
        source = stack.enter_context(maria.database())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene(maria, postgres, source, chosen.rows, place, chosen.beside)
        scene.execute(TABLE)
        scene.fill(1, chosen.rows, f"{START} + seq * 25")
        scene.execute("ANALYZE TABLE cdr")
        names = [*chosen.only.split(","), *(["beside"] if chosen.beside else [])]
        for turn in range(chosen.repeat):
            for name in names if turn % 2 == 0 else names[::-1]:  # who is first finds all cold
                measure: Callable[[], None] = getattr(scene, name)
                measure()
            keep(chosen.rows, [asdict(figure) for figure in scene.figures])
            scene.figures.clear()
    print(table(chosen.rows))


if __name__ == "__main__":
    main()
