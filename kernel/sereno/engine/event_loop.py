"""The event loop of a replica: uvloop where there is one."""

import asyncio
import sys
from importlib.util import find_spec

from sereno.engine.loop_guard import goes_on
from sereno.model.lazy import lazy

_UVLOOP = "uvloop"
_MODULE = "uvloop" if find_spec("uvloop") else "asyncio"  # it knows no Windows, and no new Python


def new_guest_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop of the kind that this application has loaded: another one would cost it
    memory, and under uvloop's policy asyncio's own starts no process."""
    if _UVLOOP in sys.modules:
        return goes_on(lazy(_UVLOOP).new_event_loop())
    return goes_on(asyncio.SelectorEventLoop())


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    return goes_on(lazy(_MODULE).new_event_loop())
