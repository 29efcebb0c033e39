"""Asks the collectors of plugins for their metrics: seldom, bounded in time, each on its own.

A collector that raises, hangs or answers what no page may hold is logged once until it answers
again; its series stay as they were last read, and the others do not notice.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sereno.model.family import check_labels, check_metric, checked_value, names_of
from sereno.model.metric import Collector, Metric, Sample
from sereno.observe.exposition import MetricsPage, labels

log = logging.getLogger("sereno.metrics")

MOST_SAMPLES = 10_000
"""More of one collector are an accident: a label that should have been none."""

_LIMIT = 10.0

Asked = tuple[str, Collector, tuple[Metric, ...], bool]
"""A plugin, its collector, what that shows, and whether it asks for the plugin's state."""

Family = tuple[Metric, list[tuple[str, float]]]


class Collected:
    """What plugins show on this node's page.

    `collectors`: by plugin, none before `begin` where their plugins are still to be opened.
    `fresh`: seconds for which values are shown again. `patience`: seconds that a reader waits for
    new ones. `steady`: a clock in seconds that only grows.
    """

    def __init__(
        self,
        collectors: Mapping[str, Sequence[Collector]],
        database_url: str,
        *,
        fresh: float = 15.0,
        patience: float = 2.0,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collectors = _readable(collectors)
        self._url = database_url
        self._fresh = fresh
        self._patience = patience
        self._steady = steady
        self._asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._known: dict[int, list[Family]] = {}
        self._failing: set[int] = set()
        self._states: Mapping[str, Any] = {}

    def begin(
        self, collectors: Mapping[str, Sequence[Collector]], states: Mapping[str, Any]
    ) -> None:
        """Ask `collectors` from now on. `states`: what each plugin's lifespan has yielded."""
        self._collectors, self._states = _readable(collectors), states

    @property
    def names(self) -> frozenset[str]:
        """Return every name that the families take."""
        return frozenset(n for _, _, of, *_ in self._collectors for m in of for n in names_of(m))

    async def write(self, page: MetricsPage) -> None:
        """Write every family; one that was never read has no sample."""
        if not self._collectors:
            return
        if self._reading is None and self._steady() - self._asked_at >= self._fresh:
            self._asked_at = self._steady()
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=self._patience)
        for number, (_, _, metrics, _) in enumerate(self._collectors):
            empty: list[Family] = [(metric, []) for metric in metrics]
            for metric, samples in self._known.get(number, empty):
                page.family(metric.name, metric.kind, metric.meaning, samples)

    async def close(self) -> None:
        """Give up what is being read, and ask no more: their plugins are closed after this."""
        self._asked_at = float("inf")
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            asked = (self._ask(number, *one) for number, one in enumerate(self._collectors))
            await asyncio.gather(*asked)
        finally:
            self._reading = None

    async def _ask(
        self, number: int, plugin: str, collector: Any, metrics: Sequence[Metric], stateful: bool
    ) -> None:
        given = {"state": self._states.get(plugin)} if stateful else {}
        try:
            async with asyncio.timeout(_LIMIT):
                found = list(islice(await collector.collect(self._url, **given), MOST_SAMPLES + 1))
            self._known[number] = _families(metrics, found)
        except BaseException as error:  # its own: even what would end the loop, or its own task
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            if number not in self._failing:
                self._failing.add(number)
                log.warning(
                    "a plugin's metrics cannot be read, the last values stay",
                    exc_info=error,
                    extra={"plugin": plugin, "collector": type(collector).__name__},
                )
        else:
            self._failing.discard(number)


def _readable(collectors: Mapping[str, Sequence[Collector]]) -> list[Asked]:
    """Return those that say now, as at the start, what may stand
    on a page; whose answer is another is left out, and named."""
    found = []
    taken: set[str] = set()
    for plugin, of in collectors.items():
        for one in of:
            try:
                metrics = tuple(one.metrics)
                for metric in metrics:
                    check_metric(metric)
                names = [name for metric in metrics for name in names_of(metric)]
                stateful = "state" in inspect.signature(one.collect).parameters
                if twice := taken.intersection(names):
                    raise ValueError(f"the metric '{min(twice)}' is there twice")
            except Exception as error:
                log.error(
                    "a plugin's metrics are left out",
                    exc_info=error,
                    extra={"plugin": plugin, "collector": type(one).__name__},
                )
            else:
                taken.update(names)
                found.append((plugin, one, metrics, stateful))
    return found


def _families(metrics: Sequence[Metric], samples: Iterable[Any]) -> list[Family]:
    found: dict[Metric, dict[str, float]] = {metric: {} for metric in metrics}
    seen = set()
    for n, sample in enumerate(samples):
        if n == MOST_SAMPLES:
            raise ValueError(f"it gives more than {MOST_SAMPLES} samples")
        if not isinstance(sample, Sample) or sample.metric not in found:
            raise ValueError(f"{sample!r:.200} is no sample of its metrics")
        pairs = check_labels(sample.metric, sample.labels)
        value = checked_value(sample)
        written = labels(pairs) if pairs else ""
        # Neither order nor a label without a value tells two series apart.
        key = (sample.metric, frozenset((k, v) for k, v in pairs.items() if v))
        if key in seen:
            raise ValueError(f"{sample.metric.name}{written} is there twice")
        seen.add(key)
        found[sample.metric][written] = value
    return [(metric, list(values.items())) for metric, values in found.items()]
