import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import RunSuperseded
from sereno.testing import run_context
from sereno_reports.daily import daily
from sereno_reports.settings import Settings
from sereno_reports.source import CallsMissingError

from .conftest import NOW, Make
from .legs import MADRID, Exchange


async def kept(pbx: Exchange) -> list[Any]:
    return list(
        await pbx.connection.fetch(
            "SELECT * FROM sereno_reports.report ORDER BY day, params_hash, revision"
        )
    )


async def test_at_eight_the_day_before_is_reported_and_kept(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at("2026-11-17T10:00:00"), ivr=5, ring=5, talk=60)
    result = await make()
    assert result == {
        "day": "2026-11-17",
        "revision": 1,
        "changed": True,
        "partial": False,
        "provisional": False,
        "calls": 1,
        "offered": 1,
        "answered": 1,
        "abandoned": 0,
        "handling_s": 60.0,
        "revised": [],
    }
    (row,) = await kept(pbx)
    assert (row["name"], str(row["day"]), row["zone"]) == ("daily", "2026-11-17", MADRID)
    assert row["html"].startswith("<!doctype html>")
    assert row["csv"].count("\r\n") == 1 + 24 + 1 + 1 + 1


async def test_made_again_it_changes_nothing(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at("2026-11-17T10:00:00"), talk=60)
    await make()
    before = await kept(pbx)
    again = await make(now=NOW + timedelta(hours=1))
    assert (again["revision"], again["changed"]) == (1, False)
    assert await kept(pbx) == before


async def test_late_rows_raise_a_new_revision_and_keep_the_old(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at("2026-11-17T10:00:00"), talk=60)
    await make()
    await pbx.queued(pbx.at("2026-11-17T11:00:00"), talk=60)
    again = await make()
    assert (again["revision"], again["changed"], again["answered"]) == (2, True, 2)
    assert [row["revision"] for row in await kept(pbx)] == [1, 2]


async def test_each_morning_looks_again_at_the_days_before(pbx: Exchange, make: Make) -> None:
    for day in (13, 14, 15, 16):
        await pbx.queued(pbx.at(f"2026-11-{day}T10:00:00"), talk=60)
        await make({"day": f"2026-11-{day}"})
    for day in (13, 15):
        await pbx.queued(pbx.at(f"2026-11-{day}T11:00:00"), talk=60)
    assert (await make())["revised"] == ["2026-11-15"]
    assert (await make())["revised"] == []
    assert (await make(now=NOW - timedelta(days=1)))["revised"] == ["2026-11-13"]


async def test_a_day_with_calls_that_was_missed_gets_its_report(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at("2026-11-15T10:00:00"), talk=60)  # a Sunday
    await pbx.queued(pbx.at("2026-11-16T10:00:00"), talk=60)
    assert (await make(business_days=("mon", "tue")))["revised"] == ["2026-11-16"]
    assert (await make())["revised"] == ["2026-11-15"]
    assert [str(row["day"]) for row in await kept(pbx)] == [f"2026-11-{d}" for d in (15, 16, 17)]


async def test_other_choices_make_another_report_of_the_same_day(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at("2026-11-17T10:00:00"), talk=60)
    await make()
    other = await make(service_level_seconds=60)
    assert (other["revision"], other["changed"]) == (1, True)
    assert len({row["params_hash"] for row in await kept(pbx)}) == 2


async def test_a_slot_that_runs_late_reports_its_own_day(pbx: Exchange, make: Make) -> None:
    slot = datetime(2026, 11, 15, 7, tzinfo=UTC)
    assert (await make(slot=slot))["day"] == "2026-11-14"


async def test_another_day_can_be_asked_for(pbx: Exchange, make: Make) -> None:
    assert (await make({"day": "2026-11-02"}))["day"] == "2026-11-02"
    with pytest.raises(ValueError, match=r"day is '2\.11\.2026', it must be like 2026-01-31"):
        await make({"day": "2.11.2026"})
    with pytest.raises(ValueError, match="day is 2026-11-19, it has not begun in Europe/Madrid"):
        await make({"day": "2026-11-19"})


async def test_today_so_far_is_written_over_until_the_day_is_over(
    pbx: Exchange, make: Make
) -> None:
    await pbx.hung_up_in_ivr(pbx.at("2026-11-18T07:00:00"))
    first = await make({"include_today": True})
    assert (first["day"], first["partial"], first["calls"]) == ("2026-11-18", True, 1)
    await pbx.hung_up_in_ivr(pbx.at("2026-11-18T07:30:00"))
    second = await make(include_today=True)
    assert (second["revision"], second["changed"], second["calls"]) == (1, True, 2)
    final = await make(now=NOW + timedelta(days=1))
    assert (final["revision"], final["partial"], final["calls"]) == (1, False, 2)
    await pbx.hung_up_in_ivr(pbx.at("2026-11-18T08:30:00"))
    assert (await make(now=NOW + timedelta(days=1)))["revision"] == 2


async def test_an_empty_day_has_a_report_without_ratios(pbx: Exchange, make: Make) -> None:
    result = await make()
    assert (result["calls"], result["handling_s"]) == (0, None)
    (row,) = await kept(pbx)
    assert "No hubo llamadas entrantes este día." in row["html"]
    assert row["csv"].splitlines()[-1] == "total,2026-11-17,,0,0,0,0,0,0,0,0,0,0,0,0,0,0,,,,,"


async def test_a_day_is_compared_with_the_same_weekday_of_the_weeks_before(
    pbx: Exchange, make: Make
) -> None:
    for day, count in (("2026-11-03", 2), ("2026-11-10", 4), ("2026-11-16", 9), ("2026-11-17", 6)):
        for minute in range(count):
            await pbx.queued(pbx.at(f"{day}T10:0{minute}:00"), talk=60)
        await make({"day": day})
    html = (await kept(pbx))[-1]["html"]
    assert "+100,0\N{NO-BREAK SPACE}% frente a la media de 2 martes" in html


async def test_two_nodes_that_make_the_same_report_at_once_keep_it_once(
    pbx: Exchange, make: Make
) -> None:
    await pbx.queued(pbx.at("2026-11-17T10:00:00"), talk=60)
    results = await asyncio.gather(*(make() for _ in range(5)))
    assert sorted(result["changed"] for result in results) == [False] * 4 + [True]
    assert len(await kept(pbx)) == 1


async def test_a_run_with_another_owner_keeps_nothing(pbx: Exchange, empty_database: str) -> None:
    run = run_context(daily, settings=Settings(), database_url=empty_database, clock=lambda: NOW)
    run.reporter.supersede()
    with pytest.raises(RunSuperseded):
        await daily.function(run)
    assert await kept(pbx) == []


async def test_a_missing_table_fails_the_run_unless_it_may_be_missing(make: Make) -> None:
    with pytest.raises(CallsMissingError):
        await make()
    result = await make(calls_required=False)
    assert result["revision"] is None
    assert "ivr.calls does not exist" in result["note"]
