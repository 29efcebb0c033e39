"""One replica: what ``sereno run`` does, with the plugin of these tests and no other."""

import asyncio
import os
import sys

from sereno.app import serve
from sereno.cli.loop import new_event_loop
from sereno.settings import load_settings

from . import plugin


def main() -> int:
    settings = load_settings(file=None, environ=os.environ, flags={})
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(serve(settings, extra=[("chaos", plugin)], entry_points=False))


if __name__ == "__main__":
    sys.exit(main())
