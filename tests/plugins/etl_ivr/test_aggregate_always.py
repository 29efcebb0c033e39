# ruff: noqa: DTZ001 - local times have no zone
"""Figures of quarter hours are what they would be from scratch, in whatever order rows come."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import CEL, CELS, QUEUES, Exchange
from .pbx import Pbx, fetch

DAY = datetime(2026, 3, 2, 9)
FACTS = ("call_facts", "queue_visits", "agent_calls", "quarter_hours")


async def kept(database: str) -> dict[str, list[str]]:
    """Return all facts and figures as sorted texts."""
    return {
        name: sorted(
            row[0]
            for row in await fetch(database, f"SELECT to_jsonb(f)::text FROM ivr.{name} AS f")
        )
        for name in FACTS
    }


def write(rng: random.Random, exchange: Exchange) -> None:
    """Write a call of some kind at some time of a day."""
    at = DAY + timedelta(seconds=rng.randrange(7200))
    queue, agent = rng.choice(["400", "410"]), rng.choice(["201", "202", "203"])
    kind = rng.randrange(6)
    if kind == 0:
        call = exchange.uniqueid(at)
        exchange.leg(at, call, 9, 9, dst="s", lastapp="BackGround", dcontext="ivr-1")
    elif kind == 1:
        exchange.queued(at, wait=rng.randrange(40), queue=queue, did=rng.choice(["", "911"]))
    elif kind == 2:
        call = exchange.queued(at, wait=7, talk=60, agent=agent, queue=queue, transfer=True)
        later = at + timedelta(seconds=77)
        exchange.leg(later, call, 33, 30, dstchannel="PJSIP/204-1", lastapp="Dial", linkedid=call)
    elif kind == 3:
        call = exchange.uniqueid(at)
        exchange.leg(
            at,
            call,
            70,
            60,
            channel="PJSIP/201-1",
            dstchannel=TRUNK_OUT,
            lastapp="Dial",
            dcontext="from-internal",
        )
    else:
        exchange.queued(
            at,
            wait=rng.randrange(40),
            talk=rng.randrange(1, 90),
            agent=agent,
            queue=queue,
            missed=("209",),
            direct=rng.random() < 0.3,
        )
    if exchange.calls and rng.random() < 0.5:
        call = rng.choice(exchange.calls)
        for kind in rng.sample(["CHAN_START", "HOLD", "UNHOLD", "HOLD", "HANGUP"], 3):
            later = at + timedelta(seconds=rng.randrange(90))
            exchange.channel(later, call, kind, f"PJSIP/{agent}-00000002")


TRUNK_OUT = "PJSIP/trunk-00000009"


def change(rng: random.Random, exchange: Exchange) -> None:
    """Do to the history what sites do: erase, renumber, re-date, join."""
    some = rng.randrange(5)
    what = rng.randrange(8)
    pbx = exchange.pbx
    if what == 0:
        pbx.execute("DELETE FROM cdr WHERE sequence %% 5 = %s LIMIT 7", some)
    elif what == 7:
        pbx.execute("DELETE FROM cel WHERE id %% 5 = %s LIMIT 7", some)
    elif what == 1:
        pbx.execute("DELETE FROM queue_log WHERE id %% 5 = %s LIMIT 7", some)
    elif what == 2:
        pbx.execute(
            "UPDATE cdr SET linkedid = %s WHERE sequence %% 9 = %s",
            rng.choice(exchange.calls or ["1.1"]),
            some,
        )
    elif what == 3:
        pbx.execute(
            "UPDATE cdr SET dst = '777', dstchannel = 'PJSIP/777-1' WHERE sequence %% 9 = %s"
            " AND dstchannel <> ''",
            some,
        )
    elif what == 4:
        pbx.execute(
            "UPDATE cdr SET calldate = calldate + INTERVAL 1 HOUR WHERE sequence %% 9 = %s", some
        )
    elif what == 5:
        pbx.execute("UPDATE queue_log SET queuename = '420' WHERE id %% 9 = %s", some)
    else:
        pbx.execute("UPDATE cdr SET linkedid = '' WHERE sequence %% 11 = %s", some)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(6))
async def test_figures_are_those_from_scratch_whatever_is_loaded_changed_and_deleted(
    empty_pbx: Pbx, synced: Sync, database: str, seed: int
) -> None:
    rng = random.Random(seed)
    exchange = Exchange(empty_pbx)
    exchange.create()
    empty_pbx.execute(CEL)
    settings: dict[str, Any] = {"tables": {**QUEUES, **CELS}, "batch_size": rng.choice([10, 1000])}
    again: dict[str, Any] = {"overlap": "P900D"}  # what a sync reads, reconciliation does not
    steps: list[tuple[Any, dict[str, Any]]] = [
        (sync_of("queues"), again),
        (sync_of("cel"), again),
        (sync, again),
        (reconcile, {"params": {"since": "2026-03-01"}}),
        (reconcile, {"params": {"since": "2026-03-01"}}),
        (aggregate, {}),
        (aggregate, {}),
    ]
    for _ in range(8):
        for _ in range(rng.randrange(12)):
            write(rng, exchange)
        if rng.random() < 0.7:
            change(rng, exchange)
        for job, more in rng.sample(steps, rng.randrange(1, 6)):
            await synced(empty_pbx, job, **settings, **more)
    assert (await synced(empty_pbx, aggregate, **settings))["waiting"] == 0
    incremental = await kept(database)

    rebuilt = await synced(empty_pbx, aggregate, params={"rebuild": True}, **settings)

    assert rebuilt["rebuilt"] == ["pbx"]
    assert await kept(database) == incremental
    await fetch(
        database, "TRUNCATE ivr.call_facts, ivr.queue_visits, ivr.agent_calls, ivr.quarter_hours"
    )
    await synced(empty_pbx, aggregate, params={"rebuild": True}, **settings)
    assert await kept(database) == incremental
    assert len(incremental["quarter_hours"]) > 0
