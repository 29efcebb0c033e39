# ruff: noqa: DTZ001 - local times have no zone
"""What the figures of a quarter hour count, and what they say is unknown."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno.testing import RecordedRun
from sereno_etl_ivr.aggregate import aggregate, rules
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.feed import chosen_feed
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync, sync_of
from sereno_etl_ivr.target import Aggregates, aggregates

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import ISSABEL, Pbx, fetch

AT = datetime(2026, 3, 2, 9, 5)


@pytest.fixture
def exchange(empty_pbx: Pbx) -> Exchange:
    """Give an exchange with a `cdr` and a `queue_log`."""
    found = Exchange(empty_pbx)
    found.create()
    return found


class Counting:
    """Loads what an exchange wrote, and sums figures up."""

    def __init__(self, synced: Sync, database: str, exchange: Exchange) -> None:
        self.synced = synced
        self.database = database
        self.exchange = exchange

    async def load(self, **settings: Any) -> dict[str, Any]:
        pbx, tables = self.exchange.pbx, QUEUES if self.exchange.events else {}
        again = {"overlap": "P9000D", **settings}
        if tables:
            await self.synced(pbx, sync_of("queues"), tables=tables, **again)
        await self.synced(pbx, sync, tables=tables, **again)
        return await self.synced(pbx, aggregate, tables=tables, **settings)

    async def total(self, *names: str, where: str = "true") -> tuple[float | None, ...]:
        sums = ", ".join(f"sum({name})::float8" for name in names)
        query = f"SELECT {sums} FROM ivr.quarter_hours WHERE {where}"
        (row,) = await fetch(self.database, query)
        return tuple(row)

    async def queue(self, name: str = "400") -> dict[str, Any]:
        (row,) = await fetch(
            self.database, "SELECT * FROM ivr.queue_quarters WHERE queue = $1", name
        )
        return dict(row)

    async def talk(self) -> dict[str, tuple[int, float | None]]:
        rows = await fetch(
            self.database,
            "SELECT agent, sum(handled)::int, CASE WHEN sum(talk_unknown) = 0 THEN"
            " sum(talk_seconds)::float8 END FROM ivr.quarter_hours WHERE handled > 0 GROUP BY 1",
        )
        return {row[0]: (row[1], row[2]) for row in rows}


@pytest.fixture
def counting(synced: Sync, database: str, exchange: Exchange) -> Counting:
    """Give what loads and counts the exchange's calls."""
    return Counting(synced, database, exchange)


async def test_the_level_counts_from_the_queue_not_from_the_menu(
    exchange: Exchange, counting: Counting
) -> None:
    for n in range(6):
        exchange.queued(AT + timedelta(seconds=n), menu=40, wait=4 * n + 4, talk=30)
    exchange.queued(AT, menu=40, wait=25)

    await counting.load()

    found = await counting.queue()
    assert (found["offered"], found["answered"], found["abandoned"]) == (7, 6, 1)
    assert float(found["service_level"]) == round(5 / 7, 4)
    assert (found["wait_p50"], found["wait_p90"], found["wait_longest"]) == (12, 24, 24)
    names = ("calls", "calls_answered", "calls_abandoned", "calls_in_level")
    assert await counting.total(*names) == (7, 6, 1, 5)


