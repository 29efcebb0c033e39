"""A month of the call center at speed, from the exchange to the reports: every figure is known.

SERENO_SIMULATED_CALLS says how many calls a day has; the suite takes a few.
"""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno.testing import run_context
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.errors import SourceAwayError
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.sync import sync, sync_of
from sereno_reports.figures import Figures
from sereno_reports.folders import found
from sereno_reports.report_job import job_of
from sereno_reports.settings import Settings as ReportSettings

from .call_center import ZONE, CallCenter
from .conftest import Sync
from .exchange import CELS, QUEUES
from .pbx import Pbx, fetch

CALLS = int(os.environ.get("SERENO_SIMULATED_CALLS", "20"))
AWAY, FINE, EVERY = 12, 16, 3
DECIMALS = "ALTER TABLE cdr MODIFY duration decimal(10,3), MODIFY billsec decimal(10,3)"
SETTINGS: dict[str, Any] = {
    "tables": {**QUEUES, **CELS},
    "source_timezone": ZONE.key,
    "patience": "PT0S",
}
JOBS = (sync_of("queues"), sync_of("cel"), sync, aggregate)
COUNTS = {
    "direction": "calls calls_answered calls_abandoned calls_short calls_in_level calls_ivr",
    "queue": "offered answered abandoned short_abandons in_level left_queue wait_seconds",
    "agent": "handled talk_seconds transfers missed holds hold_seconds",
}


async def counted(database: str, what: str) -> dict[tuple[Any, ...], Counter[str]]:
    """Return the figures of each quarter hour by direction, queue or agent; only what is not 0."""
    names = COUNTS[what].split()
    sums = ", ".join(f"coalesce(sum({name}), 0)::float8 AS {name}" for name in names)
    rows = await fetch(
        database, f"SELECT quarter, {what}, {sums} FROM ivr.quarter_hours GROUP BY 1, 2"
    )
    found: dict[tuple[Any, ...], Counter[str]] = {}
    for row in rows:
        counts = Counter({name: row[name] for name in names if row[name]})
        key = (row[what],) if what == "direction" else (what, row[what])
        if counts and row[what] is not None:
            found[row["quarter"], *key] = counts
    return found


async def reported(database: str, name: str, now: datetime, day: str) -> tuple[Any, Figures]:
    settings = msgspec.convert({"zone": ZONE.key}, ReportSettings)
    job = job_of(found(())[name], settings)
    run = run_context(
        job, {"day": day}, settings=settings, database_url=database, clock=lambda: now
    )
    told = await job.function(run)
    row = await fetch(
        database,
        "SELECT figures::text FROM sereno_reports.report WHERE name = $1 AND day = $2::text::date"
        " ORDER BY revision DESC LIMIT 1",
        name,
        day,
    )
    return told, msgspec.json.decode(row[0][0], type=Figures)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("month", ["2024-10-01", "2025-03-01"])  # the clocks go back, and on
async def test_a_month_from_the_exchange_to_the_reports_is_what_is_known_of_it(
    empty_pbx: Pbx, synced: Sync, database: str, month: str
) -> None:
    center = CallCenter(empty_pbx, seed=int(month[:4]))
    first = datetime.fromisoformat(month).replace(tzinfo=ZONE)
    with center.opened() as url:
        for number in range(1, 32):
            midnight = first + timedelta(days=number - 1)
            if number == FINE:
                center.fine = True
                empty_pbx.execute(DECIMALS)
            center.day(midnight, CALLS)
            now = midnight + timedelta(seconds=center.rng.randrange(86_400))
            center.reach(now.astimezone(UTC))
            if number == AWAY:
                await is_away(empty_pbx, synced, url, database, midnight)
            elif number % EVERY == 0:
                for job in JOBS:
                    await synced(url, job, **SETTINGS)
            if number == 2 * EVERY + 1:
                await put_right(center, synced, url)
        now = first + timedelta(days=31, hours=8)
        center.reach(now.astimezone(UTC))
        for job in (*JOBS[:3], reconcile, aggregate):
            await synced(url, job, **SETTINGS)
        (row,) = await fetch(database, "SELECT count(*) FROM ivr.rejects")
        assert row[0] == 0
        await check(center, database, now.astimezone(UTC), month)


