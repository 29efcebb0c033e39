"""A Dask cluster of real processes, and replicas that have their jobs done there."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...faults.asking import state, value
from ...faults.process import ROOT, Process, process
from ...servers.lines import whole_lines
from ...servers.supervised import free_port
from ...servers.waiting import wait_until

OTHERS = '["etl_ivr", "cleanup", "reports", "notify", "console", "sun", "django"]'
"""Installed here, and no part of this."""

HOSTED = "SELECT count(*) FROM sereno.node WHERE places ? 'dask' AND left_at IS NULL AND label = %s"
OWNER = (
    "SELECT n.label FROM sereno.run r JOIN sereno.node n ON n.id = r.node"
    " WHERE r.id = %s AND r.state = 'running'"
)


class DaskProcess:
    """A scheduler or a worker. `path`: what it can import besides what is installed."""

    def __init__(self, place: Path, name: str, *words: str, path: str, **environment: str) -> None:
        self.name = name
        self.log = place / f"{name}.log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place,
                env={**os.environ, "PYTHONPATH": path, **environment},
            )

    def kill(self) -> None:
        """Kill it, and wait until it is dead."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait(60)


@dataclass(frozen=True, slots=True)
class Pem:
    """Files of one who takes part: the authority whose word counts, a certificate of its, a key."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def words(self) -> tuple[str, ...]:
        """What Dask's own programs are told."""
        return (
            *("--tls-ca-file", str(self.authority)),
            *("--tls-cert", str(self.certificate), "--tls-key", str(self.key)),
        )

    @property
    def settings(self) -> dict[str, str]:
        """What a replica is told."""
        return {
            "SERENO_PLUGINS__DASK__TLS_CA": str(self.authority),
            "SERENO_PLUGINS__DASK__TLS_CERTIFICATE": str(self.certificate),
            "SERENO_PLUGINS__DASK__TLS_KEY": str(self.key),
        }


def made_pem(place: Path, name: str) -> Pem:
    """Make an authority, and a certificate of it."""
    own = place / name
    own.mkdir()
    made = Pem(own / "ca.pem", own / "own.pem", own / "own.key")
    rsa = ("-newkey", "rsa:2048", "-nodes")
    request = own / "own.csr"
    _openssl("req", "-x509", *rsa, "-subj", f"/CN={name}", "-days", "2",
             "-keyout", own / "ca.key", "-out", made.authority)  # fmt: skip
    _openssl("req", *rsa, "-subj", "/CN=localhost", "-keyout", made.key, "-out", request)
    _openssl("x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", own / "ca.key",
             "-CAcreateserial", "-days", "2", "-out", made.certificate)  # fmt: skip
    return made


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class DaskCluster:
    """A scheduler, and what is added to it. `notes`: what the jobs of `work` write; `pem`: all of
    it speaks TLS."""

    def __init__(self, dsn: str, place: Path, stack: ExitStack, pem: Pem | None = None) -> None:
        self.dsn = dsn
        self.place = place
        self.notes = place / "notes"
        self.port = free_port()
        self.address = f"{'tcp' if pem is None else 'tls'}://127.0.0.1:{self.port}"
        self._tls = () if pem is None else pem.words
        self.workers: dict[str, DaskProcess] = {}
        self._stack = stack
        self.scheduler = self.schedule()

    def schedule(self) -> DaskProcess:
        """Start the scheduler, at its port."""
        self.scheduler = DaskProcess(
            self.place, "scheduler", "distributed.cli.dask_scheduler", "--no-dashboard",
            "--no-show", "--host", self.address.rpartition(":")[0], "--port", str(self.port),
            *self._tls, path="",
        )  # fmt: skip
        self._stack.callback(self.scheduler.kill)
        return self.scheduler

    def work(
        self, name: str, *, path: str | None = None, threads: int = 1, memory: str = "auto"
    ) -> DaskProcess:
        """Start a worker; `memory`: its limit."""
        found = DaskProcess(
            self.place, name, "distributed.cli.dask_worker", self.address, "--no-nanny",
            "--no-dashboard", "--nthreads", str(threads), "--name", name, "--host", "127.0.0.1",
            "--memory-limit", memory, *self._tls,
            path=f"{ROOT}" if path is None else path, NOTES=str(self.notes),
        )  # fmt: skip
        self._stack.callback(found.kill)
        self.workers[name] = found
        return found

    def replica(self, **environment: str) -> Process:
        """Start a replica, with a link to this cluster unless it is told otherwise."""
        environment = environment or {"SERENO_PLUGINS__DASK__ADDRESS": self.address}
        return self._stack.enter_context(
            process(
                self.dsn, self.place, "", site=self.place,
                SERENO_HTTP__ENABLED="false",
                SERENO_DRAIN_TIMEOUT="20s",
                SERENO_DISABLED_PLUGINS=OTHERS,
                SERENO_MODULES='["tests.plugins.dask.work"]',
                NOTES=str(self.notes),
                **environment,
            )
        )  # fmt: skip

    def hosts(self, *names: str) -> None:
        """Wait until these workers can be handed runs."""
        for name in names:
            log = self.workers[name].log

            def there(label: str = f"dask {name}") -> Any:
                return value(self.dsn, HOSTED, label)

            try:
                wait_until(there, f"worker {name} to host runs")
            except AssertionError as error:
                raise AssertionError(f"{error}: {log.read_text()[-3000:]}") from error

    def worker(self, run: int) -> DaskProcess:
        """Return the worker that works on a run, once its function is at work."""
        wait_until(lambda: value(self.dsn, OWNER, run), f"a worker that works on run {run}")
        label = str(value(self.dsn, OWNER, run))
        wait_until(lambda: self.lines(run), f"the function of run {run}")
        return self.workers[label.removeprefix("dask ")]

    def lines(self, run: int) -> list[dict[str, Any]]:
        """Return what a run has written."""
        found = [json.loads(text) for text in whole_lines(self.notes)]
        return [line for line in found if line["run"] == run]

    def over(self, run: int) -> tuple[str, int]:
        """Return how a run ended, and after how many attempts."""
        wait_until(lambda: state(self.dsn, run) not in ("queued", "running"), f"run {run}")
        attempts = value(self.dsn, "SELECT attempt FROM sereno.run WHERE id = %s", run)
        return state(self.dsn, run), attempts

    def let_go(self) -> None:
        """Let the jobs end."""
        Path(f"{self.notes}.go").touch()

    def never_twice(self, run: int) -> None:
        """Check that no attempt has begun twice, and none was at work beside the next."""
        lines = self.lines(run)
        begun = Counter(line["attempt"] for line in lines if line["what"] == "begun")
        assert set(begun.values()) == {1}, begun
        attempts = [line["attempt"] for line in lines]
        assert attempts == sorted(attempts), "an attempt was at work beside the next"
