"""Hosts a node in a Dask worker's process: one that only works, in the executors of the plugin.

The node does all that a replica does for a run: it claims, it has its own session for presence, it
writes words and outcomes. What is Dask's is when there is such a worker, where, and with what.
"""

import asyncio
import logging
import math
import pickle
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from sereno import Executor, InProcess, Sereno, hookimpl, lazy
from sereno_dask.link import VERSION, HostedSettings
from sereno_dask.settings import ExecutorNeeds, Settings

log = logging.getLogger("sereno.dask")

OWN = "dask"
"""The plugin as it is on replicas: a worker has the executors with places instead."""


_NICE_LOCALLY = 5
_LOOKED_EVERY = 0.2
_AT_WORK = ("init", "starting", "running", "paused")
_RETIRING = "closing_gracefully"
_PAUSED = "paused"


class HostedNode(msgspec.Struct):
    """The node of one worker. `digest`: of what it was made of; `watch`: what looks whether its
    worker goes, or rests; `leaving`: its end."""

    digest: str
    node: Sereno
    hosted: "HostedPlaces"
    watch: asyncio.Task[None] | None = None
    leaving: asyncio.Task[bool] | None = None


_nodes: dict[str, HostedNode] = {}
"""By the worker's address: several may share a process."""


class HostedPlaces:
    """The plugin of a worker's node: the executors, with as many places as the worker has."""

    def __init__(self, places: dict[str, int], nice: int) -> None:
        self._places = places
        self._executors = {
            name: InProcess(count, warm=True, strict=True, nice=nice)
            for name, count in places.items()
        }

    @hookimpl
    def sereno_register_executors(self) -> dict[str, Executor]:
        """Return them by name; each attempt has a child, which is kept warm."""
        return {**self._executors}

    def close(self, *, closed: bool) -> None:
        """Have no places while they are `closed`; what is at work goes on."""
        for name, executor in self._executors.items():
            executor.capacity = 0 if closed else self._places[name]


async def host(worker: Any, version: str, payload: bytes) -> None:
    """Begin a node, unless the worker hosts the same already; raises RuntimeError where it cannot.

    One that was made of other settings is told to end what it works on, and to take no more.
    """
    if version != VERSION:
        raise RuntimeError(
            f"worker {worker.address} has {VERSION}, and the replica {version}: install the same, "
            "and start the worker anew"
        )
    digest = sha256(payload).hexdigest()
    known = _nodes.get(worker.address)
    if known is not None:
        if known.digest == digest:
            return
        await leave(worker)
    hosted: HostedSettings = pickle.loads(payload)  # noqa: S301 - as all that Dask sends
    places = {
        name: count
        for name, needs in hosted.plugin.executors.items()
        if (count := places_of(worker, hosted.plugin.places, needs))
    }
    if not places:
        log.info("this worker has not what runs need", extra={"worker": worker.address})
        return
    settings = replace(
        hosted.settings,
        node_name=f"dask {worker.name}",
        offers=tuple(places),
        disabled_plugins=(*hosted.settings.disabled_plugins, OWN),
    )
    held = HostedPlaces(places, niceness_of(hosted.plugin))
    found = HostedNode(digest, Sereno(settings, plugins=[held]), held)
    _nodes[worker.address] = found
    with suppress(ImportError):  # there is none for Windows
        lazy("uvloop")  # the node's loop is one where it is loaded, and takes a fifth less of a run
    await asyncio.to_thread(found.node.start)
    found.watch = asyncio.ensure_future(_watched(worker, found, payload))
    log.info("this worker hosts runs", extra={"worker": worker.address, "places": places})


async def _watched(worker: Any, mine: HostedNode, payload: bytes) -> None:
    """End a node as soon as its worker is to go: Dask tells plugins late, or, where a nanny ends
    the process, not at all. One that stays after all, as its data found no other place, hosts a
    node again. One that Dask pauses, as its memory is nearly full, has no places meanwhile."""
    while mine.leaving is None:
        mine.hosted.close(closed=worker.status.name == _PAUSED)
        if worker.status.name not in _AT_WORK:
            await leave(worker)
            while worker.status.name == _RETIRING:  # noqa: ASYNC110 - Dask tells nobody
                await asyncio.sleep(_LOOKED_EVERY)
            if worker.status.name in _AT_WORK and worker.address not in _nodes:
                await host(worker, VERSION, payload)
            return
        await asyncio.sleep(_LOOKED_EVERY)


async def leave(worker: Any) -> None:
    """End a worker's node, and return when it has ended: its runs may go on for as long as the
    settings have it."""
    known = _nodes.get(worker.address)
    if known is None:
        return
    if known.leaving is None:
        known.leaving = asyncio.ensure_future(asyncio.to_thread(known.node.stop))
    await asyncio.shield(known.leaving)
    if _nodes.get(worker.address) is known:
        del _nodes[worker.address]


def niceness_of(settings: Settings) -> int:
    """Return by how much children are nicer than their worker."""
    if settings.nice is not None:
        return settings.nice
    return _NICE_LOCALLY if settings.local else 0


def places_of(worker: Any, places: int | None, needs: ExecutorNeeds) -> int:
    """Return how many runs with these needs a worker has room for at once."""
    room = [float(worker.state.nthreads if places is None else places)]
    has = worker.state.total_resources
    room += [has.get(name, 0.0) / amount for name, amount in needs.resources.items()]
    limit = worker.memory_manager.memory_limit
    if needs.memory_mb is not None and limit:
        room.append(limit / (needs.memory_mb * 1024 * 1024))
    return math.floor(min(room))
