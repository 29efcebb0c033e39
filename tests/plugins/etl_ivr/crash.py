"""Runs one sync in a process of its own, which kills itself with SIGKILL at a step: see test_crash.

Arguments: source URL, database URL, step (``Class.method:before`` or ``:after``), which call of it.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from sereno.testing import run_context
from sereno_etl_ivr.page import SourcePage
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source.mysql import MysqlSource
from sereno_etl_ivr.sync import sync
from sereno_etl_ivr.target import Target, Watermark
from sereno_etl_ivr.target.repair import Repair

_CLASSES = {c.__name__: c for c in (MysqlSource, SourcePage, Target, Watermark, Repair)}


def die_at(step: str, number: int) -> None:
    place, _, moment = step.partition(":")
    owner, _, method = place.partition(".")
    true = getattr(_CLASSES[owner], method)
    calls = 0

    async def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += moment == "before"
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await true(*arguments, **named)
        calls += moment == "after"  # a page that is damaged raises, and is another's
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(_CLASSES[owner], method, deadly)


async def main(source: str, database: str, step: str, number: str) -> None:
    die_at(step, int(number))
    settings = Settings(source_url=source, batch_size=40)
    await sync.function(run_context(sync, settings=settings, database_url=database))


asyncio.run(main(*sys.argv[1:]))
