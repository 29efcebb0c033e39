"""A hand-made day of 20 calls, and each way in which records mislead."""

from datetime import date, timedelta
from typing import Any

import pytest

from sereno_reports.database import connected
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Figures
from sereno_reports.settings import Settings
from sereno_reports.source import CallsMissingError, read_figures

from .legs import MADRID, Exchange

TUESDAY = "2026-11-17"


async def figures(url: str, day: str = TUESDAY, **settings: Any) -> Figures:
    chosen = Settings(**({"zone": MADRID} | settings))
    async with connected(url) as connection:
        return await read_figures(
            connection, BusinessDay(date.fromisoformat(day), chosen.zone), chosen, partial=False
        )


async def twenty_calls(pbx: Exchange) -> None:
    """9 answered, 4 abandoned, 1 short, 1 voicemail, 3 in the IVR, 1 rejected, 1 outbound."""

    def at(clock: str) -> Any:
        return pbx.at(f"{TUESDAY}T{clock}")

    for minute in range(6):
        await pbx.queued(at(f"09:0{minute}:00"), ivr=5, ring=10, talk=100, agent="201")
    await pbx.queued(
        at("10:00:00"), ivr=5, ring=40, talk=300, agent="202", missed_by=("201", "203")
    )
    await pbx.queued(at("10:01:00"), ivr=5, ring=15, talk=60, queue="401", agent="203")
    await pbx.queued(at("11:00:00"), ivr=5, ring=16, talk=240, queue="401", agent="202")
    for minute in range(4):
        await pbx.queued(at(f"11:1{minute}:00"), ivr=5, ring=30 + 10 * minute)
    await pbx.queued(at("11:20:00"), ivr=2, ring=3)  # gave up after 5 s
    voicemail = await pbx.queued(at("12:00:00"), ivr=5, ring=20)
    later = at("12:00:00") + timedelta(seconds=25)
    await pbx.leg(voicemail, later, dst="vmu201", context="ext-local", app="VoiceMail", talk=30)
    for minute in range(3):
        await pbx.hung_up_in_ivr(at(f"13:0{minute}:00"))
    await pbx.leg(pbx.new_call(), at("14:00:00"), context="app-blackhole", app="Hangup")
    await pbx.leg(
        pbx.new_call(),
        at("15:00:00"),
        dst="902100200",
        context="from-internal",
        channel="PJSIP/201-00000007",
        to="PJSIP/trunk-00000009",
        app="Dial",
        talk=77,
    )


async def test_twenty_calls_give_the_figures_worked_out_by_hand(
    pbx: Exchange, empty_database: str
) -> None:
    await twenty_calls(pbx)
    found = await figures(empty_database)
    total = found.total
    assert pbx.calls == 20
    assert (total.answered, total.abandoned, total.short, total.overflow) == (9, 4, 1, 1)
    assert (total.ivr, total.other, total.outbound) == (3, 1, 1)
    assert (total.offered, total.calls) == (14, 19)
    assert total.talk_s == 6 * 100 + 300 + 60 + 240
    assert total.handling_s == pytest.approx(1200 / 9, abs=1e-4)
    assert total.wait_s == 6 * 15 + 45 + 20 + 21
    assert total.within == 7  # a wait of 20 s is in time, one of 21 s is not
    assert total.service_level == pytest.approx(7 / 13, abs=1e-4)
    assert total.abandon_s == 35 + 45 + 55 + 65
    assert total.answer_rate == pytest.approx(9 / 14, abs=1e-4)
    assert {row.label: row.facts.offered for row in found.hours if row.facts.calls} == {
        "09:00": 6,
        "10:00": 2,
        "11:00": 5,
        "12:00": 1,
        "13:00": 0,
        "14:00": 0,
    }
    assert [(row.label, row.facts.offered, row.facts.answered) for row in found.queues] == [
        ("400", 12, 7),
        ("401", 2, 2),
    ]
    assert [(row.label, row.facts.answered) for row in found.agents] == [
        ("201", 6),
        ("202", 2),
        ("203", 1),
    ]
    assert found.peak is not None
    assert found.peak.label == "09:00"


async def test_rows_that_were_written_twice_count_once(pbx: Exchange, empty_database: str) -> None:
    await twenty_calls(pbx)
    once = await figures(empty_database)
    await pbx.connection.execute("INSERT INTO ivr.calls SELECT * FROM ivr.calls")
    assert await figures(empty_database) == once


async def test_a_transfer_adds_up_the_talk_of_both_agents(
    pbx: Exchange, empty_database: str
) -> None:
    start = pbx.at(f"{TUESDAY}T10:00:00")
    call = await pbx.queued(start, ivr=5, ring=5, talk=60, agent="201")
    then = start + timedelta(seconds=70)
    await pbx.leg(
        call, then, context="from-queue", to="PJSIP/202-3", app="Dial", duration=50, talk=40
    )
    total = (await figures(empty_database)).total
    assert (total.calls, total.answered, total.talk_s) == (1, 1, 100)


