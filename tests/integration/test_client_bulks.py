"""Many runs are changed by one frozen filter: seen before, in chunks, and stopped half way."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest

from sereno import BulkView, Client, RunFilter, Secret
from sereno.engine import bulk_worker
from sereno.model.errors import ConflictError, LeaseLostError, NotFoundError, ParamsError
from sereno.store import bulks
from sereno.store.bulk_queue import following
from sereno.store.ledger import settle

from .node import looking, running
from .scene import NODE, OTHER, Scene, declared_job, job_named, named, opened, settlement


class WithSecret(msgspec.Struct):
    """Params of which one is secret."""

    door: Annotated[str, Secret] = ""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("shop.mail", "shop.orders", "etl.sync", named("etl.sync"))
        yield found


async def fill(scene: Scene, job: str, count: int, state: str = "queued", **params: Any) -> None:
    """Make so many runs, of which those that are over were so a minute ago."""
    await scene.eye.execute(
        "INSERT INTO sereno.run (job, state, cause, queued_at, finished_at, node, params)"
        " SELECT $1, $2, 'program', clock_timestamp() - interval '2 min',"
        " CASE WHEN $2 NOT IN ('queued', 'running') THEN clock_timestamp() - interval '1 min' END,"
        " CASE WHEN $2 = 'running' THEN $4::uuid END, $5 FROM generate_series(1, $3)",
        *(job, state, count, NODE, msgspec.json.encode(params).decode()),
    )


async def carried_out(scene: Scene, client: Client, number: int) -> BulkView:
    """Do what a leader does, chunk by chunk, to the end."""
    while (bulk := await following(scene.db)) is not None:
        await bulks.carry_on(scene.db, scene.term, bulk)
    return await client.bulk(number)


async def counted(scene: Scene, where: str) -> int:
    return int(await scene.value(f"SELECT count(*) FROM sereno.run WHERE {where}"))


async def test_a_bulk_cancels_what_waits_and_asks_what_runs_and_leaves_the_rest(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 250)
    await fill(scene, "shop.mail", 3, "running")
    await fill(scene, "shop.mail", 5, "succeeded")
    await fill(scene, "shop.orders", 4)
    async with Client.open(database, requested_by="ana@blue") as client:
        wanted = RunFilter(job="shop.mail")
        preview = await client.preview_bulk("cancel", wanted)
        assert (preview.found, preview.more) == (253, False)
        assert preview.sentence == "cancel 253 runs: job shop.mail, queued or running"
        bulk = await client.start_bulk("cancel", wanted, reason="wrong price", expect=253)
        assert (bulk.state, bulk.expected, bulk.over) == ("queued", 253, False)
        done = await carried_out(scene, client, bulk.id)
        changes = (await client.changes(subject=f"bulk {bulk.id}")).items
    assert (done.state, done.matched, done.done, done.failed) == ("done", 253, 253, 0)
    assert await counted(scene, "state = 'cancelled'") == 250
    assert await counted(scene, "state = 'queued'") == 4
    told = f"cancelled by bulk {bulk.id} of ana@blue: wrong price"
    assert await counted(scene, f"error = '{told}' AND job = 'shop.mail'") == 250
    assert await scene.value("SELECT count(*) FROM sereno.cancel_request") == 253
    assert await scene.rows(
        "SELECT cancelled, last_state FROM sereno.job_stat WHERE job = 'shop.mail'"
    ) == [(250, "cancelled")]
    ((change),) = changes
    assert (change.by, change.action, change.reason) == ("ana@blue", "bulk_cancel", "wrong price")
    assert change.after == {"state": "done", "matched": 253, "done": 253, "failed": 0}
    assert change.before == {"filter": {"job": "shop.mail", "states": ["queued", "running"]}}


async def test_a_slot_that_waited_for_a_cancelled_run_is_skipped(
    scene: Scene, database: str
) -> None:
    entry = await scene.entry("etl.sync")
    slot = entry.settled_to.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    await settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "waiting"), starts=False)])
    async with Client.open(database) as client:
        bulk = await client.start_bulk("cancel", RunFilter(schedule="etl.sync"), reason="stop")
        assert (await carried_out(scene, client, bulk.id)).done == 1
    ((verdict, reason),) = await scene.rows("SELECT verdict, reason FROM sereno.slot")
    assert verdict == "skipped"
    assert reason.endswith(": stop, before it began")


async def test_a_bulk_queues_again_what_failed_before_it_and_never_its_own_runs(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 230, "failed", n=1)
    await fill(scene, "shop.mail", 2, "succeeded")
    async with Client.open(database, requested_by="ana@blue") as client:
        wanted = RunFilter(job="shop.*")
        bulk = await client.start_bulk("retry", wanted, reason="smtp is back", expect=230)
        await fill(scene, "shop.mail", 3, "queued")
        await scene.eye.execute(  # queued before, over after
            "UPDATE sereno.run SET state = 'failed', finished_at = clock_timestamp()"
            " WHERE state = 'queued'"
        )
        done = await carried_out(scene, client, bulk.id)
    assert (done.state, done.matched, done.done) == ("done", 230, 230)
    assert (
        await counted(scene, "cause = 'retry' AND state = 'queued' AND params = '{\"n\": 1}'")
        == 230
    )
    assert await scene.value("SELECT count(DISTINCT repeats) FROM sereno.run") == 230
    said = "requested_by = 'ana@blue, run ' || repeats || ' again, bulk 1'"
    assert await counted(scene, said) == 230


async def test_runs_queued_after_a_bulk_is_asked_for_are_not_touched(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 2)
    async with Client.open(database) as client:
        bulk = await client.start_bulk("cancel", RunFilter(job="shop.mail"), reason="x")
        later = await scene.enqueue("shop.mail")
        await carried_out(scene, client, bulk.id)
    assert await scene.state(later) == "queued"
    assert await counted(scene, "state = 'cancelled'") == 2


async def test_a_run_that_refuses_fails_alone_and_is_named(scene: Scene, database: str) -> None:
    await scene.declare("shop.mail", declared_job("shop.safe", params=WithSecret))
    await fill(scene, "shop.safe", 3, "failed", door="b")
    await fill(scene, "shop.safe", 1, "failed", door=None)
    await fill(scene, "shop.orders", 2, "failed")
    await fill(scene, "shop.mail", 2, "failed")
    gone = await scene.value("SELECT max(id) FROM sereno.run WHERE job = 'shop.orders'")
    async with Client.open(database) as client:
        wanted = RunFilter(job="shop.*")
        bulk = await client.start_bulk("retry", wanted, reason="again")
        done = await carried_out(scene, client, bulk.id)
    assert (done.state, done.matched, done.done, done.failed) == ("done", 8, 5, 3)
    assert done.error is not None
    assert done.error.startswith(f"run {gone}: unknown job 'shop.orders'")


async def test_a_bulk_of_many_runs_is_refused_until_it_is_confirmed_and_nothing_is_done(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 10_050)
    async with Client.open(database) as client:
        wanted = RunFilter(job="shop.*")
        for expect in (None, 0, 10_000):
            with pytest.raises(ConflictError) as refused:
                await client.start_bulk("cancel", wanted, reason="x", expect=expect)
            assert "would cancel more than 10,000 runs: job shop.*, queued or" in str(refused.value)
            assert "nothing was done" in str(refused.value)
        assert await client.bulks() == []
        bulk = await client.start_bulk("cancel", wanted, reason="x", expect=10_001)
        assert bulk.expected is None
    assert await counted(scene, "state = 'queued'") == 10_050


REFUSED: list[tuple[str, RunFilter, dict[str, Any], str]] = [
    ("cancel", RunFilter(), {}, "the filter is empty"),
    ("retry", RunFilter(), {}, "the filter is empty"),
    ("pause", RunFilter(job="shop.mail"), {}, "it must be 'cancel' or 'retry'"),
    ("cancel", RunFilter(states=("failed",)), {}, "runs that are failed are over"),
    ("retry", RunFilter(states=("lost", "queued")), {}, "runs that are queued are not over"),
    ("cancel", RunFilter(job="shop.mail"), {"reason": " "}, "the reason is empty"),
    ("cancel", RunFilter(job="shop.mail"), {"reason": "a\0"}, "reason holds U\\+0000"),
    ("cancel", RunFilter(job="shop.mail"), {"expect": -1}, "expect is -1"),
    ("cancel", RunFilter(job="shop.mail"), {"expect": True}, "expect is True"),
    ("cancel", RunFilter(params={"password": "x"}), {}, "holds a secret"),
]


@pytest.mark.parametrize(("action", "wanted", "said", "sentence"), REFUSED)
async def test_what_is_no_bulk_is_a_sentence(
    scene: Scene, database: str, action: Any, wanted: RunFilter, said: Any, sentence: str
) -> None:
    async with Client.open(database) as client:
        with pytest.raises(ParamsError, match=sentence):
            await client.start_bulk(action, wanted, **{"reason": "x", **said})
        with pytest.raises(NotFoundError, match=r"no job 'shop\.male'"):
            await client.preview_bulk("cancel", RunFilter(job="shop.male"))
        with pytest.raises(NotFoundError, match="there is no bulk 7; `sereno bulks`"):
            await client.bulk(7)
        with pytest.raises(NotFoundError, match="there is no bulk 7"):
            await client.cancel_bulk(7)
        assert await client.bulks() == []


async def test_a_bulk_that_is_cancelled_goes_no_further_and_the_trail_says_how_far(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 250)
    async with Client.open(database, requested_by="ana@blue") as client:
        bulk = await client.start_bulk("cancel", RunFilter(job="shop.mail"), reason="x", expect=999)
        first = await following(scene.db)
        assert first is not None
        await bulks.carry_on(scene.db, scene.term, first)
        second = await following(scene.db)
        stopped = await client.cancel_bulk(bulk.id, requested_by="bob@blue")
        assert (stopped.state, stopped.cancelled_by, stopped.done) == ("cancelled", "bob@blue", 100)
        assert second is not None
        await bulks.carry_on(scene.db, scene.term, second)  # was looked for before
        assert await client.cancel_bulk(bulk.id, requested_by="eve") == stopped
        (change,) = (await client.changes()).items
    assert change.after["cancelled_by"] == "bob@blue"
    assert change.after["done"] == await counted(scene, "state = 'cancelled'") == 100
    assert await following(scene.db) is None


async def test_a_deposed_leader_and_a_second_one_do_no_chunk_again(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 150, "failed")
    async with Client.open(database) as client:
        bulk = await client.start_bulk("retry", RunFilter(job="shop.mail"), reason="x", expect=150)
        read = await following(scene.db)
        assert read is not None
        old = scene.term
        await scene.begin_term(OTHER)
        with pytest.raises(LeaseLostError, match=f"term {old} is over: its bulks"):
            await bulks.carry_on(scene.db, old, read)
        await bulks.carry_on(scene.db, scene.term, read)
        await bulks.carry_on(scene.db, scene.term, read)  # at a place where it is no more
        assert (await client.bulk(bulk.id)).done == 100
        assert (await carried_out(scene, client, bulk.id)).done == 150
    assert await scene.value("SELECT count(DISTINCT repeats) FROM sereno.run") == 150
    assert await counted(scene, "repeats IS NOT NULL") == 150


async def test_a_bulk_whose_filter_cannot_be_asked_any_more_fails_with_a_sentence(
    scene: Scene, database: str
) -> None:
    await fill(scene, "shop.mail", 1)
    async with Client.open(database) as client:
        bulk = await client.start_bulk("cancel", RunFilter(job="shop.mail"), reason="x")
        odd = await client.start_bulk("cancel", RunFilter(job="shop.*"), reason="x")
        await scene.eye.execute('UPDATE sereno.bulk SET filter = \'{"node": "n"}\' WHERE id = 1')
        await scene.eye.execute("UPDATE sereno.bulk SET filter = '[]' WHERE id = 2")
        found = await carried_out(scene, client, bulk.id)
        assert (found.state, found.error) == (
            "failed",
            "there is no replica 'n'; `sereno cluster` lists them",
        )
        assert [b.id for b in await client.bulks()] == [odd.id, bulk.id]
        assert [b.id for b in await client.bulks(before=odd.id)] == [bulk.id]


async def test_bulks_that_ended_too_long_ago_are_pruned(scene: Scene, database: str) -> None:
    async with Client.open(database) as client:
        for _ in range(3):
            await client.start_bulk("cancel", RunFilter(job="shop.*"), reason="x")
        await client.cancel_bulk(1)
        await client.cancel_bulk(2)
        await scene.eye.execute("UPDATE sereno.bulk SET finished_at = 'epoch' WHERE id = 1")
        assert await scene.value("SELECT sereno.prune('30 days', 1000, 1000)") == 1
        assert [bulk.id for bulk in await client.bulks()] == [3, 2]


@pytest.mark.parametrize("woken", [True, False])
async def test_a_leader_carries_a_bulk_out_while_it_fires(
    database: str, monkeypatch: pytest.MonkeyPatch, woken: bool
) -> None:
    monkeypatch.setattr(bulk_worker, "LOOK_EVERY", 600.0 if woken else 0.1)
    async with running(database, job_named("shop.mail")) as node, looking(database) as eye:
        await node.leads()
        await eye.until("SELECT count(*) = 1 FROM sereno.job")
        later = datetime.fromisoformat("2096-01-01T00:00:00Z")
        async with Client.open(database) as client:
            await client.enqueue_many("shop.mail", [{}] * 321, run_at=later)
            wanted = RunFilter(job="shop.mail", states=("queued",))
            bulk = await client.start_bulk("cancel", wanted, reason="not now", expect=321)
            await eye.until("SELECT state = 'done' FROM sereno.bulk")
            done = await client.bulk(bulk.id)
            assert (done.matched, done.done, done.failed) == (321, 321, 0)
            await eye.ran("shop.mail")
    assert node.fault is None
