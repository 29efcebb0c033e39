"""What a report counts, from the exchange's own rows to the figures that are kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno_reports.declared import ReportColumn
from sereno_reports.figures import Row, value

from .conftest import Make
from .exchange import ISSABEL, Exchange
from .kept import cards, rows

TUESDAY = "2024-11-19"

Read = Any


def at(pbx: Exchange, clock: str) -> Any:
    return pbx.at(f"{TUESDAY}T{clock}")


# R1: waits behind 8 to 40 s of menu
async def test_wait_and_level_count_from_the_queue_and_not_from_the_menu(
    pbx: Exchange, figures: Read
) -> None:
    for n in range(7):
        await pbx.queued(at(pbx, f"10:0{n}:00"), ivr=8 + 5 * n, wait=6 * n, talk=60)
    for n in range(3):
        await pbx.queued(at(pbx, f"11:0{n}:00"), ivr=30, wait=40)
    found = cards(await figures())
    assert (found["answered"], found["abandoned"]) == (7, 3)
    assert found["service_level"] == pytest.approx(4 / 10)  # 0, 6, 12 and 18 s
    assert found["answer"] == pytest.approx(sum(6 * n for n in range(7)) / 7, abs=1e-4)


async def test_without_events_of_the_queue_wait_and_level_are_unknown_and_no_number(
    pbx: Exchange, figures: Read
) -> None:
    pbx.events = False
    for n in range(4):
        await pbx.queued(at(pbx, f"10:0{n}:00"), ivr=25, wait=6, talk=60)
    await pbx.queued(at(pbx, "11:00:00"), ivr=25, wait=60)
    read = await figures()
    found = cards(read)
    assert (found["answered"], found["abandoned"], found["handling"]) == (4, 1, 60)
    assert (found["service_level"], found["answer"]) == (None, None)
    (waits,) = rows(read, "waits")
    assert {waits[name] for name in ("wait_p50", "wait_p90", "wait_longest", "gave_up_after")} == {
        None
    }
    (queue,) = rows(read, "queues")
    assert (queue["wait_s"], queue["entries_level_in"], queue["entries_short"]) == (
        None,
        None,
        None,
    )


async def test_one_call_whose_wait_is_unknown_makes_the_whole_level_unknown(
    pbx: Exchange, figures: Read
) -> None:
    for n in range(4):
        await pbx.queued(at(pbx, f"10:0{n}:00"), ivr=25, wait=6, talk=60)
    pbx.events = False
    await pbx.queued(at(pbx, "12:00:00"), ivr=25, wait=6, talk=60)
    read = await figures()
    assert cards(read)["service_level"] is None
    hours = {row["label"]: row for row in rows(read, "hours")}
    assert (hours["10:00"]["level_in"], hours["12:00"]["level_in"]) == (4, None)


# R2: a menu that has answered, and a ring
async def test_an_answer_that_the_menu_gave_tells_neither_wait_nor_talk(
    pbx: Exchange, figures: Read
) -> None:
    start = at(pbx, "10:00:00")
    call = pbx.new_call(start)
    await pbx.leg(call, start, dst="201", to="PJSIP/201-2", app="Dial", duration=102, talk=102)
    found = cards(await figures())
    assert found["answered"] == 1
    assert (found["service_level"], found["answer"], found["handling"]) == (None, None, None)


# R3: members of a queue that have no leg of their own
async def test_handling_is_the_agent_s_talk_without_the_menu(pbx: Exchange, figures: Read) -> None:
    for n in range(20):
        await pbx.queued(at(pbx, f"10:{n:02}:00"), ivr=30, wait=30, talk=50, direct=True)
    await pbx.queued(at(pbx, "11:00:00"), ivr=30, wait=60, direct=True)
    found = cards(await figures())
    assert (found["handling"], found["answered"], found["abandoned"]) == (50, 20, 1)
    assert found["service_level"] == 0  # all waited for 30 s, and that is known


# R4: a second in the queue after seven of greeting
async def test_a_short_abandon_is_measured_in_the_queue(pbx: Exchange, figures: Read) -> None:
    await pbx.queued(at(pbx, "10:00:00"), ivr=7, wait=1)
    await pbx.queued(at(pbx, "10:01:00"), ivr=1, wait=7)
    read = await figures()
    (outcomes,) = rows(read, "outcomes")
    assert (outcomes["short"], outcomes["abandoned"], outcomes["offered"]) == (1, 1, 1)
    (queue,) = rows(read, "queues")
    assert (queue["entries_short"], queue["entries_abandoned"], queue["entries"]) == (1, 1, 1)


# R6: a blind transfer
async def test_a_transfer_gives_each_agent_their_own_talk_and_counts_once(
    pbx: Exchange, figures: Read
) -> None:
    await pbx.queued(
        at(pbx, "10:00:00"), wait=5, talk=60, agent="201", to_second="202", second_talk=300
    )
    read = await figures()
    agents = {row["number"]: row for row in rows(read, "agents")}
    assert {name: row["talk_s"] for name, row in agents.items()} == {"201": 60, "202": 300}
    assert (agents["201"]["transfers"], agents["202"]["transfers"]) == (1, 0)
    assert (cards(read)["answered"], cards(read)["offered"]) == (1, 1)


async def test_a_call_that_overflows_counts_in_each_queue_and_once_as_a_call(
    pbx: Exchange, figures: Read
) -> None:
    start = at(pbx, "10:00:00")
    call = pbx.new_call(start)
    entered = start + timedelta(seconds=10)
    await pbx.event(entered, call, "400", "NONE", "ENTERQUEUE", "", "600", 1)
    left = entered + timedelta(seconds=30)
    await pbx.event(left, call, "400", "NONE", "EXITWITHTIMEOUT", 1, 1, 30)
    await pbx.event(left, call, "401", "NONE", "ENTERQUEUE", "", "600", 1)
    connected = left + timedelta(seconds=5)
    await pbx.event(connected, call, "401", "PJSIP/202", "CONNECT", 5, "1", 3)
    ended = connected + timedelta(seconds=60)
    await pbx.event(ended, call, "401", "PJSIP/202", "COMPLETEAGENT", 5, 60, 1)
    for queue, to in (("400", ""), ("401", "PJSIP/202-1")):
        await pbx.leg(
            call, start, dst=queue, to=to, app="Queue", data=queue, duration=105, talk=105
        )
    read = await figures()
    queues = {row["number"]: row for row in rows(read, "queues")}
    assert (queues["400"]["entries"], queues["400"]["entries_left"]) == (1, 1)
    assert (queues["401"]["entries_answered"], queues["401"]["entries_level_in"]) == (1, 1)
    found = cards(read)
    assert (found["calls"], found["answered"], found["service_level"]) == (1, 1, 0)  # 35 s in all


# R7: Issabel, neither linkedid nor sequence
async def test_without_a_linkedid_rings_are_no_calls(pbx: Exchange, figures: Read) -> None:
    await pbx.connection.execute(ISSABEL)
    pbx.linked, pbx.events = False, False
    await pbx.queued(
        at(pbx, "10:00:00"), wait=9, talk=60, agent="204", missed_by=("201", "202", "203")
    )
    read = await figures()
    found = cards(read)
    assert (found["calls"], found["answered"], found["abandoned"]) == (1, 1, 0)
    (queue,) = rows(read, "queues")
    assert (queue["number"], queue["entries_answered"], queue["talk_s"]) == ("400", 1, 60)
    agents = {row["number"]: (row["handled"], row["talk_s"]) for row in rows(read, "agents")}
    assert agents == {"204": (1, 60), **dict.fromkeys(("201", "202", "203"), (0, 0))}


# R8: uniqueids .99 and .100 of one second
async def test_the_first_leg_is_the_one_whose_uniqueid_is_the_linkedid(
    pbx: Exchange, figures: Read
) -> None:
    start = at(pbx, "10:00:00")
    second = int(start.timestamp())
    first, later = f"{second}.99", f"{second}.100"  # as text, .100 comes before .99
    more = {"sequence": None, "duration": 70}
    await pbx.leg(first, start, to="PJSIP/201-1", app="Dial", talk=60, **more)
    await pbx.leg(
        first,
        start,
        uniqueid=later,
        context="from-internal",
        channel="Local/201@from-internal-1;2",
        to="PJSIP/201-2",
        app="Dial",
        talk=60,
        **more,
    )
    found = cards(await figures())
    assert (found["calls"], found["answered"], found["outbound"]) == (1, 1, 0)


# R5: a call dated 2099
async def test_rows_of_the_future_neither_count_nor_make_a_day_whole(
    pbx: Exchange, figures: Read
) -> None:
    pbx.reached = pbx.at("2024-11-19T12:00:00")
    await pbx.queued(at(pbx, "10:00:00"), wait=5, talk=60)
    await pbx.leg("4070908800.1", pbx.at("2099-01-01T00:00:00"), app="Queue", data="400")
    read = await figures()
    assert (read.provisional, read.behind) == (True, ["pbx"])
    assert cards(read)["calls"] == 1


async def test_a_day_is_provisional_while_one_source_is_behind(
    pbx: Exchange, figures: Read, make: Make
) -> None:
    await pbx.queued(at(pbx, "10:00:00"), wait=5, talk=60)
    assert not (await figures()).provisional
    await pbx.connection.execute(
        "INSERT INTO ivr.aggregated (source, rules, reached) VALUES ('north', '[20, 5]', $1)",
        at(pbx, "23:00:00"),
    )
    again = await make({"day": TUESDAY})
    assert (again["provisional"], again["revision"]) == (True, 2)
    assert not (await make({"day": TUESDAY}, sources=["pbx"]))["provisional"]


async def test_what_is_still_to_come_of_today_does_not_count(pbx: Exchange, make: Make) -> None:
    await pbx.hung_up_in_ivr(pbx.at("2024-11-20T07:00:00"))
    await pbx.hung_up_in_ivr(pbx.at("2024-11-20T09:00:00"))  # the clock of the exchange is ahead
    await pbx.load()
    assert (await make({"include_today": True}))["calls"] == 1


async def test_the_repeated_hour_has_two_rows(pbx: Exchange, figures: Read) -> None:
    for fold in (0, 1):
        await pbx.hung_up_in_ivr(pbx.at("2024-10-27T02:30:00", fold=fold))
    await pbx.hung_up_in_ivr(pbx.at("2024-10-27T23:59:59"))
    found = rows(await figures("2024-10-27"), "hours")
    assert len(found) == 25
    assert [row["label"] for row in found if row["calls"]] == ["02:00 CEST", "02:00 CET", "23:00"]


# R11: Lord Howe
async def test_a_clock_that_changes_by_half_an_hour_leaves_whole_clock_hours(
    pbx: Exchange, figures: Read
) -> None:
    for hour, minute in ((14, 40), (17, 5)):  # the clock is changed at 15:00
        await pbx.hung_up_in_ivr(datetime(2024, 4, 6, hour, minute, tzinfo=UTC))
    found = rows(await figures("2024-04-07", zone="Australia/Lord_Howe"), "hours")
    assert [row["label"] for row in found][:4] == ["00:00", "01:00 +11", "01:00 +1030", "02:00"]
    assert all(row["label"][2:5] == ":00" for row in found)
    assert [row["label"] for row in found if row["calls"]] == ["01:00 +11", "03:00"]


async def test_rows_that_were_written_twice_count_once(pbx: Exchange, figures: Read) -> None:
    await pbx.queued(at(pbx, "10:00:00"), wait=5, talk=60)
    once = await figures()
    await pbx.connection.execute("INSERT INTO pbx.cdr SELECT * FROM pbx.cdr")
    assert await figures() == once


async def test_a_call_belongs_to_the_day_on_which_it_began(pbx: Exchange, figures: Read) -> None:
    await pbx.queued(pbx.at("2024-11-18T23:59:55"), ivr=30, wait=10, talk=60)
    await pbx.queued(pbx.at("2024-11-19T23:59:55"), ivr=30, wait=10, talk=600)
    await pbx.queued(pbx.at("2024-11-19T00:00:00"), ivr=3, wait=10, talk=6)
    read = await figures()
    assert cards(read)["calls"] == 2
    assert [row["label"] for row in rows(read, "hours") if row["calls"]] == ["00:00", "23:00"]
    assert sum(row["talk_s"] for row in rows(read, "agents")) == 606


async def test_twenty_calls_give_the_figures_worked_out_by_hand(
    pbx: Exchange, figures: Read
) -> None:
    for minute in range(6):
        await pbx.queued(at(pbx, f"09:0{minute}:00"), ivr=5, wait=10, talk=100, agent="201")
    await pbx.queued(
        at(pbx, "10:00:00"), ivr=5, wait=40, talk=300, agent="202", missed_by=("201", "203")
    )
    await pbx.queued(at(pbx, "10:01:00"), ivr=5, wait=20, talk=60, queue="401", agent="203")
    await pbx.queued(at(pbx, "11:00:00"), ivr=5, wait=21, talk=240, queue="401", agent="202")
    for minute in range(4):
        await pbx.queued(at(pbx, f"11:1{minute}:00"), ivr=5, wait=30 + 10 * minute)
    await pbx.queued(at(pbx, "11:20:00"), ivr=20, wait=5)
    for minute in range(3):
        await pbx.hung_up_in_ivr(at(pbx, f"13:0{minute}:00"))
    start = at(pbx, "14:00:00")
    await pbx.leg(pbx.new_call(start), start, context="app-blackhole", app="Hangup")
    await pbx.dialled_out(at(pbx, "15:00:00"), "902100200")
    await pbx.dialled_out(at(pbx, "15:01:00"), "902100201", talk=23)
    read = await figures()
    (total,) = rows(read, "outcomes")
    assert pbx.calls == 20
    assert (total["answered"], total["abandoned"], total["short"]) == (9, 4, 1)
    assert (total["ivr"], total["rejected"], total["outbound"]) == (3, 1, 2)
    assert (total["offered"], total["calls"]) == (13, 18)
    found = cards(read)
    assert found["handling"] == pytest.approx((600 + 300 + 60 + 240) / 9, abs=1e-4)
    assert found["answer"] == pytest.approx((60 + 40 + 20 + 21) / 9, abs=1e-4)
    assert found["service_level"] == pytest.approx(7 / 13, abs=1e-4)  # 20 s is in time, 21 s is not
    (waits,) = rows(read, "waits")
    assert (waits["wait_p50"], waits["wait_p90"], waits["wait_longest"]) == (10, 40, 40)
    assert waits["gave_up_after"] == pytest.approx((30 + 40 + 50 + 60 + 5) / 5)
    queues = [(r["number"], r["entries"], r["entries_answered"]) for r in rows(read, "queues")]
    assert queues == [("400", 11, 7), ("401", 2, 2)]
    agents = {r["number"]: r for r in rows(read, "agents")}
    assert [(n, r["handled"], r["missed"], r["made"]) for n, r in sorted(agents.items())] == [
        ("201", 6, 1, 2),
        ("202", 2, 0, 0),
        ("203", 1, 1, 0),
    ]
    assert agents["201"]["made_talk_s"] == 100


async def test_half_hours_and_hours_add_up_to_the_day(pbx: Exchange, figures: Read) -> None:
    for n in range(48):
        await pbx.queued(
            at(pbx, f"{n // 2:02}:{30 * (n % 2) + 7:02}:00"), wait=n, talk=30 * (n % 3)
        )
    read = await figures()
    (total,) = rows(read, "outcomes")
    halves, hours = rows(read, "half_hours"), rows(read, "hours")
    assert (len(halves), len(hours)) == (48, 24)
    for name in ("calls", "offered", "answered", "abandoned", "level_in", "talk_s"):
        assert sum(r[name] for r in halves) == sum(r[name] for r in hours)
    assert sum(r["calls"] for r in hours) == total["calls"] == 48


async def test_who_gave_up_and_was_called_back_or_called_again_is_told(
    pbx: Exchange, figures: Read
) -> None:
    for n, src in enumerate(("+34600111001", "600111002", "600111003", "")):
        await pbx.queued(at(pbx, f"10:0{n}:00"), wait=50, src=src)
    await pbx.dialled_out(at(pbx, "11:00:00"), "9600111001")  # with the digit for a line
    await pbx.queued(at(pbx, "12:00:00"), wait=5, talk=60, src="600111002")
    await pbx.queued(at(pbx, "09:00:00"), wait=5, talk=60, src="600111003")  # before
    await pbx.dialled_out(pbx.at("2024-11-20T00:00:01"), "600111003")  # of another day
    (missed,) = rows(await figures(), "missed")
    assert missed == {"callers": 3, "called_back": 1, "called_again": 1, "not_reached": 1}


async def test_the_week_so_far_stands_beside_the_day(pbx: Exchange, figures: Read) -> None:
    for day, calls in ((17, 5), (18, 1), (19, 2), (20, 4)):  # a Sunday to a Wednesday
        for n in range(calls):
            await pbx.queued(pbx.at(f"2024-11-{day}T10:0{n}:00"), wait=5, talk=60)
    week = rows(await figures(), "week")
    assert [(row["label"], row["calls"]) for row in week] == [("2024-11-18", 1), ("2024-11-19", 2)]


def test_a_share_of_nothing_is_unknown() -> None:
    column = ReportColumn(name="level", title="", unit="share", of="part", per="whole")
    empty: Row = {"part": 0, "whole": 0}
    assert value(column, empty) is None
    assert value(column, {"part": None, "whole": 3}) is None
