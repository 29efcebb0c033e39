"""Spans of a real replica, sent with the real SDK to a real HTTP server."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..planting import plant
from ..servers.supervised import free_port
from ..servers.waiting import wait_until
from .cli_scene import Scene, scene
from .otlp import Collector, Span, collecting

__all__ = ["scene"]

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

PLUGIN = """
from opentelemetry import trace
from sereno import *

def page(run):
    with trace.get_tracer("planted").start_as_current_span(f"page of {run.job}"):
        run.log.warning("said by %s below %s", run.job, run.traceparent)

@job("planted.loop")
async def loop(run):
    page(run)

@job("planted.thread")
def thread(run):
    page(run)

@job("planted.child", executor="process")
def child(run):
    page(run)

@job("planted.child_loop", executor="process")
async def child_loop(run):
    page(run)

@job("planted.dies", executor="process")
def dies(run):
    import os
    os._exit(3)

@job("planted.bad", retry={"attempts": 2, "delay": "0s"})
def bad(run):
    raise ValueError(f"attempt {run.attempt}: password=hunter2 is wrong")

@job("planted.second", schedule=cron("* * * * * *"), catch_up="none")
async def second(run):
    pass

@job("planted.after", after=["planted.loop"])
async def after(run):
    pass

@job("planted.both", after=["planted.loop", "planted.thread"])
async def both(run):
    pass

@hookimpl
def sereno_register_jobs():
    return [loop, thread, child, child_loop, dies, bad, second, after, both]
