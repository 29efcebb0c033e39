"""Keeps what the link of this process has last seen of its scheduler, for the metrics."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno_dask.settings import Settings


class WorkerSight(msgspec.Struct, frozen=True):
    """A worker as its scheduler has it. `status`: Dask's; `memory`, `limit`: bytes, a limit of 0 is
    none."""

    name: str
    status: str
    memory: int
    limit: int


class SchedulerSight:
    """What is known at the moment: whether there is a link, and the workers at its other end."""

    def __init__(self) -> None:
        self.linked = False
        self.workers: tuple[WorkerSight, ...] = ()

    def see(self, workers: Mapping[str, Any]) -> None:
        """Take what the scheduler tells of its workers, by address."""
        self.linked = True
        self.workers = tuple(_seen(address, told) for address, told in workers.items())

    def lose(self) -> None:
        """Take note that there is no scheduler to ask."""
        self.linked, self.workers = False, ()


def sight_of(settings: Settings) -> SchedulerSight:
    """Return what this process knows of the cluster of these settings."""
    return _SIGHTS.setdefault(str(settings.address or settings.scheduler_file), SchedulerSight())


_SIGHTS: dict[str, SchedulerSight] = {}
"""By where the cluster is: its link and its collector are made apart, each of the settings."""


def _seen(address: str, told: Mapping[str, Any]) -> WorkerSight:
    memory = (told.get("metrics") or {}).get("memory") or 0
    return WorkerSight(
        name=str(told.get("name") or address)[:200],
        status=str(told.get("status") or "unknown"),
        memory=int(memory),
        limit=int(told.get("memory_limit") or 0),
    )
