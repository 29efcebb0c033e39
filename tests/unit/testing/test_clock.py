import asyncio
import inspect
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sereno import TriggerError
from sereno.engine.clock import Clock
from sereno.testing import FakeClock, RecordedRun


async def test_who_is_due_wakes_earliest_first_and_nobody_else() -> None:
    clock = FakeClock()
    order: list[str] = []

    async def sleeper(name: str, duration: str) -> None:
        await clock.sleep(duration)
        order.append(name)

    tasks = [asyncio.create_task(sleeper(d, d)) for d in ("2h", "1h", "3h")]
    await clock.asleep(3)
    clock.advance("2h")
    await asyncio.gather(*tasks[:2])

    assert order == ["1h", "2h"]
    assert clock.sleepers == [datetime(2026, 1, 1, 3, tzinfo=UTC)]
    clock.advance_to(datetime(2026, 1, 1, 3, tzinfo=UTC))
    await tasks[2]


async def test_a_moment_that_is_past_is_not_waited_for() -> None:
    clock = FakeClock()

    await clock.sleep_until(clock.now())
    await clock.sleep(0)


async def test_a_sleeper_that_is_cancelled_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep("1h"))
    await clock.asleep()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert clock.sleepers == []
    clock.advance("2h")


async def test_a_year_passes_in_an_instant() -> None:
    clock = FakeClock()
    wakes = 0

    async def every_quarter() -> None:
        nonlocal wakes
        while True:
            await clock.sleep("15m")
            wakes += 1

    task = asyncio.create_task(every_quarter())
    for _ in range(365 * 96):
        await clock.asleep()
        clock.advance("15m")
    await clock.asleep()
    task.cancel()

    assert wakes == 35_040
    assert clock.now() == datetime(2027, 1, 1, tzinfo=UTC)


def test_time_goes_one_way() -> None:
    clock = FakeClock()

    with pytest.raises(TriggerError, match="it is negative"):
        clock.advance_to(clock.now() - timedelta(seconds=1))


def test_the_fake_answers_as_the_clock_of_the_kernel_does() -> None:
    public = {n: m for n, m in vars(Clock).items() if not n.startswith("_")}

    for name, member in public.items():
        fake = vars(FakeClock)[name]
        if inspect.isfunction(member):
            assert inspect.signature(fake) == inspect.signature(member), name
    assert FakeClock().until(datetime(2026, 1, 1, 0, 1, tzinfo=UTC)) == 60
    assert FakeClock().offset == 0


def test_no_sample_of_another_clock_moves_the_fake() -> None:
    clock = FakeClock()
    clock.observe(datetime(2030, 1, 1, tzinfo=UTC), 1.0, 1.1)

    assert clock.now() == clock() == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_fixtures_of_one_test_share_their_time(
    fake_clock: FakeClock, run_context: Callable[..., RecordedRun]
) -> None:
    fake_clock.advance("1h")

    assert run_context("a.b").now() == datetime(2026, 1, 1, 1, tzinfo=UTC)