"""


@pytest.fixture
def planted(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plugin for processes that are started from here."""
    plant(tmp_path / "site", PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("SERENO_STRICT", "true")
    # They have tables or pages to make, in each replica's database.
    others = ["cleanup", "console", "etl_ivr", "notify", "reports"]
    monkeypatch.setenv("SERENO_DISABLED_PLUGINS", json.dumps(others))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


class Replica:
    def __init__(self, scene: Scene, process: "subprocess.Popen[str]") -> None:
        self.scene = scene
        self.process = process
        self.log = ""

    def enqueue(self, job: str, context: str | None = None) -> int:
        asked = "SELECT sereno.enqueue(%s, trace_context => %s)"
        return int(self.scene.sql(asked, job, context)[0][0])

    def over(self, run: int) -> str:
        """Wait for the end of `run`, and return its state."""
        state = "SELECT state FROM sereno.run WHERE id = %s AND finished_at IS NOT NULL"
        wait_until(lambda: self.scene.sql(state, run), f"the end of run {run}")
        return str(self.scene.sql(state, run)[0][0])

    def stop(self) -> None:
        """Stop it as a deploy does, and keep its log."""
        self.process.send_signal(signal.SIGTERM)
        _, self.log = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, self.log

    def lines(self, event: str) -> list[dict[str, object]]:
        """Return the lines of its log that begin so."""
        read = [json.loads(line) for line in self.log.splitlines()]
        return [line for line in read if line["event"].startswith(event)]


@contextmanager
def traced(scene: Scene, *options: str) -> Iterator[Replica]:
    with scene.started("run", "--http-port", "0", *options) as process:
        known = "SELECT to_regclass('sereno.plugin_schema') IS NOT NULL"
        wait_until(lambda: scene.sql(known) == [(True,)], "the schema")
        known = "SELECT 1 FROM sereno.job WHERE name = 'planted.loop'"
        wait_until(lambda: scene.sql(known), "a leader that has registered its jobs")
        yield Replica(scene, process)


def seen(collector: Collector, name: str, **attributes: object) -> Span:
    """Wait for the span of that name."""
    wait_until(lambda: collector.one(name, **attributes), f"the span {name} {attributes}")
    found = collector.one(name, **attributes)
    assert found is not None
    return found


def pages(collector: Collector, job: str, attempt: Span) -> list[Span]:
    """Return the job's own spans below that of its attempt."""
    return [page for page in collector.named(f"page of {job}") if page.parent == attempt.id]


def attempt_with_page(replica: Replica, collector: Collector, job: str) -> Span:
    """Return the span of an attempt whose job's own has come, too: a process of its own has 0.8 s
    to send them, and then goes without."""
    while True:
        run = replica.enqueue(job, GIVEN)
        assert replica.over(run) == "succeeded"
        attempt = seen(collector, f"run {job}", sereno_run_id=run)
        if pages(collector, job, attempt):
            return attempt


@pytest.mark.usefixtures("planted")
def test_a_jobs_own_spans_are_below_its_attempt_wherever_it_runs(
    scene: Scene, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "backend-jobs")
    jobs = ("planted.loop", "planted.thread", "planted.child", "planted.child_loop")
    with traced(scene) as replica:
        attempts = {job: attempt_with_page(replica, collector, job) for job in jobs}
        replica.stop()

    for job, attempt in attempts.items():
        (page,) = pages(collector, job, attempt)
        assert (attempt.trace, attempt.parent) == (GIVEN[3:35], GIVEN[36:52])
        assert page.trace == attempt.trace
        assert attempt.attributes["sereno.cause"] == "program"
        assert attempt.attributes["sereno.state"] == "succeeded"
        assert attempt.resource["service.name"] == "backend-jobs"
        assert attempt.resource["service.instance.id"] == attempt.attributes["sereno.node"]
        (line,) = replica.lines(f"said by {job} below {attempt.traceparent}")
        assert line["trace"] == attempt.trace
    assert {h["x-tenant"] for h in collector.headers} == {"blue"}


@pytest.mark.usefixtures("planted")
def test_failures_chains_and_slots_are_told_and_hang_together(
    scene: Scene, collector: Collector, tmp_path: Path
) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text(f'[tracing]\nendpoint = "{collector.url}/"\n')
    with traced(scene, "--config", str(file)) as replica:
        bad, dead = replica.enqueue("planted.bad"), replica.enqueue("planted.dies", GIVEN)
        assert (replica.over(bad), replica.over(dead)) == ("failed", "failed")
        loop = replica.enqueue("planted.loop")
        replica.over(loop)
        after = seen(collector, "run planted.after")
        thread = replica.enqueue("planted.thread", GIVEN)
        both = seen(collector, "run planted.both")
        wait_until(lambda: collector.named("run planted.second"), "a slot's span")
        replica.stop()

    first = seen(collector, "run planted.bad", sereno_attempt=1)
    last = seen(collector, "run planted.bad", sereno_attempt=2)
    assert (first.attributes["sereno.state"], first.parent) == ("retried", "")
    assert (last.attributes["sereno.state"], last.parent) == ("failed", first.id)
    assert first.failed
    assert last.failed
    (raised,) = last.events
    assert raised["exception.type"] == last.attributes["error.type"] == "ValueError"
    assert raised["exception.message"] == "attempt 2: password=*** is wrong"
    assert "in bad" in raised["exception.stacktrace"]

    died = seen(collector, "run planted.dies")
    assert died.failed
    assert died.attributes["error.type"] == "failed"  # its process ended: nothing was raised

    upstream = seen(collector, "run planted.loop")
    assert (after.trace, after.parent) == (upstream.trace, upstream.id)
    assert after.attributes["sereno.cause"] == "chain"
    joined = seen(collector, "run planted.thread", sereno_run_id=thread)
    assert (both.trace, both.parent, both.links) == (joined.trace, joined.id, (upstream.id,))

    slot = collector.named("run planted.second")[0]
    assert slot.parent == ""
    assert slot.attributes["sereno.schedule"] == "planted.second"
    assert slot.attributes["sereno.slot"]
    assert slot.resource["service.name"] == "sereno"
    assert "hunter2" not in replica.log + str(collector.spans)


@pytest.mark.usefixtures("planted")
def test_a_collector_that_is_away_costs_no_run(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "sereno.toml"
    file.write_text(f'[tracing]\nendpoint = "http://127.0.0.1:{free_port()}"\n')
    with traced(scene, "--config", str(file)) as replica:
        runs = [replica.enqueue(job) for job in ("planted.loop", "planted.child")]
        assert [replica.over(run) for run in runs] == ["succeeded", "succeeded"]
        replica.stop()
    kept = "SELECT DISTINCT logger FROM sereno.run_log WHERE run_id = ANY(%s)"
    loggers = {logger for (logger,) in scene.sql(kept, runs)}
    assert not {name for name in loggers if name.startswith("opentelemetry")}


@pytest.mark.usefixtures("planted")
def test_without_tracing_a_chain_passes_on_what_its_first_run_was_asked_for_with(
    scene: Scene,
) -> None:
    with traced(scene) as replica:
        replica.over(replica.enqueue("planted.loop", GIVEN))
        context = "SELECT trace_context FROM sereno.run WHERE job = 'planted.after'"
        wait_until(lambda: scene.sql(context), "the chained run")
        replica.stop()

    assert scene.sql(context) == [(GIVEN,)]
    (line,) = replica.lines("said by planted.loop ")
    assert str(line["event"]).endswith(GIVEN)
    assert "trace" not in line
