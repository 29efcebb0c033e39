"""Shows how much room is left where log files and archives of this machine are."""

import asyncio
import os
from contextlib import suppress
from threading import Thread

from sereno import Collector, Metric, Sample
from sereno_cleanup.settings import Settings

FREE = Metric(
    "cleanup_disk_free_bytes",
    "gauge",
    "Room on the disk of a directory, of this replica's machine.",
)
SIZE = Metric("cleanup_disk_size_bytes", "gauge", "Size of the disk of a directory.")
WITHIN = Metric(
    "cleanup_disk_warn_seconds", "gauge", "A disk that fills within so long is to be told of."
)


class Disks(Collector):
    """Asks the file system; a directory that is not there has no sample."""

    def __init__(self, settings: Settings) -> None:
        self._within = settings.disk_fills_within.total_seconds()
        self._places = sorted({*settings.logs_roots, *settings.archives()})
        self._answer: asyncio.Future[list[Sample]] | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the families."""
        return FREE, SIZE, WITHIN

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each place; the disk of a server that is away may make us wait.

        Then one thread waits, which nothing else needs, however often we are asked.
        """
        loop = asyncio.get_running_loop()
        if self._answer is None or self._answer.done() or self._answer.get_loop() is not loop:
            self._answer = loop.create_future()
            Thread(target=self._ask, args=(loop, self._answer), daemon=True).start()
        return await asyncio.shield(self._answer)

    def _ask(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[Sample]]) -> None:
        samples = self._samples()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_set, answer, samples)

    def _samples(self) -> list[Sample]:
        samples = []
        for place in self._places:
            try:
                found = os.statvfs(place)
            except OSError:
                continue
            samples.append(Sample(FREE, found.f_bavail * found.f_frsize, {"path": place}))
            samples.append(Sample(SIZE, found.f_blocks * found.f_frsize, {"path": place}))
            samples.append(Sample(WITHIN, self._within, {"path": place}))
        return samples


def _set(answer: asyncio.Future[list[Sample]], samples: list[Sample]) -> None:
    if not answer.done():
        answer.set_result(samples)
