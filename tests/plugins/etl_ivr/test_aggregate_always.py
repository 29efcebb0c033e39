# ruff: noqa: DTZ001 - local times have no zone
"""Figures of quarter hours are what they would be from scratch, in whatever order rows come."""

import os
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import CEL, CELS, QUEUES, Exchange
from .pbx import Pbx, fetch

SEEDS = int(os.environ.get("SERENO_AGGREGATE_SEEDS", "3"))
"""Histories of each kind; `make test` has time for a few."""

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


def halves(rng: random.Random, exchange: Exchange, later: list[Callable[[], None]]) -> None:
    """Write a call without a linkedid whose halves come in any order; some of them `later`.

    Names of Local channels come again within the day, one may ring another, and a caller may
    have waited for long.
    """
    at = DAY + timedelta(seconds=rng.randrange(7200))
    ringing = at + timedelta(seconds=rng.choice([0, 1, 1800, 5400]))
    queue, agent = rng.choice(["400", "410"]), rng.choice(["201", "202"])
    outer, inner = (f"Local/{agent}@from-queue-0000000{rng.choice('abc')}" for _ in range(2))
    call, half = exchange.uniqueid(at), exchange.uniqueid(ringing)
    for callid in (call, half)[: rng.choice([0, 1, 2])]:
        exchange.event(at, callid, queue, "NONE", "ENTERQUEUE", "", "600111222", 1)
    queued = {"lastapp": "Queue", "lastdata": queue, "dst": queue, "dstchannel": f"{outer};1"}
    legs: list[tuple[datetime, str, dict[str, str]]] = [(at, call, queued)]
    dialled = {"lastapp": "Dial", "dcontext": "from-queue", "dst": agent}
    ways = [(half, f"{outer};2", f"PJSIP/{agent}-2")]
    if rng.random() < 0.4:
        ways[0] = (half, f"{outer};2", f"{inner};1")
        ways.append((exchange.uniqueid(ringing), f"{inner};2", f"PJSIP/{agent}-3"))
    if rng.random() < 0.2:
        ways.append((exchange.uniqueid(ringing), f"{outer};1", f"PJSIP/{agent}-4"))
    for uniqueid, channel, to in ways:
        legs.append((ringing, uniqueid, {"channel": channel, "dstchannel": to, **dialled}))
    for begun, uniqueid, more in legs:
        seconds, talk = rng.choice([40, 900, 6000]), rng.choice([0, 30])
        leg = partial(exchange.leg, begun, uniqueid, seconds, talk, linkedid="", **more)
        if rng.random() < 0.5:
            later.append(leg)
        else:
            leg()


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
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_figures_are_those_from_scratch_whatever_is_loaded_changed_and_deleted(
    empty_pbx: Pbx, synced: Sync, database: str, seed: int
) -> None:
    rng = random.Random(seed)
    exchange = Exchange(empty_pbx)
    exchange.create()
    empty_pbx.execute(CEL)
    settings: dict[str, Any] = {"tables": {**QUEUES, **CELS}, "batch_size": rng.choice([10, 1000])}
    again: dict[str, Any] = {"overlap": "P9000D"}  # what a sync reads, reconciliation does not
    steps: list[tuple[Any, dict[str, Any]]] = [
        (sync_of("queues"), again),
        (sync_of("cel"), again),
        (sync, again),
        (reconcile, {"params": {"since": "2026-03-01"}}),
        (reconcile, {"params": {"since": "2026-03-01"}}),
        (aggregate, {}),
        (aggregate, {}),
    ]
    later: list[Callable[[], None]] = []
    for _ in range(8):
        for _ in range(rng.randrange(12)):
            write(rng, exchange)
        for leg in [one for one in later if rng.random() < 0.5]:
            later.remove(leg)
            leg()
        for _ in range(rng.randrange(5)):
            halves(rng, exchange, later)
        if rng.random() < 0.7:
            change(rng, exchange)
        for job, more in rng.sample(steps, rng.randrange(1, 6)):
            await synced(empty_pbx, job, **settings, **more)
    await is_from_scratch(empty_pbx, synced, database, settings)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_halves_of_local_channels_are_joined_as_from_scratch_whichever_comes_or_goes(
    empty_pbx: Pbx, synced: Sync, database: str, seed: int
) -> None:
    """Few rows a page, and figures after each change: what a run makes anew is little."""
    rng = random.Random(seed)
    exchange = Exchange(empty_pbx)
    exchange.create()
    settings: dict[str, Any] = {"tables": QUEUES, "batch_size": 2, "overlap": "P9000D"}
    later: list[Callable[[], None]] = []
    for _ in range(6):
        for leg in [one for one in later if rng.random() < 0.4]:
            later.remove(leg)
            leg()
        for _ in range(rng.randrange(4)):
            halves(rng, exchange, later)
        if rng.random() < 0.5:
            some = rng.randrange(1, exchange.sequence + 2)
            empty_pbx.execute("DELETE FROM cdr WHERE sequence = %s", some)
        await synced(empty_pbx, sync_of("queues"), **settings)
        await synced(empty_pbx, sync, **settings)
        await synced(empty_pbx, reconcile, params={"since": "2026-03-01"}, **settings)
        await synced(empty_pbx, aggregate, **settings)
    await is_from_scratch(empty_pbx, synced, database, settings)


async def is_from_scratch(
    empty_pbx: Pbx, synced: Sync, database: str, settings: dict[str, Any]
) -> None:
    """Assert that the figures are those that a rebuild makes, beside the old ones and without."""
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
