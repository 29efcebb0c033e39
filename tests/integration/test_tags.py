"""Runs are found by their tags, by their job's and their schedule's, page by page; and who has
none pays nothing."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from sereno import Client, RunFilter
from sereno.model.errors import ParamsError
from sereno.store import bulk_queue, bulks, catalogue, schedules
from sereno.store.filters import checked
from sereno.store.pool import Database

from .run_scene import claimed, outcome, write
from .scene import Scene, declared_job, named, opened


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


NARROWED: list[dict[str, Any]] = [
    *({}, {"job": "mail"}, {"job": "[ms]*"}, {"states": ("failed",)}),
    *({"states": ("queued", "running")}, {"states": ("succeeded", "queued")}),
]


async def declare(scene: Scene, **tags: list[str]) -> None:
    jobs = [
        replace(one, job=one.job.titled(tags=tags.get(name, [])))
        for name in ("mail", "orders", "sync")
        for one in [declared_job(name)]
    ]
    plan = named("sync", "every 1h")
    plan = replace(plan, declared=replace(plan.declared, title="Hourly", tags=("hourly",)))
    await catalogue.register(scene.db, scene.term, jobs, [plan])


async def found(client: Client, *tags: str, limit: int = 3, **narrowed: Any) -> list[int]:
    wanted = RunFilter(tags=tags, **narrowed)
    page = await client.runs(wanted, limit=limit)
    ids = [run.id for run in page.items]
    while page.older is not None:
        page = await client.runs(wanted, limit=limit, cursor=page.older)
        ids += [run.id for run in page.items]
    return ids


async def test_any_tags_are_found_in_any_mixture_as_a_plain_look_finds_them(scene: Scene) -> None:
    await declare(scene, mail=["post", "both"], orders=["both"])
    chance, client = random.Random(7), Client(scene.db)
    plan = await scene.value("SELECT id FROM sereno.schedule")
    has: dict[int, tuple[set[str], str, str]] = {}
    for _ in range(150):
        own = chance.sample(["a", "b", "both", "ñandú 🦤", "post"], chance.choice([0, 0, 1, 2]))
        name = chance.choice(["mail", "orders", "sync"])
        run = await client.enqueue(name, tags=own)
        state = chance.choice(["queued", "running", "succeeded", "failed"])
        by_plan = name == "sync" and chance.random() < 0.5
        await scene.eye.execute(
            "UPDATE sereno.run SET state = $2, schedule_id = $3 WHERE id = $1",
            run, state, plan if by_plan else None,
        )  # fmt: skip
        inherited = {"mail": {"post", "both"}, "orders": {"both"}}.get(name, set())
        has[run] = ({*own, *inherited, *(["hourly"] if by_plan else [])}, name, state)
    for tags in (["a"], ["post"], ["both"], ["hourly"], ["a", "b"], ["a", "post"], ["ñandú 🦤"],
                 ["hourly", "a"], ["none"], ["a", "none"]):  # fmt: skip
        for narrowed in NARROWED:
            jobs = {"mail": ("mail",), "[ms]*": ("mail", "sync")}.get(str(narrowed.get("job")))
            want = [
                run
                for run, (its, name, state) in sorted(has.items(), reverse=True)
                if its.issuperset(tags)
                and (jobs is None or name in jobs)
                and state in narrowed.get("states", (state,))
            ]
            assert await found(client, *tags, **narrowed) == want, (tags, narrowed)
            counted = await client.count_runs(RunFilter(tags=tuple(tags), **narrowed))
            assert counted.found == len(want)


async def test_a_page_goes_back_to_where_it_came_from(scene: Scene) -> None:
    await declare(scene, mail=["a"])
    client = Client(scene.db)
    runs = [await client.enqueue("mail", tags=["a"] if n % 2 else []) for n in range(7)]
    first = await client.runs(RunFilter(tags=("a",)), limit=3)
    second = await client.runs(RunFilter(tags=("a",)), limit=3, cursor=first.older)
    assert [r.id for r in second.items] == sorted(runs)[1:4][::-1]
    again = await client.runs(RunFilter(tags=("a",)), limit=3, cursor=second.newer)
    assert [r.id for r in again.items] == [r.id for r in first.items]


async def test_many_runs_have_the_tags_that_are_given_with_them(scene: Scene) -> None:
    await declare(scene)
    client = Client(scene.db)
    runs = await client.enqueue_many("mail", [{"n": n} for n in range(5)], tags=["b", "a", "b"])
    assert await found(client, "a", "b") == runs[::-1]
    assert (await client.run(runs[0])).tags == ["a", "b"]
    said = await client.request("mail", tags=["c"])
    assert (await client.run(said.run_id)).tags == ["c"]


async def test_a_run_that_was_there_keeps_its_own_tags(scene: Scene) -> None:
    await declare(scene)
    client = Client(scene.db)
    first = await client.enqueue("mail", unique_key="k", tags=["first"])
    assert await client.enqueue("mail", unique_key="k", tags=["second"]) == first
    assert (await client.run(first)).tags == ["first"]
    assert await found(client, "second") == []
    assert await scene.value("SELECT sereno.tag($1, '{late}')", first) == first
    assert await found(client, "late") == []


async def test_a_repetition_has_the_tags_of_the_first(scene: Scene) -> None:
    await declare(scene)
    client = Client(scene.db)
    claim = await claimed(scene, "mail")
    await scene.eye.execute("UPDATE sereno.run SET tags = '{a}' WHERE id = $1", claim.run_id)
    await write(scene, outcome(claim, "failed"))
    again = await client.retry(claim.run_id)
    assert await found(client, "a") == [again]  # of the first no row of run_tag was made by hand


async def test_a_run_that_is_deleted_takes_its_tags_along(scene: Scene) -> None:
    await declare(scene)
    client = Client(scene.db)
    runs = [await client.enqueue("mail", tags=["a", "b"]), await client.enqueue("mail", tags=["a"])]
    await scene.eye.execute("SELECT sereno.delete_runs($1)", runs[:1])
    assert [tuple(r) for r in await scene.eye.fetch("SELECT * FROM sereno.run_tag")] == [
        ("a", runs[1])
    ]


@pytest.mark.parametrize(
    "tags", [["a" * 61], [""], [" a"], ["a\nb"], list(map(str, range(21))), "a"]
)
async def test_what_is_no_tag_is_refused_by_every_door(tags: Any, scene: Scene) -> None:
    await declare(scene)
    with pytest.raises(ParamsError, match="tag"):
        await Client(scene.db).enqueue("mail", tags=tags)
    if isinstance(tags, list):
        with pytest.raises(ParamsError, match="tag"):
            await scene.db.fetch(
                "enqueue_tagged_within",
                *("mail", "{}", *[None] * 4, "x", "program", *[None] * 4),
                json.dumps(tags),
            )
    with pytest.raises(ParamsError, match=r"tag|array"):
        checked(RunFilter(tags=tags))
    assert await scene.value("SELECT count(*) FROM sereno.run") == 0


async def test_a_caller_without_other_rights_may_give_tags(scene: Scene) -> None:
    await declare(scene)
    await scene.eye.execute(
        "CREATE ROLE tagging_shop; GRANT USAGE ON SCHEMA sereno TO tagging_shop"
    )
    try:
        await scene.eye.execute(
            "GRANT EXECUTE ON FUNCTION sereno.enqueue, sereno.tag TO tagging_shop"
        )
        async with scene.eye.transaction():
            await scene.eye.execute("SET LOCAL ROLE tagging_shop")
            run = await Client(scene.db).enqueue("mail", tags=["till"], connection=scene.eye)
        assert (await Client(scene.db).run(run)).tags == ["till"]
    finally:
        await scene.eye.execute("DROP OWNED BY tagging_shop; DROP ROLE tagging_shop")


async def test_a_bulk_by_tag_changes_those_runs_alone_and_no_leader_of_before_widens_it(
    scene: Scene,
) -> None:
    await declare(scene)
    client = Client(scene.db)
    mine, other = await client.enqueue("mail", tags=["old"]), await client.enqueue("mail")
    preview = await client.preview_bulk("cancel", RunFilter(tags=("old",)))
    assert (preview.found, preview.sentence.endswith("old")) == (1, True)
    bulk = await client.start_bulk("cancel", RunFilter(tags=("old",)), reason="tidy", expect=1)
    assert bulk.filter["tags"] == ["old"]
    kept = await scene.value("SELECT array_agg(k) FROM sereno.bulk, jsonb_object_keys(filter) AS k")
    assert set(kept) == {"tagged", "states"}  # no state is so: a leader of before refuses it
    await carried_out(scene.db, scene.term)
    assert [await scene.state(run) for run in (mine, other)] == ["cancelled", "queued"]


async def carried_out(db: Database, term: int) -> None:
    while (bulk := await bulk_queue.following(db)) is not None:
        await bulks.carry_on(db, term, bulk)


async def test_titles_are_shown_and_changed_by_people(scene: Scene) -> None:
    await declare(scene)
    jobs = [declared_job("sync")]
    job = jobs[0].job.titled(
        title="Llamadas ☎️", owner="pbx", runbook="https://wiki.example.com", tags=["calls"]
    )
    await catalogue.register(
        scene.db, scene.term, [replace(jobs[0], job=job)], [named("sync", "every 1h")]
    )
    client = Client(scene.db)
    shown = next(j for j in await client.jobs() if j.name == "sync")
    assert (shown.title, shown.owner, shown.runbook, shown.tags) == (
        "Llamadas ☎️", "pbx", "https://wiki.example.com", ["calls"]
    )  # fmt: skip
    run = await client.run(await client.enqueue("sync", tags=["x"]))
    assert (run.title, run.job_tags, run.tags) == ("Llamadas ☎️", ["calls"], ["x"])
    await schedules.override(
        scene.db, "sync", {"title": "Jede Stunde", "tags": ["h"]}, jobs=lambda _: job, by="ana"
    )
    (plan,) = await client.schedules("sync")
    assert (plan.title, plan.tags) == ("Jede Stunde", ["h"])
    await schedules.override(
        scene.db, "sync", {"title": None, "tags": None}, jobs=lambda _: job, by="ana"
    )
    assert (await client.schedules("sync"))[0].title == ""
