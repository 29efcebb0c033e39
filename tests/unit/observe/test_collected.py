"""What plugins show on the page, whatever their collectors do."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from sereno import Collector, Metric, Sample
from sereno.observe.collected import Collected
from sereno.observe.exposition import Page

ROWS = Metric("calls_rows_total", "counter", "Rows.")
NEWEST = Metric("calls_newest_timestamp_seconds", "gauge", "The newest.")


class Planned(Collector):
    """Answers as it is told, and counts how often it was asked."""

    metrics = (ROWS, NEWEST)  # type: ignore[assignment]

    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def collect(self, database_url: str) -> list[Sample]:
        self.asked.append(database_url)
        found = self.answer()
        return await found if asyncio.iscoroutine(found) else found  # type: ignore[return-value]


def rows(value: float) -> list[Sample]:
    return [Sample(ROWS, value, {"outcome": 'ins"erted'}), Sample(NEWEST, 7)]


async def shown(collected: Collected) -> str:
    page = Page()
    await collected.write(page)
    return page.text().decode()


async def test_families_are_written_with_their_samples() -> None:
    asked = Planned(lambda: rows(3))
    text = await shown(Collected({"calls": [asked]}, "postgresql://it"))

    assert text == (
        "# HELP calls_rows_total Rows.\n# TYPE calls_rows_total counter\n"
        'calls_rows_total{outcome="ins\\"erted"} 3.0\n'
        "# HELP calls_newest_timestamp_seconds The newest.\n"
        "# TYPE calls_newest_timestamp_seconds gauge\n"
        "calls_newest_timestamp_seconds 7.0\n"
    )
    assert asked.asked == ["postgresql://it"]


async def test_a_collector_is_asked_seldom_however_often_the_page_is() -> None:
    now = 100.0
    asked = Planned(lambda: rows(3))
    collected = Collected({"calls": [asked]}, "", fresh=15, steady=lambda: now)
    await asyncio.gather(*(shown(collected) for _ in range(5)))
    assert len(asked.asked) == 1
    now += 15
    await shown(collected)
    assert len(asked.asked) == 2


@pytest.mark.parametrize(
    "bad",
    [
        lambda: 1 / 0,
        lambda: [Sample(ROWS, float("nan"))],
        lambda: [Sample(ROWS, 1, {"not a name": "x"})],
        lambda: [Sample(ROWS, 1), Sample(ROWS, 2)],
        lambda: [Sample(Metric("calls_other", "gauge", ""), 1)],
        lambda: [Sample(ROWS, 1, {"n": str(n)}) for n in range(10_001)],
        lambda: None,
    ],
)
async def test_a_collector_that_fails_keeps_its_last_values_and_hurts_no_other(
    bad: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Planned(lambda: rows(3)), Planned(lambda: rows(5))
    collected = Collected({"calls": [one], "others": [other]}, "", fresh=0)
    first = await shown(collected)
    one.answer = bad
    other.answer = lambda: rows(6)
    with caplog.at_level(logging.WARNING):
        await shown(collected)
        again = await shown(collected)

    assert again == first.replace(" 5.0\n", " 6.0\n")
    assert [record.plugin for record in caplog.records] == ["calls"]  # type: ignore[attr-defined]


async def test_a_collector_that_hangs_does_not_hold_up_the_page() -> None:
    never = asyncio.Event()
    one, other = Planned(never.wait), Planned(lambda: rows(5))
    collected = Collected({"calls": [one], "others": [other]}, "", patience=0)
    await shown(collected)
    await asyncio.sleep(0)  # the other answers at its first turn
    text = await shown(collected)
    assert text.count("calls_rows_total{") == 1
    await collected.close()
