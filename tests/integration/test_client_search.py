"""Runs and log lines are found by any filter, page by page both ways, at a bounded price."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sereno import Client, LogFilter, Page, RunFilter, Secret
from sereno.model.errors import NotFoundError, ParamsError
from sereno.store import search

from .scene import NODE, OTHER, Scene, declared_job, named, opened

THEN = datetime(2026, 3, 1, tzinfo=UTC)
STATES = ("queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost")
CAUSES = ("slot", "person", "program", "chain", "retry")

RUNS = """
INSERT INTO sereno.run (job, state, cause, schedule_id, queued_at, run_at, node, requested_by, params, error, attempt)
SELECT (ARRAY['shop.mail', 'shop.orders', 'etl.sync'])[n % 3 + 1],
       (ARRAY['succeeded', 'failed', 'succeeded', 'queued', 'succeeded', 'running', 'cancelled', 'lost', 'timed_out'])[n % 9 + 1],
       (ARRAY['slot', 'person', 'program', 'chain', 'retry'])[n % 5 + 1],
       CASE WHEN n % 4 = 0 THEN (SELECT id FROM sereno.schedule WHERE name = 'etl.sync') END,
       at, at, (ARRAY['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'])[n % 2 + 1]::uuid,
       (ARRAY['ana@blue', 'ana@green', 'the till'])[n % 3 + 1], jsonb_build_object('site', n % 7, 'deep', jsonb_build_object('n', n % 2)),
       CASE WHEN n % 5 = 0 THEN 'Disk ' || n % 10 || '0% FULL_x' END, 1
  FROM generate_series(1, $1) n, LATERAL (SELECT timestamptz '2026-03-01' + n * interval '1 min' AS at) t
