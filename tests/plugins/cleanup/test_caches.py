from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno.model.run import SaidMessage
from sereno.testing import RecordedRun, RecordingReporter, run_context
from sereno_cleanup.caches import caches
from sereno_cleanup.figures import CacheSizes
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.plugin import sereno_register_collectors, sereno_register_jobs
from sereno_cleanup.settings import CacheRule, Settings

TABLES = """
CREATE TABLE cache (cache_key text PRIMARY KEY, value text, expires timestamptz NOT NULL);
CREATE INDEX ON cache (expires);
CREATE TABLE seen (hits bigint, misses bigint, evictions bigint);
INSERT INTO seen VALUES (785, 215, 23);
INSERT INTO cache SELECT 'old' || n, repeat('x', 2000), now() - interval '1 minute'
  FROM generate_series(1, 150) AS n;
INSERT INTO cache SELECT 'new' || n, 'x', now() + interval '1 hour'
  FROM generate_series(1, 110) AS n;
"""
STATISTICS = "SELECT * FROM seen"


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(TABLES)
    yield connection
    await connection.close()


def run_on(url: str, *rules: CacheRule) -> RecordedRun:
    return run_context(caches, settings=Settings(caches=rules), database_url=url)


async def clear(url: str, **changes: Any) -> dict[str, Any]:
    run = run_on(url, CacheRule(table="cache", **changes))
    [found] = (await caches.function(run))["caches"]
    return dict(found)


async def test_expired_entries_go_and_the_figures_are_those_that_are_asked_for(
    empty_database: str, database: Any
) -> None:
    found = await clear(empty_database, statistics=STATISTICS)
    assert found.pop("duration_ms") > 0
    assert found.pop("timestamp")
    assert found.pop("memory_freed_kb") >= 150 * 40 // 1024
    assert found == {
        "table": "cache",
        "entries_before": 260,
        "entries_after": 110,
        "entries_removed": 150,
        "hit_rate": 78.5,
        "evictions": 23,
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("statistics", "rate"),
    [
        ("SELECT 0 AS hits, 0 AS misses", None),
        ("SELECT NULL::int AS hits, 5 AS misses", None),
        ("SELECT 1 AS other", None),
        ("SELECT 1 AS hits, 3 AS misses WHERE false", None),
        ("SELECT 1 AS hits, 3 AS misses", 25.0),
        ("SELECT '1' AS hits, '3' AS misses", 25.0),  # a store of texts
        ("SELECT 1.5::numeric AS hits, 4.5::float8 AS misses", 25.0),
        ("SELECT 'NaN'::float8 AS hits, 3 AS misses, 'NaN'::numeric AS evictions", None),
        ("SELECT -1 AS hits, 3 AS misses", None),
        ("SELECT 'many' AS hits, ARRAY[3] AS misses", None),
    ],
)
async def test_a_rate_that_cannot_be_known_is_none(
    empty_database: str, database: Any, statistics: str, rate: float | None
) -> None:
    assert (await clear(empty_database, statistics=statistics))["hit_rate"] == rate


async def test_a_full_cache_and_few_hits_are_warned_of(
    empty_database: str, database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await database.execute("UPDATE seen SET hits = 1, misses = 1")
    found = await clear(empty_database, capacity=120, statistics=STATISTICS)
    full, few = found["warnings"]
    assert full.startswith("91.7 % of its capacity is taken (110 of 120): make it larger")
    assert few == "only 50.0 % of what is asked of it is there"
    warned = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2


async def test_a_warning_of_a_cache_is_told_to_people_once_a_day(
    empty_database: str, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[SaidMessage] = []
    monkeypatch.setattr(RecordingReporter, "notify", lambda _, message: said.append(message))
    full, roomy = (CacheRule(table="cache", capacity=n, statistics=STATISTICS) for n in (120, 130))
    instants = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 1, 2, 2)]
    for rule, at in zip((full, full, full, roomy), instants, strict=True):
        run = run_on(empty_database, rule)
        run.clock = partial(at.replace)
        await caches.function(run)
    first, again, next_day = said
    assert first.token == again.token != next_day.token  # of one token the kernel tells once
    assert first.message.severity == "warning"
    assert first.message.title.startswith("cache cache: 91.7 % of its capacity is taken")
    assert "hit_rate: 78.5\nevictions: 23" in first.message.text
    assert "entries_removed: 150" in first.message.text


async def test_a_cache_at_its_bounds_is_not_warned_of(empty_database: str, database: Any) -> None:
    await database.execute("UPDATE seen SET hits = 60, misses = 40")
    found = await clear(empty_database, capacity=123, statistics=STATISTICS)
    assert found["warnings"] == []


async def test_one_cache_that_is_not_there_does_not_stop_the_next(
    empty_database: str, database: Any
) -> None:
    run = run_on(empty_database, CacheRule(table="nosuch"), CacheRule(table="cache"))
    with pytest.raises(CleanupFailedError, match="nosuch: there is no such table"):
        await caches.function(run)
    assert await database.fetchval("SELECT count(*) FROM cache") == 110


async def test_sizes_are_metrics_on_every_replica(empty_database: str, database: Any) -> None:
    rules = (CacheRule(table="cache", capacity=500, full_above=0.7), CacheRule(table="nosuch"))
    samples = await CacheSizes(Settings(caches=rules)).collect(empty_database)
    assert {(s.metric.name, s.labels["table"]): s.value for s in samples} == {
        ("cleanup_cache_entries", "cache"): 260,
        ("cleanup_cache_capacity", "cache"): 500,
        ("cleanup_cache_full_above_ratio", "cache"): 0.7,  # the alert's limit, as the setting says
        ("cleanup_cache_entries", "nosuch"): 0,
    }


async def test_few_hits_are_a_metric_and_a_statement_at_fault_hides_no_other(
    empty_database: str, database: Any
) -> None:
    await database.execute("UPDATE seen SET hits = 1, misses = 3")
    rules = (
        CacheRule(table="nosuch", statistics="SELECT nothing"),
        CacheRule(table="cache", statistics=STATISTICS),
    )
    samples = await CacheSizes(Settings(caches=rules)).collect(empty_database)
    found = {(s.metric.name, s.labels["table"]): s.value for s in samples}
    assert found["cleanup_cache_hit_ratio", "cache"] == 0.25
    assert found["cleanup_cache_hit_below_ratio", "cache"] == 0.6
    assert ("cleanup_cache_hit_ratio", "nosuch") not in found


def test_a_cache_of_no_capacity_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="capacity"):
        msgspec.convert({"caches": [{"table": "cache", "capacity": 0}]}, Settings)


def test_job_and_metrics_are_there_where_a_cache_is() -> None:
    settings = Settings(caches=(CacheRule(table="cache"),))
    assert "cleanup.caches" in {job.name for job in sereno_register_jobs(settings)}
    assert any(isinstance(c, CacheSizes) for c in sereno_register_collectors(settings))