async def test_a_ring_group_s_local_channel_does_not_count_the_talk_twice(
    pbx: Exchange, empty_database: str
) -> None:
    start = pbx.at(f"{TUESDAY}T10:00:00")
    call = pbx.new_call()
    await pbx.leg(call, start, to="Local/201@from-internal-1;1", app="Dial", duration=70, talk=65)
    await pbx.leg(call, start, to="PJSIP/201-00000002", app="Dial", duration=70, talk=60)
    total = (await figures(empty_database)).total
    assert (total.answered, total.talk_s, total.wait_s) == (1, 60, 10)


async def test_an_answer_seen_on_the_queue_s_leg_alone_tells_no_wait(
    pbx: Exchange, empty_database: str
) -> None:
    start = pbx.at(f"{TUESDAY}T10:00:00")
    await pbx.leg(
        pbx.new_call(),
        start,
        context="ext-queues",
        to="PJSIP/201-3",
        app="Queue",
        duration=90,
        talk=90,
    )
    total = (await figures(empty_database)).total
    assert (total.answered, total.talk_s, total.waits, total.answer_s) == (1, 90, 0, None)


async def test_a_call_belongs_to_the_day_on_which_it_began(
    pbx: Exchange, empty_database: str
) -> None:
    await pbx.queued(pbx.at("2026-11-16T23:59:55"), ivr=30, ring=10, talk=60)
    await pbx.queued(pbx.at("2026-11-17T23:59:55"), ivr=30, ring=10, talk=600)
    await pbx.queued(pbx.at("2026-11-17T00:00:00"), ivr=3, ring=10, talk=6)
    found = await figures(empty_database)
    assert (found.total.calls, found.total.talk_s) == (2, 606)
    assert [row.label for row in found.hours if row.facts.calls] == ["00:00", "23:00"]


async def test_without_linkedid_the_legs_are_joined_by_uniqueid(
    pbx: Exchange, empty_database: str
) -> None:
    for linkedid in ("", None):
        await pbx.connection.execute("TRUNCATE ivr.calls")
        start = pbx.at(f"{TUESDAY}T10:00:00")
        for answered in (False, True):
            await pbx.leg(
                "1700000000.1",
                start,
                linkedid=linkedid and "",
                to=f"SIP/20{answered:d}-1",
                app="Dial",
                talk=9 * answered,
                disposition="ANSWERED" if answered else "NO ANSWER",
            )
        await pbx.connection.execute("UPDATE ivr.calls SET linkedid = $1", linkedid)
        total = (await figures(empty_database)).total
        assert (total.calls, total.answered, total.talk_s) == (1, 1, 9)


async def test_impossible_durations_are_clipped(pbx: Exchange, empty_database: str) -> None:
    start = pbx.at(f"{TUESDAY}T10:00:00")
    await pbx.leg("1.1", start, to="PJSIP/201-1", app="Dial", duration=-5, talk=-5)
    await pbx.leg("1.2", start, to="PJSIP/201-1", app="Dial", duration=10**7, talk=10**7)
    total = (await figures(empty_database)).total
    assert (total.answered, total.talk_s, total.wait_s) == (2, 86_400, 0)


async def test_rows_without_time_or_identity_are_no_calls(
    pbx: Exchange, empty_database: str
) -> None:
    await pbx.connection.execute(
        "INSERT INTO ivr.calls (uniqueid, linkedid, started_at) "
        "VALUES ('1.1', '1.1', NULL), ('', '', '2026-11-17 10:00+01'), "
        "(NULL, NULL, '2026-11-17 10:00+01')"
    )
    assert (await figures(empty_database)).total.calls == 0


async def test_the_repeated_hour_has_two_rows(pbx: Exchange, empty_database: str) -> None:
    await pbx.hung_up_in_ivr(pbx.at("2026-10-25T02:30:00", fold=0))
    await pbx.hung_up_in_ivr(pbx.at("2026-10-25T02:30:00", fold=1))
    await pbx.hung_up_in_ivr(pbx.at("2026-10-25T23:59:59"))
    found = await figures(empty_database, "2026-10-25")
    assert len(found.hours) == 25
    assert [row.label for row in found.hours if row.facts.calls] == [
        "02:00 CEST",
        "02:00 CET",
        "23:00",
    ]


@pytest.mark.parametrize(
    ("loaded", "later_call", "provisional"),
    [
        ("2026-11-17T23:00:00", False, True),
        ("2026-11-18T02:00:00", False, False),
        ("2026-11-17T23:00:00", True, False),
    ],
)
async def test_a_day_whose_end_may_not_be_loaded_is_provisional(
    pbx: Exchange, empty_database: str, loaded: str, later_call: bool, provisional: bool
) -> None:
    pbx.loaded_at = pbx.at(loaded)
    await pbx.hung_up_in_ivr(pbx.at("2026-11-17T10:00:00"))
    if later_call:
        await pbx.hung_up_in_ivr(pbx.at("2026-11-18T00:30:00"))
    assert (await figures(empty_database)).provisional is provisional


async def test_a_missing_table_is_told_with_its_remedy(empty_database: str) -> None:
    with pytest.raises(CallsMissingError, match=r"ivr\.calls does not exist; load calls first"):
        await figures(empty_database)
