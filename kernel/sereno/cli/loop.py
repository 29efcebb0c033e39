"""The event loop of a replica: uvloop where there is one."""

import asyncio
from importlib import import_module
from importlib.util import find_spec

_MODULE = "uvloop" if find_spec("uvloop") else "asyncio"  # it knows no Windows, and no new Python


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    loop: asyncio.AbstractEventLoop = import_module(_MODULE).new_event_loop()
    return loop
