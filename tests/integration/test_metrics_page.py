"""The metrics page over a real database, read by Prometheus' own tool and parsers."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from msgspec import structs
from prometheus_client import REGISTRY, Counter
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from sereno import Collector, Metric, Sample
from sereno.engine.status import Dependency, Status
from sereno.model.events import RunFinished, RunStarted
from sereno.model.message_counts import MessageCounts
from sereno.model.run import RunState
from sereno.observe.job_watch import JobWatch
from sereno.observe.metrics import Metrics
from sereno.observe.plugin_metrics import Collected
from sereno.plugins.record import PluginRecord
from sereno.store.pool import Database

from ..prometheus.programs import ROOT, promtool
from .metrics_scene import add_job, add_schedule, opened, run_sql

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
SLOT = datetime(2026, 3, 6, 12, tzinfo=UTC)
PLUGINS = [
    PluginRecord(name="etl", version="1.0", state="loaded"),
    PluginRecord(name='odd"name', version="2.0", state="failed", reason="it raised"),
]


def metrics(database: Database, **options: Any) -> Metrics:
    status = Status(node=uuid4(), label="blue-1", version="1.2.3", leading=True, term=4)
    away = Dependency(plugin="etl", name="source", up=False, why="it is away", since=SLOT)
    status.dependencies[away.plugin, away.name] = away
    status.without_node = {"etl.sync": 2}
    known = {"notified": MessageCounts(["chat"]), "unscheduled": lambda: ["etl.sync"], **options}
    return Metrics(status, JobWatch(database), lambda: PLUGINS, **known)


def started(job: str = "etl.sync", run_id: int = 1, **facts: Any) -> RunStarted:
    known = {"attempt": 1, "slot": SLOT, "started_at": SLOT + timedelta(milliseconds=30), **facts}
    return RunStarted(run_id=run_id, job=job, **known)


def finished(
    job: str = "etl.sync", state: RunState = "succeeded", seconds: float = 2
) -> RunFinished:
    return RunFinished(
        run_id=1,
        job=job,
        attempt=1,
        slot=SLOT,
        state=state,
        duration=timedelta(seconds=seconds),
        error=None,
    )


async def families(shown: Metrics, accept: str = "") -> dict[str, Family]:
    text, content_type = await shown.page(accept)
    read = read_openmetrics if "openmetrics" in content_type else read_text
    return {f.name: f for f in read(text.decode())}  # type: ignore[no-untyped-call]


def value(found: dict[str, Family], name: str, **labels: str) -> float:
    (sample,) = [
        s for f in found.values() for s in f.samples if s.name == name and s.labels == labels
    ]
    return float(sample.value)


async def test_every_series_of_a_job_is_there_before_its_first_run(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        await add_schedule(db, next_slot="to_timestamp(4102444800)")
        found = await families(metrics(db))

    job = {"job": "etl.sync"}
    for state in ("succeeded", "failed", "timed_out", "cancelled", "lost"):
        assert value(found, "sereno_runs_total", state=state, **job) == 0
    for verdict in ("late", "coalesced", "skipped", "missed"):
        assert value(found, "sereno_slots_total", verdict=verdict, **job) == 0
    assert value(found, "sereno_runs_without_node", **job) == 2
    for name in ("runs_running", "runs_queued", "run_oldest_seconds", "job_paused"):
        assert value(found, f"sereno_{name}", **job) == 0
    for name in ("run_retries_total", "run_warnings_total", "slots_missed_total"):
        assert value(found, f"sereno_{name}", **job) == 0
    for name in ("run_duration_seconds", "slot_lateness_seconds"):
        assert value(found, f"sereno_{name}_count", **job) == 0
        assert value(found, f"sereno_{name}_bucket", le="+Inf", **job) == 0
    assert value(found, "sereno_job_last_success_timestamp_seconds", **job) == 0
    assert value(found, "sereno_job_next_slot_timestamp_seconds", **job) == 4102444800
    assert value(found, "sereno_job_overdue_seconds", severity="warning", **job) == 0


async def test_counts_come_from_the_database_and_measurements_from_this_node(database: str) -> None:
    async with opened(database) as db:
        await add_job(db, succeeded="3", failed="1", missed="2", last_success_at="to_timestamp(9)")
        await run_sql(
            db,
            "INSERT INTO sereno.run (job, state, cause, started_at) VALUES"
            " ('etl.sync', 'running', 'person', now()), ('etl.sync', 'queued', 'person', NULL)",
        )
        shown = metrics(db)
        shown.run_started(started())
        shown.run_started(started(run_id=2, attempt=2))
        shown.run_started(started(run_id=3, slot=None, cause="person"))
        shown.run_started(started(run_id=4, cause="part"))  # of a run that was asked for again
        shown.run_finished(finished(seconds=2))
        shown.run_finished(finished(state="timed_out", seconds=600))
        found = await families(shown)

    job = {"job": "etl.sync"}
    assert value(found, "sereno_runs_total", state="succeeded", **job) == 3
    assert value(found, "sereno_slots_missed_total", **job) == 2
    assert value(found, "sereno_runs_running", **job) == 1
    assert value(found, "sereno_runs_queued", **job) == 1
    assert value(found, "sereno_job_last_success_timestamp_seconds", **job) == 9
    assert value(found, "sereno_runs_started_total", cause="slot") == 1
    assert value(found, "sereno_runs_started_total", cause="person") == 1
    assert value(found, "sereno_slot_lateness_seconds_count", **job) == 1
    assert value(found, "sereno_slot_lateness_seconds_bucket", le="0.05", **job) == 1
    assert value(found, "sereno_run_duration_seconds_count", **job) == 1
    assert value(found, "sereno_run_duration_seconds_sum", **job) == 2
    assert value(found, "sereno_leader") == 1
    assert value(found, "sereno_leader_term") == 4
    assert value(found, "sereno_store_up") == 1


async def test_parts_of_a_slots_run_are_late_or_not_and_the_whole_is_no_attempt(
    database: str,
) -> None:
    async with opened(database) as db:
        await add_job(db)
        shown = metrics(db)
        shown.run_started(started(cause="part", part_of_slot=True))
        shown.run_finished(finished(seconds=2))
        shown.run_finished(structs.replace(finished(seconds=600), parts=2))
        found = await families(shown)

    job = {"job": "etl.sync"}
    assert value(found, "sereno_slot_lateness_seconds_count", **job) == 1
    assert value(found, "sereno_run_duration_seconds_sum", **job) == 2


async def test_only_declared_jobs_become_labels(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        shown = metrics(db)
        for n in range(50):
            shown.run_started(started(f"made.up_{n}"))
            shown.run_finished(finished(f"made.up_{n}"))
        found = await families(shown)

    jobs = {s.labels["job"] for f in found.values() for s in f.samples if "job" in s.labels}
    assert jobs == {"etl.sync"}


async def test_openmetrics_names_the_run_behind_a_bucket(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        shown = metrics(db)
        shown.run_started(started(run_id=41))
        found = await families(shown, OPENMETRICS)

    told = [s.exemplar for s in found["sereno_slot_lateness_seconds"].samples if s.exemplar]
    assert [exemplar.labels for exemplar in told] == [{"run_id": "41"}]


async def test_both_formats_hold_the_same_series(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        shown = metrics(db)
        text, _ = await shown.page()
        openmetrics, content_type = await shown.page(OPENMETRICS)

    def series(page: bytes) -> set[str]:
        return {
            line.rpartition(" ")[0] for line in page.decode().splitlines() if line[:1] != "#"
        } - {""}

    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert series(text) == series(openmetrics)


async def test_promtool_finds_nothing_to_mend(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        await add_job(db, "etl.other", severity="critical")
        shown = metrics(db)
        shown.run_started(started())
        text, _ = await shown.page()

    assert promtool("check", "metrics", text=text) == ""


async def test_while_the_database_is_away_the_page_says_so_and_keeps_the_jobs(
    database: str,
) -> None:
    db = Database(database)
    await db.open()
    await add_job(db, succeeded="3")
    watch = JobWatch(db, fresh=0)
    status = Status(node=uuid4(), label="blue-1", version="1.2.3")
    shown = Metrics(status, watch, lambda: [])
    await families(shown)
    await db.close()

    found = await families(shown)

    assert value(found, "sereno_store_up") == 0
    assert value(found, "sereno_runs_total", job="etl.sync", state="succeeded") == 3


async def test_with_many_jobs_a_plugins_jobs_share_a_row(database: str) -> None:
    async with opened(database) as db:
        for n in range(3):
            await add_job(db, f"etl.j{n}", succeeded="2")
        shown = metrics(db, job_limit=2)
        for n in range(3):
            shown.run_finished(finished(f"etl.j{n}"))
        found = await families(shown)

    assert value(found, "sereno_runs_total", job="etl.*", state="succeeded") == 6
    assert value(found, "sereno_run_duration_seconds_count", job="etl.*") == 3


async def test_every_series_is_documented_with_its_labels(database: str) -> None:
    taken = Counter("sereno_documented", "A name that is the kernel's.")
    try:
        async with opened(database) as db:
            await add_job(db)
            found = await families(metrics(db))
    finally:
        REGISTRY.unregister(taken)
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    documented = {
        name: set(filter(None, labels.split(",")))
        for name, labels in re.findall(r"^\| `(\w+)(?:\{([\w,]+)\})?` \|", text, re.MULTILINE)
    }
    shown = {
        f.name + ("_total" if f.type == "counter" else ""): set().union(
            *(s.labels.keys() - {"le"} for s in f.samples)
        )
        for f in found.values()
    }

    assert documented == shown


class _Rows(Collector):
    metrics = (Metric("pbx_rows_total", "counter", "Rows."),)

    async def collect(self, database_url: str) -> list[Sample]:
        return [Sample(self.metrics[0], 3)]


async def test_what_a_plugin_reads_from_the_database_keeps_its_name(database: str) -> None:
    """Its collectors begin after the page is there, once the plugins are open."""
    counted = Counter("pbx_rows", "Rows of this process.")
    try:
        async with opened(database) as db:
            collected = Collected({}, database)
            shown = metrics(db, collected=collected)
            collected.begin({"pbx": [_Rows()]}, {})
            found = await families(shown)
            await collected.close()
    finally:
        REGISTRY.unregister(counted)

    assert value(found, "pbx_rows_total") == 3
    assert value(found, "sereno_metrics_left_out", collector="pbx_rows", reason="taken") == 1
