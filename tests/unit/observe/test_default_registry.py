"""What a program counts with prometheus_client stands on the page, whatever its collectors do."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    GC_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Metric,
    Summary,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from sereno.observe.default_registry import DefaultRegistry
from sereno.observe.exposition import MetricsPage

from ...prometheus.programs import promtool


class Custom:
    """A collector as a program may write one."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked = 0

    def collect(self) -> Any:
        self.asked += 1
        return self.answer()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


async def shown(registry: DefaultRegistry, *, as_openmetrics: bool = False) -> str:
    page = MetricsPage(openmetrics=as_openmetrics)
    await registry.write(page)
    return page.text().decode()


async def until_shown(registry: DefaultRegistry, name: str) -> str:
    while True:
        if name in (text := await shown(registry)):
            return text


async def left_out(registry: DefaultRegistry) -> dict[str, str]:
    """Return collector and reason of each that is left out."""
    families = {f.name: f for f in prometheus(await shown(registry))}
    samples = families["sereno_metrics_left_out"].samples
    return {s.labels["collector"]: s.labels["reason"] for s in samples}


def value(text: str, name: str, **labels: str) -> float:
    found = [s for f in prometheus(text) for s in f.samples if s.name == name]
    (sample,) = [s for s in found if s.labels == labels]
    return float(sample.value)


async def test_each_kind_of_metric_is_simply_there(registry: CollectorRegistry) -> None:
    Counter("calls_seen", "Calls.", ["trunk"], registry=registry).labels("north").inc(3)
    Gauge("calls_open", "Open.", registry=registry).set_function(lambda: 7)
    Histogram("calls_seconds", "Time.", registry=registry).observe(0.3, {"trace_id": "a1"})
    Summary("calls_bytes", "Size.", registry=registry).observe(9)
    Info("calls_build", "Build.", registry=registry).info({"commit": "abc"})
    Enum("calls_state", "State.", states=["up", "down"], registry=registry).state("down")
    every = DefaultRegistry(set, registry=registry, limit=50, patience=50)

    text = await shown(every)
    assert value(text, "calls_seen_total", trunk="north") == 3
    assert value(text, "calls_open") == 7
    assert value(text, "calls_seconds_bucket", le="0.5") == 1
    assert value(text, "calls_bytes_sum") == 9
    assert value(text, "calls_build_info", commit="abc") == 1
    assert value(text, "calls_state", calls_state="down") == 1
    promtool("check", "metrics", text=text.encode())
    page = await shown(every, as_openmetrics=True)
    families = {f.name: f for f in openmetrics(page)}
    told = [s.exemplar for s in families["calls_seconds"].samples if s.exemplar]
    assert [exemplar.labels for exemplar in told] == [{"trace_id": "a1"}]
    assert page.count("# EOF") == 1


async def test_the_text_is_what_the_library_itself_would_write(
    registry: CollectorRegistry,
) -> None:
    Counter("a", 'odd \\\\ "x" \\n', ["z", "b"], registry=registry).labels('"\\n\\\\', "2").inc(0.1)
    Gauge("b_seconds", "Ages.", registry=registry).set(1.7643877211234e9)
    Gauge("b.dotted", "Dots.", ["l.m"], registry=registry).labels("v").set(float("-inf"))
    Histogram("c", "Time.", ["q"], registry=registry).labels("x").observe(7)
    Summary("d", "Size.", registry=registry).observe(9)
    Info("e", "Build.", registry=registry).info({"commit": "abc"})
    Enum("f", "State.", states=["up", "down"], registry=registry).state("down")
    stamped = GaugeMetricFamily("g", "At.", labels=[])
    stamped.add_metric([], 3, timestamp=12.5)
    buckets = GaugeHistogramMetricFamily("h", "", buckets=[("1", 2), ("+Inf", 3)], gsum_value=1)
    registry.register(Custom(lambda: [stamped, buckets, Metric("i", "Any.", "untyped")]))

    text = await shown(DefaultRegistry(set, registry=registry, limit=50, patience=50))
    assert text.partition("# HELP sereno_metrics_left_out")[0] == generate_latest(registry).decode()


