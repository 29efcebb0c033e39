"""One replica: what ``sereno run`` does, with a plugin of these tests and no other.

CHAOS_PLUGIN names its module. CHAOS_LOOP=asyncio: on asyncio's own event loop.
"""

import asyncio
import os
import sys
from importlib import import_module

from sereno.app import serve
from sereno.cli.loop import new_event_loop
from sereno.settings import load_settings


def main() -> int:
    plugin = import_module(os.environ.get("CHAOS_PLUGIN", "tests.faults.chaos.plugin"))
    settings = load_settings(file=None, environ=os.environ, flags={})
    plain = os.environ.get("CHAOS_LOOP") == "asyncio"
    with asyncio.Runner(loop_factory=None if plain else new_event_loop) as runner:
        return runner.run(serve(settings, extra=[("chaos", plugin)], entry_points=False))


if __name__ == "__main__":
    sys.exit(main())
