"""When a report is made, what of it is kept, and what makes another revision."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno import RunSuperseded
from sereno.testing import run_context
from sereno_reports.folders import found
from sereno_reports.reader import FiguresMissingError
from sereno_reports.report_job import job_of
from sereno_reports.settings import Settings

from .conftest import NOW, Make
from .exchange import MADRID, Exchange

TUESDAY = "2024-11-19"


async def kept(pbx: Exchange) -> list[Any]:
    return list(
        await pbx.connection.fetch(
            "SELECT * FROM sereno_reports.report ORDER BY day, params_hash, revision"
        )
    )


async def call(pbx: Exchange, text: str) -> None:
    await pbx.queued(pbx.at(text), ivr=5, wait=5, talk=60)
    await pbx.load()


async def test_at_eight_the_day_before_is_reported_and_kept(pbx: Exchange, make: Make) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    result = await make()
    assert result == {
        "day": TUESDAY,
        "revision": 1,
        "changed": True,
        "partial": False,
        "provisional": False,
        "calls": 1,
        "answer_rate": 1,
        "offered": 1,
        "answered": 1,
        "abandoned": 0,
        "service_level": 1,
        "abandon_rate": 0,
        "handling_s": 60,
        "answer_s": 5,
        "outbound": 0,
        "outbound_answered": 0,
        "internal": 0,
        "revised": [],
    }
    (row,) = await kept(pbx)
    assert (row["name"], str(row["day"]), row["zone"]) == ("daily", TUESDAY, MADRID)
    assert row["html"].startswith("<!doctype html>")


async def test_made_again_it_is_the_same_bytes(pbx: Exchange, make: Make) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    await make()
    before = await kept(pbx)
    again = await make(now=NOW + timedelta(hours=1))
    assert (again["revision"], again["changed"]) == (1, False)
    assert await kept(pbx) == before
    await pbx.connection.execute("DELETE FROM sereno_reports.report")
    await make({"day": TUESDAY}, now=NOW + timedelta(days=90))
    (anew,) = await kept(pbx)
    for name in ("html", "csv", "figures", "look", "params_hash"):
        assert anew[name] == before[0][name]


async def test_a_day_made_again_after_its_calls_are_gone_is_the_same_bytes(
    pbx: Exchange, make: Make
) -> None:
    await pbx.queued(pbx.at(f"{TUESDAY}T10:00:00"), wait=50, src="+34600111001")
    await pbx.dialled_out(pbx.at(f"{TUESDAY}T11:00:00"), "9600111001")
    await call(pbx, f"{TUESDAY}T12:00:00")
    await make()
    before = await kept(pbx)
    assert "called_back" in str(before[0]["figures"])
    await pbx.connection.execute("DELETE FROM ivr.calls")
    await pbx.connection.execute("DELETE FROM ivr.queue_events")
    await pbx.connection.execute("DELETE FROM sereno_reports.report")
    await make({"day": TUESDAY}, now=NOW + timedelta(days=900))
    (anew,) = await kept(pbx)
    for name in ("html", "csv", "figures", "look", "params_hash"):
        assert anew[name] == before[0][name]


async def missed_of(pbx: Exchange) -> list[Any]:
    found = "SELECT figures #> '{tables,missed,rows,0}' FROM sereno_reports.report"
    rows = await pbx.connection.fetch(f"{found} ORDER BY revision")
    return [msgspec.json.decode(row[0]) for row in rows]


@pytest.mark.parametrize("keep_facts", [None, "P100D"])
async def test_retention_changes_nothing_of_what_a_past_day_said(
    pbx: Exchange, make: Make, keep_facts: str | None
) -> None:
    await pbx.queued(pbx.at(f"{TUESDAY}T10:00:00"), wait=50, src="+34600111001")
    await pbx.dialled_out(pbx.at(f"{TUESDAY}T11:00:00"), "9600111001")
    await call(pbx, f"{TUESDAY}T12:00:00")
    await make()
    before = await kept(pbx)
    assert await missed_of(pbx) == [[1, 1, 0, 0]]
    await pbx.retain(keep_calls="P100D", keep_facts=keep_facts)
    assert await pbx.connection.fetchval("SELECT count(*) FROM ivr.call_facts") == 0

    again = await make({"day": TUESDAY}, now=NOW + timedelta(days=700))

    assert (again["revision"], again["changed"], again["gone"]) == (1, False, ["missed"])
    (after,) = await kept(pbx)
    assert "la última revisión" in after["csv"]
    says = [msgspec.json.decode(row["figures"])["tables"] for row in (after, *before)]
    assert says[0] == says[1]
    assert "las cifras son las de la última revisión" in after["html"]


async def test_what_is_asked_of_facts_that_are_gone_is_unknown_where_nobody_asked_before(
    pbx: Exchange, make: Make
) -> None:
    await pbx.queued(pbx.at(f"{TUESDAY}T10:00:00"), wait=50, src="+34600111001")
    await call(pbx, f"{TUESDAY}T12:00:00")
    await pbx.retain(keep_calls="P100D")

    made = await make({"day": TUESDAY}, now=NOW + timedelta(days=700))

    assert (made["answered"], made["abandoned"], made["gone"]) == (1, 1, ["missed"])
    assert await missed_of(pbx) == [[None, None, None, None]]
    (row,) = await kept(pbx)
    assert "y no se puede saber" in row["html"]


async def test_facts_that_outlive_their_calls_are_asked_as_before(
    pbx: Exchange, make: Make
) -> None:
    await pbx.queued(pbx.at(f"{TUESDAY}T10:00:00"), wait=50, src="+34600111001")
    await pbx.dialled_out(pbx.at(f"{TUESDAY}T11:00:00"), "9600111001")
    await pbx.load()
    await pbx.retain(keep_calls="P100D", keep_facts="PT0S")
    assert await pbx.connection.fetchval("SELECT count(*) FROM ivr.calls") == 0

    made = await make({"day": TUESDAY}, now=NOW + timedelta(days=700))

    assert "gone" not in made
    assert await missed_of(pbx) == [[1, 1, 0, 0]]


async def test_figures_that_are_kept_no_more_make_no_report_of_zeros(
    pbx: Exchange, make: Make
) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    await make()
    before = await kept(pbx)
    await pbx.retain(keep_figures="P100D")
    with pytest.raises(FiguresMissingError, match=r"are kept from .* stays as it is"):
        await make({"day": TUESDAY}, now=NOW + timedelta(days=700))
    assert await kept(pbx) == before


async def test_late_rows_raise_a_new_revision_and_keep_the_old(pbx: Exchange, make: Make) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    await make()
    await call(pbx, f"{TUESDAY}T11:00:00")
    again = await make()
    assert (again["revision"], again["changed"], again["answered"]) == (2, True, 2)
    assert [row["revision"] for row in await kept(pbx)] == [1, 2]


async def test_each_morning_looks_again_at_the_days_before(pbx: Exchange, make: Make) -> None:
    for day in (15, 16, 17, 18):
        await call(pbx, f"2024-11-{day}T10:00:00")
        await make({"day": f"2024-11-{day}"})
    for day in (15, 17):
        await call(pbx, f"2024-11-{day}T11:00:00")
    assert (await make())["revised"] == ["2024-11-17"]
    assert (await make())["revised"] == []
    assert (await make(now=NOW - timedelta(days=1)))["revised"] == ["2024-11-15"]


async def test_a_day_with_calls_that_was_missed_gets_its_report(pbx: Exchange, make: Make) -> None:
    await call(pbx, "2024-11-17T10:00:00")  # a Sunday
    await call(pbx, "2024-11-18T10:00:00")
    assert (await make(business_days=("mon", "tue")))["revised"] == ["2024-11-18"]
    assert (await make())["revised"] == ["2024-11-17"]
    assert [str(row["day"]) for row in await kept(pbx)] == [f"2024-11-{d}" for d in (17, 18, 19)]


# R9: another language or name
@pytest.mark.parametrize(
    "text",
    [
        {"language": "en"},
        {"organisation": "Centro & Co."},
        {"targets": {"service_level": 0.9}},
    ],
)
async def test_another_text_is_no_other_report_and_keeps_the_comparison(
    pbx: Exchange, make: Make, text: dict[str, Any]
) -> None:
    for day in ("2024-11-05", "2024-11-12", TUESDAY):
        await call(pbx, f"{day}T10:00:00")
        await make({"day": day})
    again = await make({"day": TUESDAY}, **text)
    assert (again["revision"], again["changed"]) == (1, False)
    rows = await kept(pbx)
    assert len(rows) == 3
    assert len({row["params_hash"] for row in rows}) == 1
    html = rows[-1]["html"]
    assert "2 martes" in html or "2 Tuesdays" in html
    written: dict[Any, str] = {"en": 'lang="en"', "Centro & Co.": "Centro &amp; Co.", 0.9: "90,0"}
    (chosen,) = text.values()
    assert written[chosen if isinstance(chosen, str) else chosen["service_level"]] in html


async def test_another_zone_makes_another_report_of_the_same_day(pbx: Exchange, make: Make) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    await make()
    other = await make(zone="America/Bogota", recheck_days=0)
    assert (other["revision"], other["changed"]) == (1, True)
    assert len({row["params_hash"] for row in await kept(pbx)}) == 2


async def test_a_slot_that_runs_late_reports_its_own_day(pbx: Exchange, make: Make) -> None:
    await pbx.load()
    slot = datetime(2024, 11, 17, 7, tzinfo=UTC)
    assert (await make(slot=slot))["day"] == "2024-11-16"


async def test_another_day_can_be_asked_for(pbx: Exchange, make: Make) -> None:
    await pbx.load()
    assert (await make({"day": "2024-11-02"}))["day"] == "2024-11-02"
    with pytest.raises(ValueError, match=r"day is '2\.11\.2024', it must be like 2026-01-31"):
        await make({"day": "2.11.2024"})
    with pytest.raises(ValueError, match="day is 2024-11-21, it has not begun in Europe/Madrid"):
        await make({"day": "2024-11-21"})
    with pytest.raises(ValueError, match="day is 0001-01-01, it must be 1970-01-01 at the earl"):
        await make({"day": "0001-01-01"}, report="monthly")


async def test_today_so_far_is_written_over_until_the_day_is_over(
    pbx: Exchange, make: Make
) -> None:
    await call(pbx, "2024-11-20T07:00:00")
    first = await make({"include_today": True})
    assert (first["day"], first["partial"], first["calls"]) == ("2024-11-20", True, 1)
    await call(pbx, "2024-11-20T07:30:00")
    second = await make(include_today=True)
    assert (second["revision"], second["changed"], second["calls"]) == (1, True, 2)
    final = await make(now=NOW + timedelta(days=1))
    assert (final["revision"], final["partial"], final["calls"]) == (1, False, 2)
    await call(pbx, "2024-11-20T08:30:00")
    assert (await make(now=NOW + timedelta(days=1)))["revision"] == 2


async def test_an_empty_day_has_a_report_without_ratios(pbx: Exchange, make: Make) -> None:
    await pbx.load()
    result = await make()
    assert (result["calls"], result["handling_s"], result["service_level"]) == (0, None, None)
    (row,) = await kept(pbx)
    assert "No hubo llamadas entrantes" in row["html"]


async def test_a_day_is_compared_with_the_same_weekday_of_the_weeks_before(
    pbx: Exchange, make: Make
) -> None:
    for day, count in (("2024-11-05", 2), ("2024-11-12", 4), ("2024-11-18", 9), (TUESDAY, 6)):
        for minute in range(count):
            await pbx.queued(pbx.at(f"{day}T10:0{minute}:00"), wait=5, talk=60)
    await pbx.load()
    for day in ("2024-11-05", "2024-11-12", "2024-11-18", TUESDAY):
        await make({"day": day})
    html = (await kept(pbx))[-1]["html"]
    assert "+100,0\N{NO-BREAK SPACE}% frente a la media de 2 martes" in html


async def test_two_nodes_that_make_the_same_report_at_once_keep_it_once(
    pbx: Exchange, make: Make
) -> None:
    await call(pbx, f"{TUESDAY}T10:00:00")
    results = await asyncio.gather(*(make() for _ in range(5)))
    assert sorted(result["changed"] for result in results) == [False] * 4 + [True]
    assert len(await kept(pbx)) == 1


async def test_a_run_with_another_owner_keeps_nothing(pbx: Exchange, database: str) -> None:
    await pbx.load()
    daily = job_of(found(())["daily"], Settings())
    run = run_context(daily, settings=Settings(), database_url=database, clock=lambda: NOW)
    run.reporter.supersede()
    with pytest.raises(RunSuperseded):
        await daily.function(run)
    assert await kept(pbx) == []


async def test_missing_figures_fail_the_run_unless_they_may_be_missing(
    pbx: Exchange, make: Make
) -> None:
    await pbx.connection.execute("DROP SCHEMA ivr CASCADE")
    with pytest.raises(FiguresMissingError, match=r"ivr\.quarter_hours, which does not exist"):
        await make()
    result = await make(calls_required=False)
    assert result["revision"] is None
    assert "sereno trigger etl_ivr.aggregate --wait" in result["note"]


@pytest.mark.parametrize(("report", "first"), [("weekly", "2024-11-11"), ("monthly", "2024-10-01")])
async def test_weeks_and_months_that_are_over_are_reported(
    pbx: Exchange, make: Make, report: str, first: str
) -> None:
    await call(pbx, f"{first}T10:00:00")
    result = await make(report=report)
    assert (result["day"], result["answered"], result["partial"]) == (first, 1, False)
    rows = msgspec.json.decode((await kept(pbx))[-1]["figures"])["tables"]["days"]["rows"]
    assert len(rows) == {"weekly": 7, "monthly": 31}[report]


async def test_reports_of_an_earlier_version_become_revisions_of_one_day(
    pbx: Exchange, make: Make
) -> None:
    await pbx.connection.execute("DROP SCHEMA sereno_reports CASCADE")
    await pbx.connection.execute(OLD_SHELF)
    for digest in ("1111111111111111", "2222222222222222"):  # by language, say
        for revision in (1, 2):
            await pbx.connection.execute(
                "INSERT INTO sereno_reports.report (name, day, zone, params_hash, revision,"
                " partial, html, csv, figures)"
                " VALUES ('daily', $1::text::date, $2, $3, $4, false, 'h', 'c', $5)",
                TUESDAY,
                MADRID,
                digest,
                revision,
                '{"total": {"answered": 7}}',
            )
    await call(pbx, f"{TUESDAY}T10:00:00")
    assert (await make())["revision"] == 5
    rows = await kept(pbx)
    assert [row["revision"] for row in rows] == [1, 2, 3, 4, 5]
    assert len({row["params_hash"] for row in rows}) == 1


OLD_SHELF = """
CREATE SCHEMA sereno_reports;
CREATE TABLE sereno_reports.report (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, day date NOT NULL,
  zone text NOT NULL, params_hash text NOT NULL, revision int NOT NULL CHECK (revision > 0),
  partial boolean NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  html text NOT NULL, csv text NOT NULL, figures jsonb NOT NULL,
  UNIQUE (name, day, params_hash, revision)
)
"""


async def test_calls_of_the_next_day_do_not_revise_a_report(pbx: Exchange, make: Make) -> None:
    await pbx.queued(pbx.at(f"{TUESDAY}T10:00:00"), wait=50)
    await pbx.load()
    await make()
    await pbx.dialled_out(pbx.at("2024-11-20T09:00:00"), "600111222")
    await pbx.queued(pbx.at("2024-11-20T09:30:00"), wait=5, talk=60)
    await pbx.load()
    assert (await make(now=NOW + timedelta(days=1)))["revised"] == []