async def test_what_threads_count_is_counted_once_each(registry: CollectorRegistry) -> None:
    counter = Counter("calls_seen", "Calls.", registry=registry)
    threads = [
        threading.Thread(target=lambda: [counter.inc() for _ in range(1_000)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    text = await shown(DefaultRegistry(set, registry=registry, limit=50, patience=50))
    assert value(text, "calls_seen_total") == 8_000


@pytest.fixture
def of_this_process() -> Iterator[Counter]:
    counter = Counter("test_default_registry_seen", "Seen by a test.")
    yield counter
    REGISTRY.unregister(counter)


async def test_the_librarys_own_registry_is_shown_and_the_process_only_by_the_kernel(
    of_this_process: Counter,
) -> None:
    of_this_process.inc()
    text = await shown(DefaultRegistry(set, limit=50, patience=50))

    assert value(text, "test_default_registry_seen_total") == 1
    assert "python_info{" in text
    assert "process_" not in text


@pytest.mark.parametrize(
    "name", ["sereno_leader", "sereno_not_yet", "process_open_fds", "pbx_rows", "sereno.leader"]
)
async def test_a_name_of_the_kernels_or_of_another_stays_theirs(
    name: str, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    Counter(name, "Not ours.", registry=registry).inc()
    Gauge("pbx_depth", "Depth.", registry=registry).set(4)
    taken = ("process_open_fds", "pbx_rows_total")
    every = DefaultRegistry(lambda: taken, registry=registry, limit=50, patience=50)
    with caplog.at_level(logging.WARNING):
        assert await left_out(every) == {name: "taken"}
        text = await shown(every)

    assert value(text, "pbx_depth") == 4
    assert "Not ours" not in text
    (record,) = caplog.records
    assert record.collector == name  # type: ignore[attr-defined]
    assert "is another's; give it a name of its own" in record.why  # type: ignore[attr-defined]


def gauge(name: str = "bad_depth", **labels: Any) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, "Depth.", labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def alien(sample: str, **labels: str) -> GaugeMetricFamily:
    """Return a family that holds a sample of another's name."""
    family = gauge()
    family.add_sample(sample, labels, 1)
    return family


def counted(number: float) -> CounterMetricFamily:
    return CounterMetricFamily("bad_rows", "Rows.", value=number)


def _raise(kind: type[BaseException]) -> Any:
    raise kind


BAD: list[Callable[[], Any]] = [
    lambda: 1 / 0,
    lambda: None,
    lambda: [3],
    lambda: (gauge(f"bad_{n}") for n in count()),
    lambda: [gauge(), gauge()],
    lambda: [CounterMetricFamily("bad", ""), gauge("bad_total")],
    lambda: [alien("sereno_leader")],
    lambda: [alien("bad_depth")] * 2,
    lambda: [alien("bad_depth", a="x", b="y"), alien("bad_depth", b="y", a="x")],
    lambda: [gauge(__name__="up")],
    lambda: [gauge(**{"a.b": "x", "a_b": "y"})],
    lambda: [gauge(a=1)],
    lambda: [gauge(a="\ud800")],
    lambda: [counted(-1)],
    lambda: [counted(float("nan"))],
    lambda: [GaugeMetricFamily("bad_depth", "Depth.", value="x")],  # type: ignore[arg-type]
    lambda: [GaugeHistogramMetricFamily("bad", "", buckets=[("+Inf", -1)], gsum_value=1)],
    lambda: sys.exit(3),
    lambda: _raise(KeyboardInterrupt),
    lambda: _raise(MemoryError),
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("as_openmetrics", [False, True])
async def test_a_collector_that_fails_fails_alone_and_is_logged_once(
    bad: Callable[[], Any],
    as_openmetrics: bool,
    registry: CollectorRegistry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    Counter("before", "Before.", registry=registry)
    registry.register(Custom(bad))
    Counter("after", "After.", registry=registry)
    every = DefaultRegistry(set, registry=registry, limit=50, patience=50)
    with caplog.at_level(logging.WARNING):
        await shown(every, as_openmetrics=as_openmetrics)
        text = await shown(every, as_openmetrics=as_openmetrics)

    read = openmetrics if as_openmetrics else prometheus
    names = {f.name for f in read(text)}
    assert {"before", "after", "sereno_metrics_left_out"} <= names
    assert "bad" not in text
    assert 'reason="failed"' in text
    assert len(caplog.records) == 1


async def test_a_collector_that_hangs_is_left_out_alone_until_it_answers(
    registry: CollectorRegistry,
) -> None:
    answers = threading.Event()

    def late() -> Iterable[Metric]:
        answers.wait()
        return [gauge("late_depth")]

    hanging = Custom(late)
    Counter("before", "Before.", registry=registry)
    registry.register(hanging)
    Counter("after", "After.", registry=registry)
    every = DefaultRegistry(set, registry=registry, limit=2, patience=50)
    name = f"{__name__}.Custom"
    try:
        texts = [await shown(every) for _ in range(3)]
        assert hanging.asked == 1  # and not by one thread more at each scrape
        for text in texts:
            assert value(text, "sereno_metrics_left_out", collector=name, reason="slow") == 1
            assert value(text, "before_total") == value(text, "after_total") == 0
    finally:
        answers.set()
    assert "late_depth" in await until_shown(every, "late_depth")
    assert await left_out(every) == {}


async def test_many_that_hang_hold_the_page_up_for_its_patience_alone(
    registry: CollectorRegistry,
) -> None:
    never = threading.Event()
    hanging = [Custom(never.wait) for _ in range(40)]
    for one in hanging:
        registry.register(one)
    every = DefaultRegistry(set, registry=registry, limit=30, patience=2)
    assert set((await left_out(every)).values()) == {"slow"}
    assert sum(one.asked for one in hanging) == 1
    never.set()


async def test_a_registration_that_hangs_holds_up_no_page() -> None:
    registry = CollectorRegistry(auto_describe=True)
    Counter("before", "Before.", registry=registry)
    answers, begun = threading.Event(), threading.Event()

    def late() -> Iterable[Metric]:
        begun.set()
        answers.wait()
        return []

    registering = threading.Thread(target=registry.register, args=(Custom(late),))
    registering.start()
    try:
        await asyncio.to_thread(begun.wait)
        assert "before_total" in await shown(
            DefaultRegistry(set, registry=registry, limit=50, patience=50)
        )
    finally:
        answers.set()
        await asyncio.to_thread(registering.join)


async def test_of_two_that_give_one_name_the_first_keeps_it(registry: CollectorRegistry) -> None:
    for number in (1, 2):
        registry.register(Custom(lambda n=number: [GaugeMetricFamily("two", "Two.", value=n)]))
    every = DefaultRegistry(set, registry=registry, limit=50, patience=50)
    assert value(await shown(every), "two") == 1
    assert set((await left_out(every)).values()) == {"taken"}


async def test_the_librarys_registry_still_keeps_what_is_read_of_it() -> None:
    assert {PROCESS_COLLECTOR, GC_COLLECTOR} <= set(REGISTRY._collector_to_names)


@given(st.lists(st.tuples(st.text(), st.text(), st.floats(allow_nan=False)), max_size=5))
def test_whatever_stands_in_names_labels_and_meanings_the_page_can_be_read(
    given: list[tuple[str, str, float]],
) -> None:
    def families() -> Iterable[Metric]:
        for name, text, number in given:
            family = GaugeMetricFamily(name, text, labels=[text])
            family.add_metric([name], number)
            yield family

    async def pages() -> None:
        registry = CollectorRegistry()
        registry.register(Custom(families))
        Counter("after", "After.", registry=registry)
        every = DefaultRegistry(set, registry=registry, limit=50, patience=50)
        assert "after_total" in await shown(every)
        assert "after" in {f.name for f in openmetrics(await shown(every, as_openmetrics=True))}

    asyncio.run(pages())
