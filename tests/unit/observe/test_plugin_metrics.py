"""What plugins show on the page, whatever their collectors do."""

import asyncio
import logging
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from sereno import Collector, Metric, Sample
from sereno.observe.exposition import MetricsPage
from sereno.observe.plugin_metrics import Collected

from ...prometheus.programs import promtool

ROWS = Metric("calls_rows_total", "counter", "Rows.")
DEPTH = Metric("others_depth", "gauge", "Depth.")
NEWEST = Metric("calls_newest_timestamp_seconds", "gauge", "The newest.")


def _raise(kind: type[BaseException]) -> None:
    raise kind


class Planned(Collector):
    """Answers as it is told, and counts how often it was asked."""

    metrics = ()

    def __init__(self, answer: Callable[[], object], *metrics: Metric) -> None:
        self.metrics = metrics or (ROWS, NEWEST)  # type: ignore[misc]
        self.answer = answer
        self.asked: list[str] = []

    async def collect(self, database_url: str) -> list[Sample]:
        self.asked.append(database_url)
        found = self.answer()
        return await found if asyncio.iscoroutine(found) else found  # type: ignore[return-value]


def rows(value: float) -> list[Sample]:
    return [Sample(ROWS, value, {"outcome": 'ins"erted'}), Sample(NEWEST, 7)]


async def shown(collected: Collected) -> str:
    page = MetricsPage()
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


async def test_a_collector_that_asks_for_its_plugin_s_state_is_given_it() -> None:
    class Stateful(Planned):
        async def collect(self, database_url: str, state: Any = None) -> list[Sample]:
            return [Sample(NEWEST, state["newest"])]

    collected = Collected({}, "", fresh=0)
    assert await shown(collected) == ""
    asked = {"calls": [Stateful(list)]}
    collected.begin(asked, {"calls": {"newest": 5}, "others": {"newest": 6}})
    assert "calls_newest_timestamp_seconds 5.0\n" in await shown(collected)


async def test_no_collector_is_asked_once_its_plugin_is_about_to_close() -> None:
    asked = Planned(lambda: rows(3))
    collected = Collected({"calls": [asked]}, "", fresh=0)
    await collected.close()
    await shown(collected)
    assert asked.asked == []


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
        lambda: [Sample(ROWS, -1)],
        lambda: [Sample(ROWS, float("inf"))],
        lambda: [Sample(ROWS, 10**400)],
        lambda: [Sample(ROWS, 1, {"__name__": "up"})],
        lambda: [Sample(ROWS, 1, {"__a": "x"})],
        lambda: [Sample(ROWS, 1, {"": "x"})],
        lambda: [Sample(ROWS, 1, {"a\n": "x"})],
        lambda: [Sample(ROWS, 1, {"a": "x\x00"})],
        lambda: [Sample(ROWS, 1, {"a": "\ud800"})],
        lambda: [Sample(ROWS, 1, {"a": "x" * 1_001})],
        lambda: [Sample(ROWS, 1, {"a": 1})],  # type: ignore[dict-item]
        lambda: [Sample(ROWS, 1, {1: "a"})],  # type: ignore[dict-item]
        lambda: [Sample(ROWS, 1, None)],  # type: ignore[arg-type]
        lambda: [Sample(ROWS, 1, {"a": "x", "b": "y"}), Sample(ROWS, 1, {"b": "y", "a": "x"})],
        lambda: [Sample(ROWS, 1, {"a": ""}), Sample(ROWS, 1)],
        lambda: [("calls_rows_total", 1)],
        lambda: (Sample(ROWS, n, {"n": str(n)}) for n in count()),
        lambda: sys.exit(3),
        lambda: _raise(KeyboardInterrupt),
        lambda: _raise(asyncio.CancelledError),
    ],
)
async def test_a_collector_that_fails_keeps_its_last_values_and_hurts_no_other(
    bad: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Planned(lambda: rows(3)), Planned(lambda: [Sample(DEPTH, 5)], DEPTH)
    collected = Collected({"calls": [one], "others": [other]}, "", fresh=0)
    first = await shown(collected)
    one.answer = bad
    other.answer = lambda: [Sample(DEPTH, 6)]
    with caplog.at_level(logging.WARNING):
        await shown(collected)
        again = await shown(collected)

    assert again == first.replace(" 5.0\n", " 6.0\n")
    assert [record.plugin for record in caplog.records] == ["calls"]  # type: ignore[attr-defined]


async def test_a_collector_that_hangs_does_not_hold_up_the_page() -> None:
    never = asyncio.Event()
    one, other = Planned(never.wait), Planned(lambda: [Sample(DEPTH, 5)], DEPTH)
    collected = Collected({"calls": [one], "others": [other]}, "", patience=0)
    await shown(collected)
    await asyncio.sleep(0)  # the other answers at its first turn
    text = await shown(collected)
    assert "others_depth 5.0\n" in text
    await collected.close()


ODD = [
    *("two\nlines", "a \\ b", 'a "quoted" word', "tab\there", "\r\n# TYPE x gauge", "emoji 👩‍👩‍👧"),
    *("\u2028", "\x85", "{}", "} 1\nup 0", "\\", "\\n", "#", "e\u0301", "\x1b[2J"),
]


@pytest.mark.parametrize("odd", ODD)
async def test_a_page_with_odd_words_is_read_as_it_was_meant(odd: str) -> None:
    counted = Metric("calls_odd_total", "counter", odd)
    measured = Metric("calls_odd_depth", "gauge", odd)
    samples = [Sample(counted, 3, {"word": odd}), Sample(measured, float("-inf"), {"word": odd})]
    collected = Collected({"calls": [Planned(lambda: samples, counted, measured)]}, "")

    for page, read in ((MetricsPage(), prometheus), (MetricsPage(openmetrics=True), openmetrics)):
        await collected.write(page)
        page.family("sereno_last", "gauge", "The last.", [("", 1)])
        found = {f.name: f for f in read(page.text().decode())}
        assert list(found) == ["calls_odd", "calls_odd_depth", "sereno_last"]
        assert found["calls_odd"].samples[0].labels == {"word": odd}
        assert found["calls_odd"].documentation.strip() == odd.strip()
        assert found["calls_odd_depth"].samples[0].value == float("-inf")
        if not page.openmetrics:
            promtool("check", "metrics", text=page.text())


class _Fickle(Planned):
    """Says at each reading of its metrics something else."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        super().__init__(list)

    metrics = property(lambda self: self._read(), lambda self, _: None)  # type: ignore[assignment]

    def _read(self) -> object:
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.mark.parametrize(
    "answer",
    [
        ValueError("no"),
        [Metric("calls_rows_total", "counter", "Again.")],
        [Metric("calls_rows", "gauge", "Its name in OpenMetrics.")],
        [Metric("up\n", "gauge", "x")],
        [Metric("x", "histogram", "No buckets.")],  # type: ignore[arg-type]
        [1],
        3,
    ],
)
async def test_a_collector_whose_metrics_change_is_left_out_by_name(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    good = Planned(lambda: rows(3))
    collected = Collected({"calls": [good], "bad": [_Fickle(answer)]}, "")
    text = await shown(collected)

    assert text == await shown(Collected({"calls": [good]}, ""))
    (record,) = caplog.records
    assert record.plugin == "bad"  # type: ignore[attr-defined]
