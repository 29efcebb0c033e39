"""What a replica has each worker of a cluster do: host a node. It goes there by value.

A scheduler, or a worker without this package, reads it all the same: what is missing there is told
as a reason, and keeps no worker from its other work.
"""

import asyncio
import importlib
from typing import Any

from distributed import WorkerPlugin

NAME = "sereno"
"""Of the plugin on the cluster."""

_ENDS = ("closing", "closing_gracefully", "closed", "failed")


class Hosting(WorkerPlugin):
    """Has a worker host a node. `module`: what does so there; `version`: of the packages here;
    `payload`: for that module, pickled."""

    name = NAME

    def __init__(self, module: str, version: str, payload: bytes) -> None:
        self.module = module
        self.version = version
        self.payload = payload

    async def setup(self, worker: Any) -> None:
        """Begin, on each worker that is there or comes; what is raised is told to the replica."""
        try:
            # Beside the worker's loop, which has heartbeats of its own to send.
            hosting = await asyncio.to_thread(importlib.import_module, self.module)
        except ImportError as error:
            raise RuntimeError(
                f"worker {worker.address} cannot host runs: {error}; install sereno-dask and the "
                "packages of the jobs where the worker runs"
            ) from None
        await hosting.host(worker, self.version, self.payload)

    async def teardown(self, worker: Any) -> None:
        """End, where the worker ends; one that is only told anew goes on."""
        if worker.status.name in _ENDS:
            hosting = importlib.import_module(self.module)
            await hosting.leave(worker)
