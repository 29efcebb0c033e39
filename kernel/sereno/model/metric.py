"""What a plugin shows on the metrics page, and what reads it: the contract of collectors."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec


class Metric(msgspec.Struct, frozen=True):
    """A family of series. `name`: ``<plugin>_...``; that of a counter alone ends in ``_total``.

    Times are in seconds, instants in seconds since 1970. `meaning`: one sentence.
    """

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str


class Sample(msgspec.Struct, frozen=True):
    """One value of a metric. `labels`: few values each, known beforehand; never a person's."""

    metric: Metric
    value: float
    labels: Mapping[str, str] = {}


class Collector(ABC):
    """Reads a plugin's metrics. Made by the plugin once, before any I/O."""

    @property
    @abstractmethod
    def metrics(self) -> Sequence[Metric]:
        """Return every family that `collect` gives samples of."""

    @abstractmethod
    async def collect(self, database_url: str) -> Iterable[Sample]:
        """Return the values as they are now; called on every replica, 15 seconds apart or more.

        So it reads what all replicas share, a table and not this process, and gives each series at
        0 before the first run. `database_url`: the kernel's own. One that takes a further argument
        `state` (with a default) is given what its plugin's lifespan yielded. It has 10 seconds.
        What it raises is logged, so it must hold no secret; the values that were read last stay.
        """
