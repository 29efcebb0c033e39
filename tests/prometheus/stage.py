"""A whole installation on one machine: PostgreSQL, replicas, Prometheus, Alertmanager, a receiver.

The rules are those of conf/prometheus with every waiting time cut to a second or a few, so that a
test takes seconds.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..servers.postgres import PostgresServer, installed_programs
from ..servers.supervised import Supervised, free_port
from ..servers.waiting import wait_until
from ..servers.warm_python import PATH, python_process
from ..servers.web import Handler, serving
from .programs import ROOT, program

_RULES = ROOT / "conf" / "prometheus" / "sereno.rules.yml"


def get(url: str) -> Any:
    """Return the JSON that `url` answers, None when it does not."""
    with (
        contextlib.suppress(OSError),
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            url, timeout=20
        ) as answer,
    ):
        return json.loads(answer.read())
    return None


def is_up(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), opener.open(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@dataclass(slots=True)
class Receiver:
    """Collects what Alertmanager sends: (monotonic instant, alert), in the order of arrival."""

    heard: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[str]:
        heard = self.heard

        class Posted(Handler):
            def do_POST(self) -> None:
                heard.extend(
                    (time.monotonic(), alert) for alert in json.loads(self.body())["alerts"]
                )
                self.send_response(200)
                self.end_headers()

        with serving(Posted) as url:
            yield url

    def seconds_until(self, name: str, status: str, since: float, **labels: str) -> float:
        """Wait until `name` has arrived after `since`; return how long after it that was."""

        def arrived() -> float | None:
            for at, alert in list(self.heard):
                told = alert["labels"]
                wanted = {"alertname": name, **labels}
                if at >= since and alert["status"] == status and wanted.items() <= told.items():
                    return at
            return None

        wait_until(lambda: arrived() is not None, f"{name} {status} {labels}", 30)
        return (arrived() or since) - since

    def names(self, since: float) -> set[str]:
        """Return the names of the alerts that have fired after `since`."""
        return {
            a["labels"]["alertname"]
            for at, a in list(self.heard)
            if at >= since and a["status"] == "firing"
        }


class Replica:
    """One replica; it is started again on the same port."""

    def __init__(self, dsn: str, spoiled: Path) -> None:
        self.port = free_port()
        self._environment = {
            **os.environ,
            "PYTHONPATH": PATH,
            "CHAOS_PLUGIN": "tests.prometheus.replica",
            "SPOILED": str(spoiled),
            "SERENO_DATABASE_URL": dsn,
            "SERENO_HTTP__PORT": str(self.port),
            "SERENO_LEASE": "3s",
            "SERENO_LOG__LEVEL": "warning",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._place = spoiled
        self._log = spoiled.with_name(f"replica-{self.port}.log")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = python_process(
                [sys.executable, "-m", "tests.faults.chaos.node"],
                env=self._environment,
                cwd=self._place,
                stdin=subprocess.PIPE,
                stderr=log,
            )
        ready = f"{self.url}/health/readiness"
        wait_until(lambda: self._ended() or is_up(ready), f"a replica that is ready: {self._log}")
        assert not self._ended(), self._log.read_text()

    def kill(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGKILL)
            process.communicate()

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def leads(self) -> bool:
        health = get(f"{self.url}/health")
        return bool(health and health["node"]["role"] == "leader")


@dataclass(slots=True)
class Stage:
    """What stands; `spoiled`: where a file named ``fail`` makes the job of every second fail."""

    postgres: PostgresServer
    replicas: list[Replica]
    prometheus: str
    receiver: Receiver
    spoiled: Path

    def leader(self) -> Replica:
        """Wait for the one that leads."""
        wait_until(lambda: any(r.leads() for r in self.replicas), "a leader")
        return next(r for r in self.replicas if r.leads())

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what Prometheus answers to an instant query."""
        asked = urllib.parse.urlencode({"query": expression})
        answer = get(f"{self.prometheus}/api/v1/query?{asked}")
        assert answer is not None, f"Prometheus refuses {expression}"
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def query_range(self, expression: str, seconds: float) -> list[dict[str, Any]]:
        """Return what Prometheus answers for the last `seconds`, second by second."""
        now = time.time()
        asked = urllib.parse.urlencode(
            {"query": expression, "start": now - seconds, "end": now, "step": 1}
        )
        answer = get(f"{self.prometheus}/api/v1/query_range?{asked}")
        assert answer is not None, f"Prometheus refuses {expression}"
        return list(answer["data"]["result"])

    def calm(self) -> None:
        """Wait until both replicas are scraped and no alert is pending or firing."""
        wait_until(
            lambda: (
                len(self.query('sereno_runs_total{job="watched.tick", state="succeeded"}')) == 2
            ),
            "both replicas in Prometheus",
            60,
        )
        wait_until(lambda: not self.query("ALERTS"), f"silence in {self.query('ALERTS')}", 60)