async def is_away(pbx: Pbx, synced: Sync, url: str, database: str, midnight: datetime) -> None:
    """No sync of this day reaches the exchange; its report says that it is provisional."""
    away = url.replace(f":{pbx.url.split(':')[-1].split('/')[0]}/", ":9/")
    for job in JOBS[:3]:
        with pytest.raises(SourceAwayError):
            await synced(away, job, **SETTINGS)
    await synced(url, aggregate, **SETTINGS)
    morning = (midnight + timedelta(days=1, hours=8)).astimezone(UTC)
    told, _ = await reported(database, "daily", morning, str(midnight.date()))
    assert told["provisional"]


async def put_right(center: CallCenter, synced: Sync, url: str) -> None:
    """Rows of days that were loaded long ago go from the source; the night's comparison follows."""
    pbx = center.pbx
    gone = "linkedid IN (SELECT linkedid FROM gone)"
    pbx.execute(
        "CREATE TEMPORARY TABLE gone AS SELECT linkedid FROM cdr WHERE uniqueid = linkedid"
        " AND lastapp = 'BackGround' ORDER BY calldate LIMIT 2"
    )
    with pbx.connection.cursor() as cursor:
        cursor.execute(f"SELECT linkedid FROM cdr WHERE {gone}")
        calls = [row[0] for row in cursor.fetchall()]
    pbx.execute(f"DELETE FROM cdr WHERE {gone}")
    for call in calls:
        at = datetime.fromtimestamp(int(call.split(".")[0]), UTC)
        quarter = at.replace(minute=at.minute // 15 * 15, second=0)
        center.known[quarter, "inbound"].subtract(calls=1, calls_ivr=1)
    repaired = await synced(url, reconcile, **SETTINGS)
    assert sum(table["deleted"] for table in repaired["tables"]) == len(calls) == 2


async def check(center: CallCenter, database: str, now: datetime, month: str) -> None:
    known = {key: Counter({n: c for n, c in of.items() if c}) for key, of in center.known.items()}
    known = {key: counts for key, counts in known.items() if counts}
    for what in COUNTS:
        of = {
            key: counts
            for key, counts in known.items()
            if (key[1] == what if what != "direction" else len(key) == 2)
        }
        assert len(of) > 100, what
        assert await counted(database, what) == of
    rows = await fetch(
        database,
        "SELECT quarter, queue, array_agg(wait::int ORDER BY wait) FROM ivr.quarter_hours,"
        " unnest(answered_waits) AS wait GROUP BY 1, 2",
    )
    assert {(row[0], row[1]): row[2] for row in rows} == {
        key: sorted(waits) for key, waits in center.waits.items()
    }
    told, figures = await reported(database, "monthly", now, month)
    (total,) = figures.rows("outcomes")
    inbound: Counter[str] = Counter()
    for key, counts in known.items():
        if key[1:] == ("inbound",):
            inbound.update(counts)
    short = inbound["calls_short"]
    assert not told["provisional"]
    assert (total["calls"], total["answered"]) == (inbound["calls"], inbound["calls_answered"])
    assert (total["abandoned"], total["short"]) == (inbound["calls_abandoned"] - short, short)
    assert (total["ivr"], total["level_in"]) == (inbound["calls_ivr"], inbound["calls_in_level"])
    whole = inbound["calls_answered"] + inbound["calls_abandoned"] - short
    assert told["service_level"] == pytest.approx(inbound["calls_in_level"] / whole, abs=1e-4)
    days: Counter[str] = Counter()
    for key, counts in known.items():
        if key[1:] == ("inbound",):
            days[str(key[0].astimezone(ZONE).date())] += counts["calls"]
    assert {row["label"]: row["calls"] for row in figures.rows("days")} == days
