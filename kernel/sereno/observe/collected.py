"""Asks the collectors of plugins for their metrics: seldom, bounded in time, each on its own.

A collector that raises, hangs or answers nonsense is logged once until it answers again; its series
stay as they were last read, and the others do not notice.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from math import isnan

from sereno.model.metric import Collector, Metric, Sample
from sereno.observe.exposition import Page, labels

log = logging.getLogger("sereno.metrics")

MOST_SAMPLES = 10_000
"""More of one collector are an accident: a label that should have been none."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LIMIT = 10.0

Family = tuple[Metric, list[tuple[str, float]]]


class Collected:
    """What plugins show on this node's page.

    `collectors`: by plugin. `fresh`: seconds for which values are shown again. `patience`: seconds
    that a reader waits for new ones. `steady`: a clock in seconds that only grows.
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
        self._collectors = [(name, one) for name, of in collectors.items() for one in of]
        self._url = database_url
        self._fresh = fresh
        self._patience = patience
        self._steady = steady
        self._asked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._known: dict[int, list[Family]] = {}
        self._failing: set[int] = set()

    async def write(self, page: Page) -> None:
        """Write every family; one that was never read has no sample."""
        if not self._collectors:
            return
        if self._reading is None and self._steady() - self._asked_at >= self._fresh:
            self._asked_at = self._steady()
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=self._patience)
        for number, (_, collector) in enumerate(self._collectors):
            empty: list[Family] = [(metric, []) for metric in collector.metrics]
            for metric, samples in self._known.get(number, empty):
                page.family(metric.name, metric.kind, metric.meaning, samples)

    async def close(self) -> None:
        """Give up what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self) -> None:
        try:
            asked = (self._ask(number, *one) for number, one in enumerate(self._collectors))
            await asyncio.gather(*asked)
        finally:
            self._reading = None

    async def _ask(self, number: int, plugin: str, collector: Collector) -> None:
        try:
            async with asyncio.timeout(_LIMIT):
                found = list(await collector.collect(self._url))
            self._known[number] = _families(collector.metrics, found)
        except (Exception, SystemExit) as error:
            if number not in self._failing:
                self._failing.add(number)
                log.warning(
                    "a plugin's metrics cannot be read, the last values stay",
                    exc_info=error,
                    extra={"plugin": plugin},
                )
        else:
            self._failing.discard(number)


def _families(metrics: Sequence[Metric], samples: Sequence[Sample]) -> list[Family]:
    if len(samples) > MOST_SAMPLES:
        raise ValueError(f"{len(samples)} samples, {MOST_SAMPLES} are the most")
    found: dict[Metric, dict[str, float]] = {metric: {} for metric in metrics}
    for sample in samples:
        if sample.metric not in found:
            raise ValueError(f"a sample of {sample.metric!r}, which is not among its metrics")
        if bad := [name for name in sample.labels if not _LABEL.fullmatch(name)]:
            raise ValueError(f"{sample.metric.name}: '{bad[0]}' is no name of a label")
        if isnan(value := float(sample.value)):
            raise ValueError(f"{sample.metric.name}: its value is no number")
        written = labels(sample.labels) if sample.labels else ""
        if written in found[sample.metric]:
            raise ValueError(f"{sample.metric.name}{written} is there twice")
        found[sample.metric][written] = value
    return [(metric, list(values.items())) for metric, values in found.items()]
