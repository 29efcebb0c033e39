"""Follows what the executors of a node have places for."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from sereno.engine.leader import Leader
from sereno.model.errors import StoreError
from sereno.model.executor import Executor

_EVERY = 0.2


async def watch_capacity(leader: Leader, executors: Mapping[str, Executor]) -> None:
    """Have a node offer other places once its executors have others, for ever."""
    while True:
        await asyncio.sleep(_EVERY)
        places = {name: executors[name].capacity for name in leader.offer.places}
        if places != leader.offer.places:
            with suppress(StoreError):  # it is tried again
                await leader.offer_places(places)