"""  # noqa: E501


class WithSecret(msgspec.Struct):
    """Params of which one is secret."""

    site: int = 0
    door: Annotated[str, Secret] = ""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("shop.mail", "shop.orders", "etl.sync", named("etl.sync", "every 1h"))
        for node, label in ((NODE, "blue"), (OTHER, "green")):
            await found.eye.execute(
                "INSERT INTO sereno.node (id, label, pid, version) VALUES ($1, $2, 1, '1')",
                node, label,
            )  # fmt: skip
        yield found


async def all_pages(client: Client, wanted: RunFilter, limit: int) -> list[Page[Any]]:
    pages = [await client.runs(wanted, limit=limit)]
    while (older := pages[-1].older) is not None:
        pages.append(await client.runs(wanted, limit=limit, cursor=older))
    return pages


async def ids(client: Client, wanted: RunFilter, limit: int = 10_000) -> list[int]:
    pages = await all_pages(client, wanted, limit)
    return [run.id for page in pages for run in page.items]


FOUND: list[tuple[dict[str, Any], str]] = [
    ({}, "true"),
    ({"job": "shop.mail"}, "job = 'shop.mail'"),
    ({"job": "shop.*"}, "job LIKE 'shop.%'"),
    ({"job": "*.m?il"}, "job = 'shop.mail'"),
    ({"states": ("failed",)}, "state = 'failed'"),
    ({"states": ["failed", "lost", "cancelled", "timed_out"]},
     "state IN ('failed', 'lost', 'cancelled', 'timed_out')"),
    ({"states": ("queued",)}, "state = 'queued'"),
    ({"states": ("queued", "running")}, "state IN ('queued', 'running')"),
    ({"states": ("running", "lost")}, "state IN ('running', 'lost')"),
    ({"states": ("succeeded", "queued")}, "state IN ('succeeded', 'queued')"),
    ({"states": ("failed",), "job": "etl.sync"}, "state = 'failed' AND job = 'etl.sync'"),
    ({"states": ("queued",), "job": "shop.*"}, "state = 'queued' AND job LIKE 'shop.%'"),
    ({"causes": ("person", "retry")}, "cause IN ('person', 'retry')"),
    ({"schedule": "etl.sync", "job": "etl.*"}, "schedule_id IS NOT NULL AND job = 'etl.sync'"),
    ({"node": "green"}, f"node = '{OTHER}'"),
    ({"node": str(NODE)[:13]}, f"node IN ('{NODE}', '{OTHER}')"),
    ({"requested_by": "ana"}, "requested_by LIKE 'ana@%'"),
    ({"requested_by": "ana@green"}, "requested_by = 'ana@green'"),
    ({"since": THEN + timedelta(minutes=50)}, "queued_at >= '2026-03-01T00:50Z'"),
    ({"until": THEN + timedelta(minutes=50)}, "queued_at < '2026-03-01T00:50Z'"),
    ({"since": THEN + timedelta(minutes=50), "until": THEN + timedelta(minutes=51)},
     "queued_at = '2026-03-01T00:50Z'"),
    ({"since": datetime(2036, 1, 1, tzinfo=UTC)}, "false"),
    ({"until": datetime(1, 1, 3, tzinfo=UTC)}, "false"),
    ({"params": {"site": 3}}, "params ->> 'site' = '3'"),
    ({"params": {"deep": {"n": 1}, "site": 2}}, "params @> '{\"deep\": {\"n\": 1}, \"site\": 2}'"),
    ({"error": "00% full_"}, "error LIKE '%00\\% FULL\\_%'"),
    ({"error": "disk", "job": "shop.*", "causes": ("slot",), "states": ("failed", "succeeded")},
     ("error IS NOT NULL AND job LIKE 'shop.%' AND cause = 'slot'"
      " AND state IN ('failed', 'succeeded')")),
]  # fmt: skip


@pytest.mark.every_postgres
async def test_each_filter_finds_what_a_plain_query_finds_in_pages_of_any_size(
    scene: Scene, database: str
) -> None:
    await scene.eye.execute(RUNS, 300)
    async with Client.open(database) as client:
        for said, condition in FOUND:
            expected = [
                row[0]
                for row in await scene.rows(
                    f"SELECT id FROM sereno.run WHERE {condition} ORDER BY id DESC"
                )
            ]
            for limit in (1, 7, 300):
                if limit == 1 and len(expected) > 50:
                    continue
                assert await ids(client, RunFilter(**said), limit) == expected, said
            counted = await client.count_runs(RunFilter(**said))
            assert (counted.found, counted.more) == (len(expected), False), said


@pytest.mark.parametrize("said", [{}, {"job": "shop.*"}, {"states": ("failed", "running")}])
async def test_pages_lead_back_as_they_led_on(
    scene: Scene, database: str, said: dict[str, Any]
) -> None:
    await scene.eye.execute(RUNS, 100)
    async with Client.open(database) as client:
        wanted = RunFilter(**said)
        pages = await all_pages(client, wanted, 7)
        assert pages[0].newer is None
        back = [pages[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(await client.runs(wanted, limit=7, cursor=newer))
        seen = [[run.id for run in page.items] for page in back if page.items]
    assert [i for page in reversed(seen) for i in page] == [r.id for p in pages for r in p.items]


async def test_a_page_is_not_moved_by_runs_that_come_or_go(scene: Scene, database: str) -> None:
    await scene.eye.execute(RUNS, 50)
    async with Client.open(database) as client:
        first = await client.runs(limit=10)
        await scene.enqueue("shop.mail")
        await scene.eye.execute("DELETE FROM sereno.run WHERE id IN (40, 41)")
        second = await client.runs(limit=10, cursor=first.older)
        new = await client.runs(limit=10, cursor=second.newer)
    assert [run.id for run in first.items] == list(range(50, 40, -1))
    assert [run.id for run in second.items] == list(range(39, 29, -1))
    assert [run.id for run in new.items] == [51, 50, 49, 48, 47, 46, 45, 44, 43, 42]


async def test_what_hardly_any_run_has_is_found_over_several_pages(
    scene: Scene, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "STEPS", (10, 20))
    await scene.eye.execute(RUNS, 200)
    await scene.eye.execute("UPDATE sereno.run SET error = 'odd' WHERE id IN (3, 5, 195)")
    async with Client.open(database) as client:
        pages = await all_pages(client, RunFilter(error="odd"), 5)
        count = await client.count_runs(RunFilter(error="odd"))
    assert [[run.id for run in page.items] for page in pages if page.items] == [[195], [5, 3]]
    assert [page.whole for page in pages] == [False] * 6 + [True]
    assert (count.found, count.more) == (1, True)


async def test_a_count_ends_where_it_is_told_to(scene: Scene, database: str) -> None:
    await scene.eye.execute(RUNS, 100)
    async with Client.open(database) as client:
        found = await client.count_runs(RunFilter(), most=30)
    assert (found.found, found.more) == (30, True)


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"job": "shop.male"}, NotFoundError, "there is no job 'shop.male' in this database, did you"),
    ({"schedule": "etl.sink"}, NotFoundError, "there is no schedule 'etl.sink', did you mean"),
    ({"node": "bleu"}, NotFoundError, "there is no replica 'bleu', did you mean 'blue'?"),
    ({"states": ("fine",)}, ParamsError, "filter: Invalid enum value 'fine'"),
    ({"states": "failed"}, ParamsError, "filter: "),
    ({"error": ""}, ParamsError, "filter: Expected `str` of length >= 1"),
    ({"job": ""}, NotFoundError, "there is no job ''"),
    ({"job": 7}, ParamsError, "filter: Expected `str"),
    ({"error": "a\0b"}, ParamsError, "filter: a text holds U\\+0000"),
    ({"params": {"site": "\0"}}, ParamsError, "U\\+0000"),
    ({"params": {"password": "x"}}, ParamsError, "param 'password' holds a secret; nothing is"),
    ({"params": {"a": [{"api_token": "x"}]}}, ParamsError, "param 'a' holds a secret"),
    ({"since": THEN, "until": THEN}, ParamsError, "since .* is not before until"),
    ({"since": datetime(2026, 1, 1)}, ParamsError, "filter: since .* must carry a time zone"),  # noqa: DTZ001
    ({"until": datetime.max.replace(tzinfo=UTC)}, ParamsError, "filter: until is 9999"),
]  # fmt: skip


async def test_what_is_no_filter_is_a_sentence(scene: Scene, database: str) -> None:
    async with Client.open(database) as client:
        for said, error, sentence in REFUSED:
            with pytest.raises(error, match=sentence):
                await client.runs(RunFilter(**said))
        with pytest.raises(ParamsError, match="level is 'LOUD', it must be DEBUG, INFO, WARNING"):
            await client.logs(LogFilter(level="LOUD"))
        for limit in (0, -1, 10_001, 2**70, True, "7"):
            with pytest.raises(ParamsError, match="limit is"):
                await client.runs(limit=limit)  # type: ignore[arg-type]


async def test_a_cursor_of_another_filter_or_of_none_is_a_sentence(
    scene: Scene, database: str
) -> None:
    await scene.eye.execute(RUNS, 20)
    async with Client.open(database) as client:
        cursor = (await client.runs(RunFilter(job="shop.*"), limit=2)).older
        lines = (await client.logs(limit=2)).older
        assert lines is None
        for other in (RunFilter(), RunFilter(job="shop.mail")):
            with pytest.raises(ParamsError, match="belongs to a page of another filter"):
                await client.runs(other, cursor=cursor)
        for bad in ("", "x", "é", "W10", "bnVsbA", "A" * 100_000, cursor + "AAAA", "WzEsMiwzXQ"):
            with pytest.raises(ParamsError, match="is none of a page; begin again without one"):
                await client.runs(RunFilter(job="shop.*"), cursor=bad)


async def test_runs_are_not_found_by_a_param_that_their_job_calls_secret(
    database: str,
) -> None:
    async with opened(database) as scene, Client.open(database) as client:
        await scene.declare(declared_job("a", params=WithSecret), "b")
        for job in ("a", "b"):
            await client.enqueue(job, {"site": 1, "door": "12"})
        assert len(await ids(client, RunFilter(params={"site": 1}))) == 2
        found = (await client.runs(RunFilter(params={"door": "12"}))).items
    assert [run.job for run in found] == ["b"]


TEXTS = st.text(max_size=30)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.fixed_dictionaries(
        {},
        optional={
            "job": TEXTS,
            "schedule": TEXTS,
            "node": TEXTS,
            "requested_by": TEXTS,
            "error": TEXTS,
            "params": st.dictionaries(TEXTS, st.recursive(TEXTS | st.integers(), st.lists)),
            "since": st.datetimes(timezones=st.just(UTC)),
            "until": st.datetimes(timezones=st.just(UTC)),
        },
    ),
    cursor=st.none() | TEXTS,
)
async def test_whatever_is_looked_for_is_answered_or_refused_with_a_sentence(
    database: str, said: dict[str, Any], cursor: str | None
) -> None:
    async with Client.open(database) as client:
        try:
            page = await client.runs(RunFilter(**said), cursor=cursor)
        except (ParamsError, NotFoundError) as error:
            assert str(error)  # noqa: PT017
        else:
            assert page.items == ()


# --- log lines over all runs ------------------------------------------------------------------

LINES = """
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT n % 20 + 1, 1, n, timestamptz '2026-03-01' + (n / 3) * interval '1 s',
       (ARRAY['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'NOTICE'])[n % 6 + 1], 'shop',
       'Line ' || n || '%_' || n % 10
  FROM generate_series(1, $1) n
"""

LINES_FOUND: list[tuple[dict[str, Any], str]] = [
    ({}, "true"),
    ({"level": "warning"}, "level IN ('WARNING', 'ERROR', 'CRITICAL')"),
    ({"level": "DEBUG"}, "level <> 'NOTICE'"),
    ({"job": "shop.*"}, "job LIKE 'shop.%'"),
    ({"text": "LINE 1%_"}, "message = 'Line 1%_1'"),
    ({"since": THEN + timedelta(seconds=5)}, "at >= '2026-03-01T00:00:05Z'"),
    ({"until": THEN + timedelta(seconds=5)}, "at < '2026-03-01T00:00:05Z'"),
    ({"level": "ERROR", "job": "etl.sync", "text": "_7", "since": THEN,
      "until": THEN + timedelta(hours=1)},
     "level IN ('ERROR', 'CRITICAL') AND job = 'etl.sync' AND message LIKE '%\\_7'"),
]  # fmt: skip


@pytest.mark.every_postgres
async def test_log_lines_of_all_runs_are_found_in_the_order_they_were_said(
    scene: Scene, database: str
) -> None:
    await scene.eye.execute(RUNS, 20)
    await scene.eye.execute(LINES, 200)
    async with Client.open(database) as client:
        for said, condition in LINES_FOUND:
            expected = await scene.rows(
                "SELECT l.at, run_id, l.attempt, line FROM sereno.run_log l"
                " JOIN sereno.run r ON r.id = run_id"
                f" WHERE {condition} ORDER BY 1 DESC, 2 DESC, 3 DESC, 4 DESC"
            )
            for limit in (7, 200):
                pages = [await client.logs(LogFilter(**said), limit=limit)]
                while (older := pages[-1].older) is not None:
                    pages.append(await client.logs(LogFilter(**said), limit=limit, cursor=older))
                found = [(e.at, e.run_id, e.attempt, e.line) for p in pages for e in p.items]
                assert found == expected, (said, limit)
                back = [pages[-1]]
                while (newer := back[-1].newer) is not None:
                    back.append(await client.logs(LogFilter(**said), limit=limit, cursor=newer))
                there = [[e.line for e in p.items] for p in reversed(back)]
                assert list(itertools.chain(*there)) == [e[3] for e in expected], (said, limit)


async def test_log_lines_of_all_runs_are_followed_each_once(scene: Scene, database: str) -> None:
    await scene.eye.execute(RUNS, 20)
    await scene.eye.execute(LINES, 50)
    said = (
        "INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)"
        " SELECT $1, 1, 1000 + n, clock_timestamp() - $2 * interval '1 ms', 'INFO', 'x', $3 || n"
        " FROM generate_series(1, 2) n"
    )

    async with Client.open(database) as client:
        found: list[str] = []

        async def follow() -> None:
            async for line in client.follow_logs(LogFilter(job="shop.*")):
                found.append(line.message)
                if len(found) == 4:
                    return

        following = asyncio.create_task(follow())
        await until_asked(scene)
        await scene.eye.execute(said, 1, 0, "new ")  # job shop.orders
        await scene.eye.execute(said, 2, 0, "of another job ")
        await until_found(found, 2)
        await scene.eye.execute(said, 4, 1, "late ")
        await following
    assert sorted(found[:2]) == ["new 1", "new 2"]
    assert sorted(found[2:]) == ["late 1", "late 2"]


async def until_asked(scene: Scene) -> None:
    asked = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%run_log l%' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(45):
        while not await scene.value(asked):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def until_found(found: list[str], many: int) -> None:
    async with asyncio.timeout(45):
        while len(found) < many:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
