"""Many schedules are listed page by page, read one by one with their parts, and their load told."""

from datetime import UTC, datetime, timedelta

import pytest

from sereno import Client, ScheduleView
from sereno.client.declarations import Declarations
from sereno.model.errors import NotFoundError, ParamsError
from sereno.store import schedule_pages

from .scene import Scene, declared_job, named, opened

ODD = "shop.mail@<b>/%_é"
HOUR = (datetime.now(UTC).hour + 12) % 24
"""So that a day from now on holds it whole, with all that jitter puts off."""

DAILY = f"cron 0 {HOUR} * * * UTC"
FIVE = "every 5h anchor=1970-01-01T00:30:00Z"
NAMES = sorted([f"etl.sync@n{n:03}" for n in range(120)] + ["shop.mail", ODD])


async def house(scene: Scene) -> Client:
    jobs = [declared_job("etl.sync"), declared_job("shop.mail")]
    await scene.declare(*jobs, *(named(name, DAILY) for name in NAMES))
    client = Client(scene.db, Declarations({j.job.name: j.job for j in jobs}), requested_by="ana")
    await client.change_schedule(ODD, title="Post to ALL", tags=["night"], trigger=FIVE)
    await client.pause("etl.sync@n07*")
    return client


async def pages(client: Client, limit: int, **wanted: object) -> list[list[str]]:
    """Return the names of each page, and see that the way back is the same."""
    found: list[list[str]] = []
    page = await client.schedule_page(limit=limit, **wanted)  # type: ignore[arg-type]
    while True:
        found.append([s.name for s in page.items])
        if page.older is None:
            break
        page = await client.schedule_page(limit=limit, cursor=page.older, **wanted)  # type: ignore[arg-type]
    back = [[s.name for s in page.items]]
    while page.newer is not None:
        page = await client.schedule_page(limit=limit, cursor=page.newer, **wanted)  # type: ignore[arg-type]
        back.insert(0, [s.name for s in page.items])
    assert [n for names in back for n in names] == [n for names in found for n in names]
    return found


async def test_each_schedule_is_on_one_page_in_the_order_of_names(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        for limit in (1, 7, 122, 1000):
            found = await pages(client, limit)
            names = [name for part in found for name in part]
            assert sorted(names) == NAMES
            assert all(len(part) == limit for part in found[:-1])


async def test_schedules_are_found_by_text_job_state_and_tag(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)

        async def found(**wanted: object) -> list[str]:
            return [name for part in await pages(client, 50, **wanted) for name in part]

        assert await found(text="to all") == [ODD]
        assert await found(text="<B>/%_É") == [ODD]
        assert await found(text=FIVE) == [ODD]
        assert await found(text="%") == [ODD]
        assert await found(tag="night") == [ODD]
        assert await found(tag="nigh") == []
        assert sorted(await found(job="shop.mail")) == ["shop.mail", ODD]
        assert await found(state="paused") == [f"etl.sync@n07{n}" for n in range(10)]
        assert await found(state="paused", job="shop.mail") == []
        with pytest.raises(NotFoundError, match=r"did you mean 'shop.mail'"):
            await client.schedule_page(job="shop.mial")
        with pytest.raises(ParamsError, match="state is 'gone'"):
            await client.schedule_page(state="gone")  # type: ignore[arg-type]
        with pytest.raises(ParamsError, match="U\\+0000"):
            await client.schedule_page(text="\0")
        page = await client.schedule_page(limit=2)
        with pytest.raises(ParamsError, match="another filter"):
            await client.schedule_page(limit=2, text="a", cursor=page.older)


async def test_a_page_that_has_looked_at_enough_says_so_and_goes_on(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_pages, "LOOKED_AT", 25)
    async with opened(database) as scene:
        client = await house(scene)
        first = await client.schedule_page(text="to all", limit=5)
        found: list[ScheduleView] = list(first.items)
        page, count = first, 1
        while page.older is not None:
            page = await client.schedule_page(text="to all", limit=5, cursor=page.older)
            found, count = found + list(page.items), count + 1

    assert (first.items, first.whole) == ((), False)
    assert [s.name for s in found] == [ODD]
    assert page.whole
    assert count == 5


async def test_one_schedule_is_told_with_its_parts_as_they_are_written(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        found = await client.schedule(ODD)
        with pytest.raises(NotFoundError, match=r"there is no schedule 'etl.sync'"):
            await client.schedule("etl.sync")

    assert (found.spec.trigger, found.declared.trigger) == (FIVE, DAILY)
    assert (found.spec.title, found.spec.tags, found.title) == (
        "Post to ALL",
        ("night",),
        "Post to ALL",
    )
    assert found.definition.version == 2


async def test_the_load_to_come_counts_what_is_active_by_the_minute(database: str) -> None:
    async with opened(database) as scene:
        client = await house(scene)
        await client.change_schedule("etl.sync@n001", jitter="30s")
        day = await client.coming_load()
        short = await client.coming_load("31d", most=20)
        with pytest.raises(ParamsError, match="31 days"):
            await client.coming_load("32d")

    daily = [m for m in day.minutes if m.minute.hour == HOUR and m.minute.minute == 0]
    assert [m.slots for m in daily] == [111]
    assert dict(daily[0].jobs) == {"etl.sync": 110, "shop.mail": 1}
    assert 4 <= sum(m.slots for m in day.minutes) - 111 <= 5
    assert day.until - day.since == timedelta(days=1)
    assert short.until - short.since < timedelta(days=31)