def hurried(rules: str) -> str:
    """Return `rules` with waits and windows of seconds.

    The longest waits outlast two seconds, which a replica's page may take while the database does
    not answer: a scrape of every second misses it.
    """
    rules = re.sub(r"for: \w+", lambda wait: f"for: {3 if '5m' in wait[0] else 1}s", rules)
    rules = re.sub(r"\[(?:10m|15m|1h)\]", "[8s]", rules)
    return re.sub(r"interval: 5m", "interval: 1s", rules)


@contextmanager
def staged(place: Path) -> Iterator[Stage]:
    """Start everything, and stop it at the end."""
    programs = installed_programs()
    receiver = Receiver()
    with ExitStack() as stack:
        postgres = PostgresServer(programs[max(programs)])
        stack.callback(postgres.remove)
        postgres.start()
        postgres.execute("CREATE DATABASE watched")
        spoiled = place / "spoiled"
        spoiled.mkdir()
        replicas = [Replica(postgres.dsn("watched"), spoiled) for _ in range(2)]
        for replica in replicas:
            stack.callback(replica.kill)
            replica.start()
        hook = stack.enter_context(receiver.listening())
        alertmanager = stack.enter_context(_alertmanager(hook))
        prometheus = stack.enter_context(_prometheus(alertmanager, replicas))
        yield Stage(postgres, replicas, prometheus, receiver, spoiled)


@contextmanager
def _alertmanager(receiver: str) -> Iterator[int]:
    text = (ROOT / "conf" / "alertmanager" / "alertmanager.yml").read_text("utf-8")
    text = re.sub(r"http://127.0.0.1:9999/\S+?\"", f'{receiver}/"', text)
    text = re.sub(r"group_wait: \w+", "group_wait: 0s", text)
    text = re.sub(r"group_interval: \w+", "group_interval: 1s", text)
    port = free_port()
    with _server("alertmanager") as server:
        file = server.place / "alertmanager.yml"
        file.write_text(text)
        server.start(
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={file}",
            f"--storage.path={server.place}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            stop_signal="TERM",
            ready=lambda: is_up(f"http://127.0.0.1:{port}/-/ready"),
        )
        yield port


@contextmanager
def _prometheus(alertmanager: int, replicas: list[Replica]) -> Iterator[str]:
    text = (ROOT / "conf" / "prometheus" / "static.yml").read_text("utf-8")
    targets = ", ".join(f'"127.0.0.1:{replica.port}"' for replica in replicas)
    text = re.sub(r"_interval: \w+", "_interval: 1s", text)
    text = text.replace('"127.0.0.1:9093"', f'"127.0.0.1:{alertmanager}"')
    text = re.sub(r'targets: \["127.0.0.1:8765".*?\]', f"targets: [{targets}]", text)
    port = free_port()
    with _server("prometheus") as server:
        (server.place / "sereno.rules.yml").write_text(hurried(_RULES.read_text("utf-8")))
        file = server.place / "prometheus.yml"
        file.write_text(text)
        server.start(
            program("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={server.place}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.external-url=http://prometheus.test",
            "--web.route-prefix=/",
            "--enable-feature=exemplar-storage",
            "--rules.alert.resend-delay=1s",
            stop_signal="TERM",
            ready=lambda: is_up(f"http://127.0.0.1:{port}/-/ready"),
        )
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _server(name: str) -> Iterator[Supervised]:
    server = Supervised(name, account=None)
    try:
        yield server
    finally:
        server.remove()
