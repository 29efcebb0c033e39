"""What a rehearsal foretells of a week is what then happens, at either pace."""

from datetime import timedelta

import asyncpg
import pytest

from sereno import Client, RehearsalChange
from sereno.client.declarations import Declarations
from sereno.engine import dispatcher
from sereno.engine.rehearsal import rehearse
from sereno.engine.rehearsal.player import Played
from sereno.model.rehearsal import Pace
from sereno.store.pool import Database
from sereno.testing.databases import make_template

from ..servers.postgres import PostgresServer
from .rehearsed_week import PLACES, Week

WEEK = timedelta(days=7)
VERDICTS = """
SELECT s.name, k.slot, k.verdict FROM sereno.slot k JOIN sereno.schedule s ON s.id = k.schedule_id
 WHERE k.verdict <> 'waiting'
"""


@pytest.mark.parametrize(
    "pace",
    [
        "usual",
        pytest.param(
            "slow",
            marks=pytest.mark.long(
                "tests/integration/test_rehearsed_week.py"
                "::test_the_forecast_of_a_week_is_what_then_happens"
            ),
        ),
    ],
)
async def test_the_forecast_of_a_week_is_what_then_happens(
    postgres_server: PostgresServer, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "EXPIRY_AGAIN", 0.0)
    with postgres_server.database("owned_time_template", make_template) as dsn:
        db, eye = Database(dsn, size=3), await asyncpg.connect(dsn)
        await db.open()
        try:
            week = Week(db, eye, pace)
            await week.begin()
            client = Client(db, Declarations(week.jobs), places=PLACES)
            scene, unread = await client._scene(RehearsalChange())
            played: list[Played] = []
            told = rehearse(scene, scene.since + WEEK, most=10**6, note=(pace, played.append))
            assert not unread
            assert not told.unread
            await week.live(WEEK)
            happened = {(r["name"], r["slot"]): r["verdict"] for r in await eye.fetch(VERDICTS)}
        finally:
            await eye.close()
            await db.close()
    foretold = {(p.schedule, p.slot): p.became for p in played if p.what == "slot"}
    assert foretold == happened
    attempts = [
        (p.job, p.schedule, p.slot, p.became, p.began, p.ended)
        for p in played
        if p.what == "attempt"
    ]
    assert sorted(attempts, key=repr) == sorted(week.attempts, key=repr)
