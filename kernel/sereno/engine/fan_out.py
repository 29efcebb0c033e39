"""Fans a run out: all of it in one transaction that is bound to the run."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sereno.model.fan_out import FanOut
from sereno.store.errors import translated
from sereno.store.fan_outs import FanOutRequest, fan_out_in


async def fan_out(
    database: Callable[[], AbstractAsyncContextManager[Any]],
    request: FanOutRequest,
    fence: Callable[[Any], Awaitable[None]],
    connection: Any,
) -> FanOut:
    """Queue what `request` asks for. `database`: lends a connection where none is given. Raises
    RunSuperseded, ParamsError, NotFoundError."""
    if connection is not None:
        await fence(connection)
        return await fan_out_in(connection, request)
    async with database() as own:
        with translated():
            async with own.transaction():
                await fence(own)
                return await fan_out_in(own, request)
