"""Shows how much room is left where log files and archives of this machine are."""

import asyncio
import os

from sereno import Collector, Metric, Sample
from sereno_cleanup.settings import Settings

FREE = Metric(
    "cleanup_disk_free_bytes",
    "gauge",
    "Room on the disk of a directory, of this replica's machine.",
)
SIZE = Metric("cleanup_disk_size_bytes", "gauge", "Size of the disk of a directory.")


class Disks(Collector):
    """Asks the file system; a directory that is not there has no sample."""

    def __init__(self, settings: Settings) -> None:
        self._places = sorted({*settings.logs_roots, *settings.archives()})

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return both families."""
        return FREE, SIZE

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each place; the disk of a server that is away may make us wait."""
        return await asyncio.to_thread(self._samples)

    def _samples(self) -> list[Sample]:
        samples = []
        for place in self._places:
            try:
                found = os.statvfs(place)
            except OSError:
                continue
            samples.append(Sample(FREE, found.f_bavail * found.f_frsize, {"path": place}))
            samples.append(Sample(SIZE, found.f_blocks * found.f_frsize, {"path": place}))
        return samples
