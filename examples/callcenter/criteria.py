"""Measures what the call center's decision asks of its scheduler, and prints it as a table.

    python criteria.py [--idle 20]

Starts the site with its stand-ins, without and with the scheduler, lets it work, kills it, and
starts it again.
"""

import argparse
import os
import signal
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import psycopg
from standins import world
from start import server, site

from sereno import SyncClient
from sereno.testing import free_port

WORK = (
    "etl_ivr.sync.queues",
    "etl_ivr.sync",
    "etl_ivr.aggregate",
    "cleanup.sessions",
    "cleanup.logs",
    "cleanup.rotate",
    "cleanup.integrity",
    "reports.daily",
)
COUNTED = """
SELECT count(*) FILTER (WHERE state <> 'succeeded')::float / count(*),
       count(*) FILTER (WHERE result IS NOT NULL OR error IS NOT NULL)::float / count(*)
FROM sereno.run WHERE finished_at IS NOT NULL
"""
ON_TIME = """
SELECT count(*) FILTER (WHERE verdict = 'ran')::float / nullif(count(*), 0)
FROM sereno.slot WHERE verdict IN ('ran', 'late')
"""
NAMELESS = """
SELECT count(*) FROM sereno.run WHERE cause NOT IN ('slot', 'chain') AND requested_by IS NULL
"""


def answers(port: int, what: str, within: float = 120) -> None:
    """Wait until the health page of `port` says `what`."""
    begun = time.monotonic()
    while time.monotonic() - begun < within:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as page:
                if what in page.read().decode():
                    return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"port {port} does not say {what}")


def used(pid: int) -> tuple[float, float]:
    """Return the megabytes that are the process's own, and its processor seconds."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return own / 1024, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(pid: int, seconds: float) -> float:
    """Return the share of a processor that a process takes while nobody asks it anything."""
    before = used(pid)[1]
    time.sleep(seconds)
    return (used(pid)[1] - before) / seconds


def measure(var: Path, idle: float) -> list[tuple[str, str, str, bool]]:
    """Return each criterion: what it is, its target, what was seen, and whether it holds."""
    rows: list[tuple[str, str, str, bool]] = []

    def row(name: str, target: str, seen: str, holds: bool) -> None:
        rows.append((name, target, seen, holds))

    with ExitStack() as stack:
        environment = stack.enter_context(world(var))
        alone = free_port()
        with site({**environment, "CALLCENTER_SCHEDULER": "off"}, alone) as process:
            looked_at(alone)
            bare_memory, bare_cpu = used(process.pid)[0], rests(process.pid, idle)
        port = free_port()
        with server(environment, port) as process:
            answers(port, '"role": "leader"')
            looked_at(port)
            time.sleep(min(10, idle))  # what a start has to do is no rest
            client = stack.enter_context(
                SyncClient.open(environment["DATABASE_URL"], requested_by="criteria")
            )
            cpu = rests(process.pid, idle) - bare_cpu
            memory = used(process.pid)[0] - bare_memory
            jobs = {job.name: job for job in client.jobs()}
            triggers = {
                name: [str(s.definition.trigger) for s in job.schedules]
                for name, job in jobs.items()
            }
            threads = client.cluster().nodes[0].places["thread"]
            scheduled = [name for name, texts in triggers.items() if texts]
            row("Jobs programados", "3+", str(len(scheduled)), len(scheduled) >= 3)
            for name, target in (
                ("etl_ivr.sync", "6h"),
                ("cleanup.logs", "0 2 * * *"),
                ("cleanup.sessions", "0 * * * *"),
            ):
                row(
                    f"Ejecución {name}",
                    target,
                    ", ".join(triggers[name]),
                    any(target in text for text in triggers[name]),
                )
            done = {name: client.wait(client.enqueue(name), timeout="5m") for name in WORK}
            for name, run in done.items():
                row(f"Trabajo {name}", "bien", run.state, run.state == "succeeded")
            process.send_signal(signal.SIGKILL)
            process.wait()
        begun = time.monotonic()
        with server(environment, port) as process:
            answers(port, '"role": "leader"')
            again = time.monotonic() - begun
            row("Reinicio automático (kill -9)", "< 5 s", f"{again:.1f} s", again < 5)
            with psycopg.connect(environment["DATABASE_URL"]) as database:
                failed, told = database.execute(COUNTED).fetchone()
                on_time = database.execute(ON_TIME).fetchone()[0]
                asked = database.execute(NAMELESS).fetchone()[0]
            verified = client.verify()
        row("Fallos de scheduler", "< 1 %", f"{failed:.1%}", failed < 0.01)
        row("Overhead RAM", "< 20 MB", f"{memory:.1f} MB", memory < 20)
        row("Overhead CPU", "< 1 %", f"{cpu:.2%}", cpu < 0.01)
        row("Thread pool workers", "5", str(threads), threads == 5)
        row(
            "Jobs a tiempo",
            "> 99 %",
            "–" if on_time is None else f"{on_time:.1%}",
            on_time is None or on_time > 0.99,
        )
        row("Turnos perdidos o dobles", "0", str(len(verified.faults)), not verified.faults)
        row("Ejecuciones con resultado o error", "100 %", f"{told:.0%}", told > 0.999)
        row("Quién pidió cada ejecución", "100 %", f"{asked} sin nombre", asked == 0)
        sync = done["etl_ivr.sync"]
        took = (sync.finished_at - sync.started_at).total_seconds()
        seen = f"{took:.1f} s ({sync.result['inserted']} tramos)"
        row("ETL de 1000 registros", "~ 2 min", seen, took < 120)
    return [*rows, ("Redis, RabbitMQ, otros servicios", "NO", "NO", True)]


def looked_at(port: int) -> None:
    """Ask for a page of Django's, so that what it loads for its first one counts for neither."""
    urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=20).close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The criteria of the decision, measured")
    parser.add_argument(
        "--idle", type=float, default=20, help="seconds of rest in which processor time is measured"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="callcenter-") as var:
        rows = measure(Path(var), options.idle)
    print("| Criterio | Meta | Medido | |\n|---|---|---|---|")
    for name, target, seen, holds in rows:
        print(f"| {name} | {target} | {seen} | {'✓' if holds else '✗'} |")


if __name__ == "__main__":
    main()
