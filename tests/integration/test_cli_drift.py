"""`sereno check --drift` tells before a deploy what it would move."""

import asyncio
import json

from sereno.engine.drift import notice

from . import cli_scene
from .scene import Scene, named, opened


async def declare(held: Scene, etl_sync: str) -> None:
    """Declare the schedules of the plugin `etl`; its code has 8:00 UTC for both."""
    await held.declare(
        "etl.sync",
        "etl.new",
        named("etl.sync", etl_sync),
        named("etl.new", "cron 0 8 * * * UTC"),
    )
    await notice(held.db, held.term, 50)


async def test_check_drift_prints_old_and_new_slots_of_what_this_code_would_move(
    database: str,
) -> None:
    sereno = cli_scene.Scene(database)
    async with opened(database) as held:
        await declare(held, "every 1h")
        told = await asyncio.to_thread(sereno.call, "check", "--drift")
        found = await asyncio.to_thread(sereno.call, "check", "--drift", "--json")
        writes = await held.value("SELECT count(*) FROM sereno.change WHERE action = 'drift'")
    assert told.exit_code == 1, told.output
    assert "1 schedule would fire at other times" in told.stdout
    moved = json.loads(found.stdout)
    assert [m["schedule"] for m in moved] == ["etl.sync"]
    assert all("T08:00:00" in slot for slot in moved[0]["after"])
    assert moved[0]["before"] != moved[0]["after"]
    assert writes == 0  # it only looks


async def test_check_drift_says_that_nothing_moves(database: str) -> None:
    sereno = cli_scene.Scene(database)
    async with opened(database) as held:
        await declare(held, "cron 0 8 * * * UTC")
        told = await asyncio.to_thread(sereno.call, "check", "--drift")
    assert told.exit_code == 0, told.output
    assert "no schedule moves" in told.output
