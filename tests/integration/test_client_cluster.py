"""What there is, who leads, what was changed and how much there was: read by programs."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from sereno import Client
from sereno.model.errors import NotFoundError, ParamsError

from .cli_scene import Scene
from .cli_scene import scene as scene

WHEN = datetime(2026, 2, 1, tzinfo=UTC)


async def test_jobs_are_read_with_their_schedules_and_what_is_overdue(scene: Scene) -> None:
    scene.job(succeeded=3, failed=1)
    scene.job("etl.old", present=False)
    scene.schedule()
    scene.sql("UPDATE sereno.job SET overdue_after = '1 h', registered_at = '2026-01-01'")
    scene.sql("UPDATE sereno.watermark SET next_slot = '2026-03-01T01:00Z'")
    async with Client.open(scene.dsn) as client:
        found = {job.name: job for job in await client.jobs()}
        assert (await client.job("etl.sync")).schedules == found["etl.sync"].schedules
        with pytest.raises(NotFoundError, match=r"there is no job 'etl.sink'"):
            await client.job("etl.sink")
        late = await client.overdue()
        plugins = await client.plugins()
    assert (found["etl.sync"].succeeded, found["etl.old"].present) == (3, False)
    assert [s.name for s in found["etl.sync"].schedules] == ["etl.sync"]
    assert late["etl.sync"].by > timedelta(days=1)
    assert [(p.name, p.jobs, p.gone) for p in plugins] == [("etl", ("etl.sync",), ("etl.old",))]


async def test_replicas_and_terms_are_read(scene: Scene) -> None:
    with scene.leading("blue-1") as node:
        scene.sql(
            "INSERT INTO sereno.term (term, node, ended_at, reason)"
            " SELECT n, gen_random_uuid(), now(), 'reason ' || n FROM generate_series(2, 5) n"
        )
        async with Client.open(scene.dsn) as client:
            cluster = await client.cluster()
            terms = await client.terms(limit=2)
            older = await client.terms(limit=9, before=terms[-1].term)
            assert (await client.leader()).term == cluster.leader.term == 1
    assert (cluster.leader.label, cluster.leader.held) == ("blue-1", True)
    assert [(str(n.id), n.present) for n in cluster.nodes] == [(node, True)]
    assert cluster.unfit is None
    assert [t.term for t in terms + older] == [5, 4, 3, 2, 1]
    assert (terms[0].reason, older[-1].label) == ("reason 5", "blue-1")


async def test_totals_are_those_that_are_kept_and_what_waits_is_counted_so_far(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno.store.cluster.COUNTED", 5)
    scene.job(succeeded=1_000_000, missed=2)
    scene.job("etl.new", succeeded=5, lost=1)
    for _ in range(5):
        scene.run(state="queued")
    scene.run(state="running")
    async with Client.open(scene.dsn) as client:
        few = await client.totals()
        scene.run(state="queued")
        many = await client.totals()
    assert (few.succeeded, few.lost, few.missed) == (1_000_005, 1, 2)
    assert (few.queued, few.running, few.more) == (5, 1, False)
    assert (many.queued, many.more) == (5, True)


async def test_changes_are_read_page_by_page_both_ways(scene: Scene) -> None:
    scene.job()
    scene.sql(
        "INSERT INTO sereno.change (by, subject, action, reason)"
        " SELECT (ARRAY['ana@blue', 'bob'])[n %% 2 + 1], 'etl.sync@' || n %% 3, 'pause', 'n' || n"
        " FROM generate_series(1, 20) n"
    )
    async with Client.open(scene.dsn) as client:
        pages = [await client.changes(by="ana", limit=4)]
        while (older := pages[-1].older) is not None:
            pages.append(await client.changes(by="ana", limit=4, cursor=older))
        back = [pages[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(await client.changes(by="ana", limit=4, cursor=newer))
        subject = await client.changes(subject="etl.sync", limit=100)
        with pytest.raises(NotFoundError, match=r"there is no job or schedule 'etl.sink'"):
            await client.changes(subject="etl.sink")
        with pytest.raises(ParamsError, match="belongs to a page of another filter"):
            await client.changes(by="bob", cursor=pages[0].older)
        with pytest.raises(ParamsError, match="U\\+0000"):
            await client.changes(by="\0")
    found = [change.reason for page in pages for change in page.items]
    assert found == [f"n{n}" for n in range(20, 0, -1) if n % 2 == 0]
    assert [c.reason for page in reversed(back) for c in page.items] == found
    assert len(subject.items) == 20


async def test_a_page_of_rare_changes_goes_on_where_enough_was_looked_at(scene: Scene) -> None:
    scene.job()
    scene.sql(
        "INSERT INTO sereno.change (at, by, subject, action, reason)"
        " SELECT now() - (5000 - n) * interval '1 min',"
        " CASE n WHEN 7 THEN 'ana@blue' ELSE 'ci' END, 'etl.sync', 'pause', 'n' || n"
        " FROM generate_series(1, 5000) n"
    )
    async with Client.open(scene.dsn) as client:
        pages = [await client.changes(subject="etl.sync", by="ana")]
        while (older := pages[-1].older) is not None:
            pages.append(await client.changes(subject="etl.sync", by="ana", cursor=older))
        back = [pages[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(await client.changes(subject="etl.sync", by="ana", cursor=newer))
        young = await client.changes(since="90m", limit=1_000)
        nobody = await client.changes(by="nobody", since="1h")
    assert [page.whole for page in pages] == [False, False, True]
    for way in (pages, back):
        assert [c.reason for page in way for c in page.items] == ["n7"]
    assert [len(young.items), young.whole] == [90, True]
    assert (nobody.items, nobody.older) == ((), None)


async def test_jobs_and_blackouts_are_read_page_by_page_both_ways(scene: Scene) -> None:
    names = sorted(f"etl.{n}" for n in range(7))
    for name in names:
        scene.job(name)
    scene.job("shop.other")
    async with Client.open(scene.dsn) as client:
        end = datetime(2099, 1, 1, tzinfo=UTC)
        for n in range(5):
            start = end - timedelta(days=1 + n // 2)  # of one instant, by their number
            await client.add_blackout("etl.*", reason=f"r{n}", start=start, end=end)
        for ask, key, wanted in (
            (partial(client.job_page, text="ETL.", limit=3), "name", names),
            (partial(client.blackout_page, limit=2), "reason", ["r4", "r2", "r3", "r0", "r1"]),
        ):
            pages = [await ask()]
            while (older := pages[-1].older) is not None:
                pages.append(await ask(cursor=older))
            back = [pages[-1]]
            while (newer := back[-1].newer) is not None:
                back.append(await ask(cursor=newer))
            assert [getattr(one, key) for page in pages for one in page.items] == wanted
            assert [getattr(one, key) for page in reversed(back) for one in page.items] == wanted
            assert len(pages) == 3
        with pytest.raises(ParamsError, match="cursor"):
            await client.job_page(text="shop", cursor=pages[0].older)
        assert (await client.job_page(text="no\N{OWL}")).items == ()
        with pytest.raises(ParamsError):
            await client.job_page(text="\0")


async def test_what_a_leader_found_to_have_moved_is_read(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO sereno.change (by, subject, action, reason, before, after) VALUES"
        " ('ana', 'etl.sync', 'pause', '', NULL, NULL),"
        " ('the code', 'etl.sync', 'drift', 'tzdata', %s::jsonb, %s::jsonb),"
        " ('the code', 'etl.new', 'drift', 'odd', '7', '[\"x\"]')",
        '["2026-02-01T00:00:00Z"]', '["2026-02-01T01:00:00Z", "2026-02-02T01:00:00Z"]',
    )  # fmt: skip
    async with Client.open(scene.dsn) as client:
        odd, found = await client.drift()
    assert (found.schedule, found.because, found.before) == ("etl.sync", "tzdata", (WHEN,))
    assert found.after[0] == WHEN + timedelta(hours=1)
    assert (odd.before, odd.after) == ((), ())


async def test_the_ledger_is_verified(scene: Scene) -> None:
    scene.job()
    scene.schedule()
    async with Client.open(scene.dsn) as client:
        account = await client.verify("5000d")
        assert not account.holds
        assert account.counts["lost"] > 0
        assert (await client.verify(timedelta.max)).since < account.since