async def test_without_queue_events_a_wait_and_a_level_are_unknown(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.events = False
    for n in range(20):
        exchange.queued(AT + timedelta(seconds=n), menu=30, wait=30, talk=50, direct=True)
    exchange.queued(AT, menu=30, wait=10)

    await counting.load()

    found = await counting.queue()
    assert (found["answered"], found["abandoned"], found["handled"]) == (20, 1, 20)
    unknown = ("service_level", "wait_p50", "wait_longest", "wait_seconds", "talk_seconds")
    assert [found[name] for name in unknown] == [None] * 5
    assert found["short_abandons"] is None
    assert await counting.total("level_unknown", "waits_unknown", "short_unknown") == (20, 20, 1)
    (row,) = await fetch(counting.database, "SELECT DISTINCT origin FROM ivr.quarter_hours")
    assert row["origin"] == "calls"


async def test_with_queue_events_members_without_a_leg_have_their_own_talk(
    exchange: Exchange, counting: Counting
) -> None:
    for n in range(20):
        exchange.queued(AT + timedelta(seconds=n), menu=30, wait=30, talk=50, direct=True)

    await counting.load()

    assert await counting.talk() == {"201": (20, 1000.0)}
    assert float((await counting.queue())["service_level"]) == 0


async def test_an_abandon_is_short_by_its_time_in_the_queue(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.queued(AT, menu=7, wait=1)
    exchange.queued(AT, menu=0, wait=9)

    await counting.load()

    assert (await counting.queue())["short_abandons"] == 1
    names = ("calls_abandoned", "calls_short", "calls_short_unknown")
    assert await counting.total(*names) == (2, 1, 0)


async def test_an_abandon_that_is_short_with_its_menu_is_short_without_queue_events(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.events = False
    exchange.queued(AT, menu=3, wait=1)

    await counting.load()

    assert (await counting.queue())["short_abandons"] == 1


async def test_a_transfer_counts_each_agents_own_talk_and_one_call(
    exchange: Exchange, counting: Counting
) -> None:
    call = exchange.queued(AT, wait=5, talk=60, transfer=True)
    later = AT + timedelta(seconds=75)
    exchange.leg(later, call, 305, 300, dstchannel="PJSIP/202-1", lastapp="Dial", dst="202")

    await counting.load()

    assert await counting.talk() == {"201": (1, 60.0), "202": (1, 300.0)}
    names = ("calls", "calls_answered", "offered", "handled", "transfers")
    assert await counting.total(*names) == (1, 1, 1, 2, 1)


@pytest.mark.parametrize("events", [True, False])
async def test_a_transfer_is_told_apart_without_queue_events_too(
    exchange: Exchange, counting: Counting, events: bool
) -> None:
    exchange.events = events
    call = exchange.queued(AT, wait=5, talk=60, transfer=True)
    exchange.leg(
        AT + timedelta(seconds=75), call, 305, 300, dstchannel="PJSIP/202-1", lastapp="Dial"
    )

    await counting.load()

    assert await counting.talk() == {"201": (1, 60.0), "202": (1, 300.0)}
    assert await counting.total("calls", "transfers") == (1, 1)


async def test_a_call_that_overflows_counts_in_each_queue_and_once_as_a_call(
    exchange: Exchange, counting: Counting
) -> None:
    call = exchange.uniqueid(AT)
    first, second = AT + timedelta(seconds=10), AT + timedelta(seconds=40)
    exchange.event(first, call, "400", "NONE", "ENTERQUEUE", "", "6", 1)
    exchange.event(second, call, "400", "NONE", "EXITWITHTIMEOUT", 1, 1, 30)
    exchange.event(second, call, "410", "NONE", "ENTERQUEUE", "", "6", 1)
    exchange.event(second + timedelta(seconds=4), call, "410", "PJSIP/201", "CONNECT", 4, "1.1", 2)
    exchange.event(
        second + timedelta(seconds=64), call, "410", "PJSIP/201", "COMPLETEAGENT", 4, 60, 1
    )
    exchange.leg(
        AT,
        call,
        104,
        104,
        lastapp="Queue",
        lastdata="410,t",
        dst="410",
        dstchannel="PJSIP/201-1",
        dcontext="ext-queues",
    )

    await counting.load()

    assert (await counting.queue("400"))["left_queue"] == 1
    assert float((await counting.queue("410"))["service_level"]) == 1
    names = ("calls", "calls_answered", "calls_in_level", "offered", "handled")
    assert await counting.total(*names) == (1, 1, 0, 2, 1)  # the caller waited 34 s


async def test_the_answer_of_a_menu_is_no_conversation(
    exchange: Exchange, counting: Counting
) -> None:
    call = exchange.uniqueid(AT)
    exchange.leg(AT, call, 102, 102, lastapp="Dial", dstchannel="PJSIP/201-1", dst="201")

    await counting.load()

    assert await counting.talk() == {"201": (1, None)}
    (fact,) = await fetch(counting.database, "SELECT outcome, wait_seconds FROM ivr.call_facts")
    assert tuple(fact) == ("answered", None)
    assert await counting.total("calls_level_unknown", "calls_in_level") == (1, 0)


async def test_a_direct_call_that_rang_tells_its_wait_and_its_talk(
    exchange: Exchange, counting: Counting
) -> None:
    call = exchange.uniqueid(AT)
    exchange.leg(AT, call, 72, 60, lastapp="Dial", dstchannel="PJSIP/201-1", dst="201")

    await counting.load()

    assert await counting.talk() == {"201": (1, 60.0)}
    assert await counting.total("calls_in_level", "calls_level_unknown") == (1, 0)


async def test_without_a_linkedid_the_rings_of_a_queue_are_no_calls(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(ISSABEL)
    empty_pbx.execute(
        "ALTER TABLE cdr ADD channel varchar(80) NOT NULL, ADD dstchannel varchar(80) NOT NULL,"
        " ADD lastapp varchar(80) NOT NULL, ADD lastdata varchar(80) NOT NULL"
    )
    exchange = Exchange(empty_pbx, events=False)

    def write(uniqueid: str, talk: int, **more: Any) -> None:
        row = {"uniqueid": uniqueid, "duration": 60, "billsec": talk, **more}
        row["disposition"] = "ANSWERED" if talk else "NO ANSWER"
        empty_pbx.insert({"calldate": str(AT), **row})

    write(
        "1.1",
        60,
        channel="SIP/trunk-1",
        lastapp="Queue",
        lastdata="400",
        dst="400",
        dstchannel="Local/204@from-queue-4;1",
    )
    for n in range(1, 4):
        write(
            f"1.{n + 1}",
            0,
            channel=f"Local/20{n}@from-queue-{n};2",
            lastapp="Dial",
            dstchannel=f"SIP/20{n}-1",
        )
    write("1.5", 50, channel="Local/204@from-queue-4;2", lastapp="Dial", dstchannel="SIP/204-1")
    counting = Counting(synced, database, exchange)

    await counting.load()

    names = ("calls", "calls_answered", "calls_abandoned", "handled", "missed", "talk_seconds")
    assert await counting.total(*names) == (1, 1, 0, 1, 3, 50)
    assert await counting.total("handled", "talk_seconds", where="queue = '400'") == (1, 50)
    assert await counting.talk() == {"204": (1, 50)}


@pytest.mark.parametrize("first", ["caller", "telephone"])
async def test_the_halves_of_a_local_channel_are_one_call_whichever_comes_first(
    exchange: Exchange, counting: Counting, first: str
) -> None:
    caller, half = exchange.uniqueid(AT), exchange.uniqueid(AT)
    name = "Local/204@from-queue-0000000a"

    def write(which: str) -> None:
        if which == "caller":
            queued = {"lastapp": "Queue", "lastdata": "400", "dstchannel": f"{name};1"}
            exchange.leg(AT, caller, 60, 60, linkedid="", **queued)
        else:
            dialled = {"lastapp": "Dial", "channel": f"{name};2", "dstchannel": "SIP/204-1"}
            exchange.leg(AT, half, 60, 50, linkedid="", **dialled)

    facts = "SELECT call, outcome, legs FROM ivr.call_facts"
    write(first)
    await counting.load()
    alone = (caller, "answered", 1) if first == "caller" else (half, "ring", 1)
    assert [tuple(r) for r in await fetch(counting.database, facts)] == [alone]
    write("telephone" if first == "caller" else "caller")
    await counting.load()
    assert [tuple(r) for r in await fetch(counting.database, facts)] == [(caller, "answered", 2)]
    assert await counting.total("handled", "talk_seconds", where="queue = '400'") == (1, 50)


async def test_halves_that_a_version_before_left_apart_are_joined(
    exchange: Exchange, counting: Counting
) -> None:
    name, caller = "Local/204@from-queue-0000000a", exchange.uniqueid(AT)
    queued = {"lastapp": "Queue", "lastdata": "400", "dstchannel": f"{name};1"}
    exchange.leg(AT, caller, 60, 60, linkedid="", **queued)
    dialled = {"lastapp": "Dial", "channel": f"{name};2", "dstchannel": "SIP/204-1"}
    exchange.leg(AT, exchange.uniqueid(AT), 60, 50, linkedid="", **dialled)
    await counting.load()
    facts = "SELECT call, legs FROM ivr.call_facts"
    assert [tuple(r) for r in await fetch(counting.database, facts)] == [(caller, 2)]
    await fetch(counting.database, "UPDATE ivr.call_facts SET legs = 1")
    await fetch(counting.database, "UPDATE ivr.aggregated SET joins_locals = false")

    assert (await counting.load())["rebuilt"] == ["pbx"]

    assert [tuple(r) for r in await fetch(counting.database, facts)] == [(caller, 2)]
    assert (await counting.load())["rebuilt"] == []


async def test_no_statement_is_planned_for_each_leg_that_hangs_on_a_local_channel(
    exchange: Exchange, counting: Counting
) -> None:
    for number in range(30):
        name, caller = f"Local/204@from-queue-{number:08x}", exchange.uniqueid(AT)
        queued = {"lastapp": "Queue", "lastdata": "400", "dstchannel": f"{name};1"}
        exchange.leg(AT, caller, 60, 60, linkedid="", **queued)
        dialled = {"lastapp": "Dial", "channel": f"{name};2", "dstchannel": "SIP/204-1"}
        exchange.leg(AT, exchange.uniqueid(AT), 60, 50, linkedid="", **dialled)
    await counting.synced(exchange.pbx, sync)
    settings = Settings(source_url=exchange.pbx.url)
    feed = chosen_feed(settings, "calls")
    async with Aggregates.connected(counting.database, [feed], rules(settings)) as counted:
        connection = counted._connection
        await counted.begin(rebuild=True)
        await connection.execute("SET track_functions = 'all'")
        async with connection.transaction(isolation="repeatable_read"):
            while await counted.chunk(20_000):
                pass
            called = await connection.fetch(
                "SELECT funcname, calls FROM pg_stat_xact_user_functions"
                " WHERE schemaname LIKE 'pg_temp%'"
            )
    legs = await fetch(counting.database, "SELECT legs, count(*) FROM ivr.call_facts GROUP BY 1")
    assert [tuple(row) for row in legs] == [(2, 30)]
    # A function that PostgreSQL does not take into the statement plans its own anew; two ask once.
    assert dict(called) == {"local_roots": 2}


async def test_a_local_name_that_comes_again_after_its_call_joins_nothing(
    exchange: Exchange, counting: Counting
) -> None:
    name = "Local/204@from-queue-0000000a"
    caller = exchange.uniqueid(AT)
    queued = {"lastapp": "Queue", "lastdata": "400", "dstchannel": f"{name};1"}
    exchange.leg(AT, caller, 60, 60, linkedid="", **queued)
    later = AT + timedelta(seconds=63)
    dialled = {"lastapp": "Dial", "channel": f"{name};2", "dstchannel": "SIP/204-1"}
    exchange.leg(later, exchange.uniqueid(later), 60, 50, linkedid="", **dialled)

    await counting.load()

    found = await fetch(counting.database, "SELECT outcome, legs FROM ivr.call_facts ORDER BY 1")
    assert [tuple(row) for row in found] == [("answered", 1), ("ring", 1)]


async def test_the_first_leg_is_the_one_that_names_the_call(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.pbx.execute("ALTER TABLE cdr DROP sequence")
    common = {"linkedid": "1772442300.99", "lastapp": "Dial", "dstchannel": "PJSIP/201-1"}
    for uniqueid, context in (("1772442300.100", "from-internal"), ("1772442300.99", "from-trunk")):
        row = {"calldate": str(AT), "uniqueid": uniqueid, "dcontext": context, **common}
        exchange.pbx.insert({**row, "duration": 60, "billsec": 50, "disposition": "ANSWERED"})

    await counting.load()

    (fact,) = await fetch(counting.database, "SELECT direction FROM ivr.call_facts")
    assert fact["direction"] == "inbound"


async def test_a_call_is_counted_in_the_quarter_hour_in_which_it_began(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.queued(datetime(2026, 3, 2, 9, 14, 59), menu=10, wait=5, talk=2000)

    await counting.load()

    rows = await fetch(counting.database, "SELECT DISTINCT quarter FROM ivr.quarter_hours")
    assert [row["quarter"] for row in rows] == [datetime(2026, 3, 2, 9, tzinfo=UTC)]


async def test_a_visit_whose_beginning_was_never_loaded_is_counted_back_from_its_end(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.event(AT, "1.1", "400", "PJSIP/201", "COMPLETECALLER", 12, 90, 1)
    exchange.event(AT, "1.2", "400", "NONE", "ABANDON", 1, 1, 33)
    exchange.event(AT, "1.3", "400", "NONE", "ENTERQUEUE", "", "6", 1)

    await counting.load()

    rows = await fetch(
        counting.database,
        "SELECT callid, outcome, wait_seconds::float8, entered_at FROM ivr.queue_visits ORDER BY 1",
    )
    at = AT.replace(tzinfo=UTC)
    assert [tuple(row) for row in rows] == [
        ("1.1", "answered", 12, at - timedelta(seconds=102)),
        ("1.2", "abandoned", 33, at - timedelta(seconds=33)),
        ("1.3", "open", None, at),
    ]
    assert await counting.total("offered", "open", "calls_open") == (2, 1, 1)


async def test_a_caller_who_enters_one_queue_twice_has_two_visits(
    exchange: Exchange, counting: Counting
) -> None:
    for n, seconds in enumerate((0, 30)):
        at = AT + timedelta(seconds=seconds)
        exchange.event(at, "1.1", "400", "NONE", "ENTERQUEUE", "", "6", 1)
        what = ("ABANDON", 1, 1, 9) if n else ("EXITWITHKEY", "1", 1)
        exchange.event(at + timedelta(seconds=9), "1.1", "400", "NONE", *what)

    await counting.load()

    assert await counting.total("offered", "left_queue", "abandoned", "calls") == (2, 1, 1, 1)


async def test_events_of_the_repeated_hour_stand_with_their_calls(
    exchange: Exchange, counting: Counting
) -> None:
    for begun in (AT, AT + timedelta(hours=1)):  # 2026-10-25 02:05 in Madrid, twice
        at = datetime(2026, 10, 25, 2, 5)
        call = f"{int((begun - AT).total_seconds()) + 1792886700}.1"
        exchange.event(at + timedelta(seconds=5), call, "400", "NONE", "ENTERQUEUE", "", "6", 1)
        exchange.event(at + timedelta(seconds=9), call, "400", "PJSIP/201", "CONNECT", 4, "1", 2)
        exchange.event(at + timedelta(seconds=39), call, "400", "PJSIP/201", "COMPLETEAGENT", 4, 30)
        leg = {"linkedid": call, "dstchannel": "PJSIP/201-1", "lastapp": "Dial", "dst": "201"}
        exchange.leg(at + timedelta(seconds=5), f"{call}1", 34, 30, channel="Local/201;2", **leg)

    await counting.load(source_timezone="Europe/Madrid")

    assert await counting.talk() == {"201": (2, 60.0)}
    rows = await fetch(counting.database, "SELECT connected_at FROM ivr.queue_visits ORDER BY 1")
    assert [str(row[0]) for row in rows] == [
        "2026-10-25 00:05:09+00:00",
        "2026-10-25 01:05:09+00:00",
    ]


async def test_events_of_no_figure_and_garbage_in_them_do_no_harm(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.event(AT, "NONE", "NONE", "NONE", "QUEUESTART")
    exchange.event(AT, "", "", "", "", "")
    exchange.event(AT, "1.1", "400", "Ana García/x;'", "CONNECT", "soon", "1e9", "-5")
    exchange.event(AT, "1.1", "400", "", "COMPLETEAGENT", "99999999999999", "NaN")
    exchange.event(AT, "1.2", "400", "NONE", "DID", "911")

    await counting.load()

    found = await counting.queue()
    assert (found["answered"], found["talk_seconds"]) == (1, 0)  # both events in one second
    assert await counting.total("level_unknown") == (1,)


async def test_other_rules_make_all_figures_anew(exchange: Exchange, counting: Counting) -> None:
    exchange.queued(AT, menu=0, wait=15, talk=10)
    assert (await counting.load())["rebuilt"] == ["pbx"]
    assert (await counting.load())["rebuilt"] == []
    assert await counting.total("in_level") == (1,)

    assert (await counting.load(level_seconds=10))["rebuilt"] == ["pbx"]

    assert await counting.total("in_level") == (0,)


async def test_rows_that_an_earlier_version_loaded_are_found(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.queued(AT, talk=10)
    await counting.load()
    # What a replica does that takes no notes: rows, and their count in the watermark.
    await fetch(
        counting.database,
        "WITH one AS (INSERT INTO ivr.calls (source, uniqueid, started_at, position, content,"
        " ordinal) VALUES ('pbx', '7.7', '2026-03-02 09:00Z', 20260302090000,"
        " gen_random_uuid(), 1))"
        " UPDATE ivr.watermarks SET inserted = inserted + 1 WHERE table_name = 'cdr'",
    )

    assert (await counting.load())["rebuilt"] == ["pbx"]

    assert await counting.total("calls") == (2,)


async def test_a_run_stops_before_its_time_is_up_and_the_next_goes_on(
    exchange: Exchange,
    counting: Counting,
    context: Callable[..., RecordedRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for n in range(30):
        exchange.queued(AT + timedelta(hours=n), talk=10)
    monkeypatch.setattr("sereno_etl_ivr.aggregate._CHUNK", 1)
    await counting.synced(exchange.pbx, sync)
    run = context(exchange.pbx.url, aggregate, tables=QUEUES)
    run.deadline = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([run.deadline - timedelta(hours=1)] * 3)
    run.clock = lambda: next(times, run.deadline)

    first = await aggregate.function(run)

    assert (first["partial"], first["chunks"], first["rebuilt"]) == (True, 3, ["pbx"])
    assert first["waiting"] > 0
    second = await counting.synced(exchange.pbx, aggregate, tables=QUEUES)
    assert (second["partial"], second["rebuilt"], second["waiting"]) == (False, [], 0)
    assert await counting.total("calls") == (30,)


async def test_a_chunk_that_fails_is_made_by_the_next_run(
    exchange: Exchange, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.queued(AT, talk=10)
    await counting.load()
    exchange.queued(AT, talk=10)
    monkeypatch.setattr(aggregates, "_STEPS", (*aggregates._STEPS, "take"))  # lacks its arguments
    with pytest.raises(TargetError):
        await counting.load()
    monkeypatch.undo()

    assert (await counting.load())["rebuilt"] == []

    assert await counting.total("calls") == (2,)


async def test_only_one_run_aggregates_at_a_time(exchange: Exchange, counting: Counting) -> None:
    url = counting.database
    chosen = [chosen_feed(Settings(), "calls")]
    async with Aggregates.connected(url, chosen, rules(Settings())) as other:
        assert await other.lock()
        settings = {"tables": {}, "aggregate": "every 1h"}
        assert (await counting.synced(exchange.pbx, aggregate, **settings))["skipped"]


async def test_nothing_is_noted_where_nothing_is_aggregated(
    exchange: Exchange, counting: Counting
) -> None:
    exchange.queued(AT, talk=10)
    await counting.synced(exchange.pbx, sync, aggregate="")
    assert await fetch(counting.database, "SELECT FROM ivr.touched") == []

    await counting.load()

    assert await counting.total("calls") == (1,)


async def test_facts_of_a_version_before_are_told_whom_the_call_was_for(
    exchange: Exchange, counting: Counting
) -> None:
    row = {
        "calldate": AT,
        "src": "201",
        "dst": "600111001",
        "dcontext": "from-internal",
        "channel": "PJSIP/201-00000001",
        "dstchannel": "PJSIP/trunk-00000002",
        "lastapp": "Dial",
        "duration": 60,
        "billsec": 50,
        "disposition": "ANSWERED",
        "uniqueid": "1772442300.1",
        "linkedid": "1772442300.1",
    }
    exchange.pbx.insert(row)
    await counting.load()
    told = "SELECT callee, xmin::text FROM ivr.call_facts WHERE direction = 'outbound'"
    ((callee, _),) = await fetch(counting.database, told)
    assert callee == "600111001"
    await fetch(counting.database, "UPDATE ivr.call_facts SET callee = NULL RETURNING 1")
    await counting.load()
    ((callee, made),) = await fetch(counting.database, told)
    assert callee == "600111001"
    await counting.load()
    assert [tuple(r) for r in await fetch(counting.database, told)] == [(callee, made)]
