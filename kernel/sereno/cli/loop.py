"""The event loop of a replica: uvloop where there is one."""

import asyncio
from importlib.util import find_spec

from sereno.engine.loop_guard import goes_on
from sereno.model.lazy import lazy

_MODULE = "uvloop" if find_spec("uvloop") else "asyncio"  # it knows no Windows, and no new Python


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    return goes_on(lazy(_MODULE).new_event_loop())
