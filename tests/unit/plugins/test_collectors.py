"""What a plugin registers with sereno_register_collectors, and what is wrong with it."""

from typing import Any

import pytest

from sereno import Collector, Metric, Sample, hookimpl
from sereno.model.errors import PluginError
from sereno.plugins import collect, load_plugins
from sereno.settings import Settings
from sereno.testing import declared

DONE = Metric("planted_done_total", "counter", "What was done.")
AGE = Metric("planted_newest_timestamp_seconds", "gauge", "When the newest came.")


class Counting(Collector):
    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self._metrics

    async def collect(self, database_url: str) -> list[Sample]:
        return []


def plugin(*answer: Any) -> Any:
    class Planted:
        @staticmethod
        @hookimpl
        def sereno_register_collectors() -> Any:
            return list(answer)

    return Planted


def test_collectors_are_known_by_their_plugin_and_go_with_it() -> None:
    one = Counting(DONE, AGE)
    registry = declared(plugin(one))

    assert registry.collectors == {"plugin": (one,)}
    assert not registry.without({"plugin": "it fails"}).collectors


def test_a_name_that_another_plugin_has_is_refused() -> None:
    extra = [("first", plugin(Counting(DONE))), ("second", plugin(Counting(AGE), Counting(DONE)))]
    registry = collect(load_plugins(Settings(), extra=extra, entry_points=False), Settings())

    assert list(registry.collectors) == ["first"]
    assert "of plugin 'first'; rename it" in registry.records["second"].reason


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([DONE], "no Collector"),
        ([Counting(Metric("sereno_done", "gauge", ""))], "the kernel's"),
        ([Counting(Metric("planted_Done", "gauge", ""))], "lower-case letters"),
        ([Counting(Metric("planted_done", "counter", ""))], "ends in _total"),
        ([Counting(Metric("planted_done_total", "gauge", ""))], "ends in _total"),
        ([Counting(DONE), Counting(DONE)], "is there twice"),
        ([Counting(DONE), Counting(Metric("planted_done", "gauge", ""))], "is there twice"),
        ([Counting(Metric("planted_done_created", "gauge", ""), DONE)], "is there twice"),
        ([Counting(Metric("planted_sizes", "histogram", ""))], "counters and gauges"),
        ([Counting(Metric("planted_sizes", "summary", ""))], "counters and gauges"),
        ([Counting(Metric("planted_sizes", ["gauge"], ""))], "counters and gauges"),
        ([Counting(Metric("planted_size\n", "gauge", ""))], "lower-case letters"),
        ([Counting(Metric("a" * 201, "gauge", ""))], "200 at most"),
        ([Counting(Metric(7, "gauge", ""))], "lower-case letters"),
        ([Counting(Metric("python_info", "gauge", ""))], "the kernel's"),
        ([Counting(Metric("planted_size", "gauge", None))], "its meaning is None"),
        ([Counting(Metric("planted_size", "gauge", "\x00"))], "its meaning is"),
        ([Counting("planted_size")], "no Metric"),
        ([Counting(*(Metric(f"planted_{n}", "gauge", "") for n in range(1_001)))], "1000 metrics"),
    ],
)
def test_a_collector_that_would_spoil_the_page_fails_its_plugin(
    answer: list[Any], message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        declared(plugin(*answer))
