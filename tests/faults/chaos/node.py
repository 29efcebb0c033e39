"""One replica: what ``sereno run`` does, with a plugin of these tests and no other.

CHAOS_PLUGIN names its module. CHAOS_LOOP=asyncio: on asyncio's own event loop.
"""

import asyncio
import os
import sys
from importlib import import_module

from sereno.app import serve
from sereno.engine.event_loop import new_event_loop
from sereno.engine.loop_guard import goes_on
from sereno.settings import load_settings


def _plain() -> asyncio.AbstractEventLoop:
    return goes_on(asyncio.new_event_loop())


_LOOPS = {"": new_event_loop, "asyncio": _plain, "uvloop": new_event_loop}


def main() -> int:
    plugin = import_module(os.environ.get("CHAOS_PLUGIN", "tests.faults.chaos.plugin"))
    settings = load_settings(file=None, environ=os.environ, flags={})
    with asyncio.Runner(loop_factory=_LOOPS[os.environ.get("CHAOS_LOOP", "")]) as runner:
        return runner.run(serve(settings, extra=[("chaos", plugin)], entry_points=False))


if __name__ == "__main__":
    sys.exit(main())
