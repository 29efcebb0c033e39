"""What PostgreSQL holds and Python cannot costs its own row alone: the cluster goes on."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sereno import RunContext, every, job
from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT, LONGEST
from sereno.model.errors import StoreError
from sereno.model.stored_json import Unreadable
from sereno.store.migrator import migrate
from sereno.store.pool import Database

from ..servers.postgres import PostgresServer
from .cli_scene import Scene as CliScene
from .http_scene import served
from .node import LONG_LEASE, Eye, looking, running
from .odd_values import BYTES, STRATEGIES, plant

Run = RunContext[dict[str, Any]]


def nested(levels: int) -> str:
    """Return JSON of so many lists in one another."""
    return "[" * levels + "]" * levels


@pytest.fixture
async def db(database: str) -> Any:
    found = Database(database, size=2)
    await found.open()
    yield found
    await found.close()


async def read(db: Database, expression: str) -> Any:
    async with db.connection() as connection:
        return await connection.fetchval(f"SELECT {expression}")


# --- one value --------------------------------------------------------------------------------

INSTANTS = [
    ("'infinity'", LAST_INSTANT),
    ("'-infinity'", FIRST_INSTANT),
    ("'294276-12-31T23:59:59.999999Z'", LAST_INSTANT),
    ("'9999-12-31T23:59:59.999999Z'", LAST_INSTANT),
    ("'4713-01-01T00:00:00Z BC'", FIRST_INSTANT),
    ("'0001-01-01T00:00:00Z'", FIRST_INSTANT),
    ("'1999-12-31T23:59:59.999999Z'", datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ("'2026-07-01T08:00:00.000001+02'", datetime(2026, 7, 1, 6, 0, 0, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "instant"), INSTANTS)
async def test_any_instant_is_read_as_one_that_every_zone_can_show(
    db: Database, text: str, instant: datetime
) -> None:
    found = await read(db, f"{text}::timestamptz")
    assert found == instant
    assert [found.astimezone(zone) for zone in ZONES]
    assert await read(db, f"ARRAY[{text}, NULL]::timestamptz[]") == [instant, None]


ZONES = [UTC, *(datetime.strptime(z, "%z").tzinfo for z in ("+1400", "-1200"))]


async def test_what_stands_for_the_infinities_is_written_as_them(db: Database) -> None:
    async with db.connection() as connection:
        for instant, text in ((LAST_INSTANT, "infinity"), (FIRST_INSTANT, "-infinity")):
            assert await connection.fetchval("SELECT $1::timestamptz::text", instant) == text


DURATIONS = [
    ("'178000000 years'", LONGEST),
    ("'-178000000 years'", -LONGEST),
    ("make_interval(secs => 9e12)", timedelta(seconds=9e12)),
    ("'1 year 2 months -3 days 4.5 s'", timedelta(days=365 + 60 - 3, seconds=4.5)),
    ("'-1 year -2 months'", -timedelta(days=365 + 60)),
    ("'-0.000001 s'", -timedelta(microseconds=1)),
]


@pytest.mark.parametrize(("text", "duration"), DURATIONS)
async def test_any_interval_is_read_as_a_duration(
    db: Database, text: str, duration: timedelta
) -> None:
    assert await read(db, f"{text}::interval") == duration


@pytest.mark.every_postgres
async def test_the_longest_interval_that_there_is_is_read(
    db: Database, postgres_version: int
) -> None:
    text = "'infinity'" if postgres_version >= 17 else "make_interval(months => 2147483647)"
    assert await read(db, f"{text}::interval") == LONGEST


UNREADABLE = [
    (nested(1_000), "is more than 510 levels deep"),
    (nested(520), "is more than 510 levels deep"),
    (nested(5_000), "is more than 510 levels deep"),
    ("1" + "0" * 5_000, "cannot be held by Python: Integer value out of range"),
    ("1" + "0" * 400 + ".5", "cannot be held by Python: Number out of range"),
    (f'["{"x" * 16_000_001}"]', "is of 16,000,005 bytes, at most 16,000,000 are read"),
]


@pytest.mark.parametrize(("text", "why"), UNREADABLE, ids=range(len(UNREADABLE)))
async def test_json_that_python_cannot_hold_is_read_as_an_object_that_says_why(
    db: Database, text: str, why: str
) -> None:
    async with db.connection() as connection:
        found = await connection.fetchval("SELECT $1::text::jsonb", text)
    assert isinstance(found, Unreadable)
    assert (found.why[: len(why)], found) == (why, {"unreadable": f"this JSON {found.why}"})


async def test_json_that_python_can_hold_is_read_as_it_is(db: Database) -> None:
    wide = "[" + ",".join(["[]"] * 2_000) + "]"
    for text in (wide, nested(510), '{"n": 123456789012345678901234567890}', '"[[[[\\u00e9"'):
        async with db.connection() as connection:
            found = await connection.fetchval("SELECT $1::text::jsonb", text)
        assert not isinstance(found, Unreadable)


# --- one row ----------------------------------------------------------------------------------


@job("t.plain")
async def plain(run: Run) -> dict[str, Any]:
    return run.params


async def _queue(eye: Eye, params: str, *, run_at: str = "now()") -> int:
    """Write a run as a version did that looked at less."""
    found = await eye.value(
        "INSERT INTO sereno.run (job, cause, params, run_at) VALUES ('t.plain', 'program',"
        " $1::text::jsonb, $2::text::timestamptz) RETURNING id",
        params,
        run_at,
    )
    return int(found)


@pytest.mark.parametrize("run_at", ["infinity", "294276-12-31T00:00:00Z"])
async def test_a_run_for_an_instant_that_never_comes_waits_alone(
    database: str, eye: Eye, run_at: str
) -> None:
    async with running(database, plain, lease=LONG_LEASE) as node:
        term = await node.leads()
        odd = await _queue(eye, "{}", run_at=run_at)
        for _ in range(2):  # each makes the leader look at what comes next
            assert (await eye.ran("t.plain"))["state"] == "succeeded"
        scene = CliScene(database)
        listed = await asyncio.to_thread(scene.json, "runs")
        assert (node.status.term, node.fault) == (term, None)
        assert [r["run_at"] for r in listed if r["run"] == odd] == ["9999-12-30T23:59:59.999999Z"]
        shown = await asyncio.to_thread(scene.call, "show", str(odd))
        assert (shown.exit_code, "9999-12-3" in shown.output) == (0, True)
        assert (await asyncio.to_thread(scene.call, "cancel", str(odd))).exit_code == 0
    assert await eye.value("SELECT state FROM sereno.run WHERE id = $1", odd) == "cancelled"


async def test_a_run_for_an_instant_before_all_others_is_due(database: str, eye: Eye) -> None:
    async with running(database, plain) as node:
        await node.leads()
        odd = await _queue(eye, "{}", run_at="-infinity")
        assert (await eye.over(odd))["state"] == "succeeded"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (nested(1_000), "its params cannot be read: the JSON is a list, it must be an object"),
        (f'{{"a": {nested(1_000)}}}', "its params cannot be read: the JSON is more than 510"),
        ('{"a": 1e5000}', "its params cannot be read: the JSON cannot be held by Python"),
        ('"text"', "its params cannot be read: the JSON is a str, it must be an object"),
    ],
    ids=["list", "deep", "large", "text"],
)
async def test_params_that_cannot_be_read_fail_their_run_and_no_other_of_the_batch(
    database: str, eye: Eye, params: str, why: str
) -> None:
    async with running(database, plain, lease=LONG_LEASE) as node:
        term = await node.leads()
        async with eye.connection.transaction():
            runs = [await _queue(eye, p) for p in ('{"n": 1}', params, '{"n": 2}')]
            await eye.value("SELECT pg_notify('sereno', 'run')")
        good, odd, last = [await eye.over(run) for run in runs]
        assert (good["state"], last["state"], odd["state"]) == ("succeeded", "succeeded", "failed")
        assert odd["error"].removeprefix(f"run {odd['id']}: ")[: len(why)] == why[:70] or (
            "the JSON is more than 510 levels deep" in odd["error"]
        )
        assert (node.status.term, node.fault) == (term, None)
        scene = CliScene(database)
        for command in ("show", str(odd["id"])), ("show", str(odd["id"]), "--json"), ("runs",):
            assert (await asyncio.to_thread(scene.call, *command)).exit_code == 0


async def test_a_run_with_the_greatest_attempt_number_is_claimed(database: str, eye: Eye) -> None:
    odd = await _queue(eye, "{}")
    await eye.value("UPDATE sereno.run SET attempt = 2147483647, losses = 2147483647")
    async with running(database, plain) as node:
        await node.leads()
        assert (await eye.over(odd))["state"] == "succeeded"


async def test_slots_whose_params_cannot_be_read_are_missed_and_say_why(
    database: str, eye: Eye
) -> None:
    @job("t.slots", schedule=every("250ms"))
    async def slots(run: Run) -> None: ...

    async with running(database, slots) as node:
        await node.leads()
        await eye.until("SELECT count(*) > 0 FROM sereno.slot")
        await eye.value(
            "UPDATE sereno.schedule_version SET params = $1::text::jsonb", nested(1_000)
        )
        await eye.value("SELECT pg_notify('sereno', 'schedule')")
        reason = await eye.until("SELECT max(reason) FROM sereno.slot WHERE verdict = 'missed'")
        assert reason.startswith("its params cannot be read: the JSON is ")
        await eye.value("UPDATE sereno.schedule_version SET params = '{}'")
        await eye.value("SELECT pg_notify('sereno', 'schedule')")
        await eye.until(
            "SELECT count(*) > 0 FROM sereno.slot WHERE verdict = 'ran'"
            " AND slot > (SELECT max(slot) FROM sereno.slot WHERE verdict = 'missed')"
        )


@pytest.mark.parametrize("levels", [400, 500])
async def test_a_deep_result_is_kept_shown_and_handed_on(
    database: str, eye: Eye, levels: int
) -> None:
    @job("t.deep")
    async def deep(run: Run) -> Any:
        found: list[Any] = []
        for _ in range(levels - 1):
            found = [found]
        return found

    @job("t.after", after="t.deep")
    async def after(run: Run) -> int:
        return len(run.upstream)

    async with running(database, deep, after):
        row = await eye.ran("t.deep")
        await eye.until(
            "SELECT result = '1' FROM sereno.run WHERE job = 't.after' AND state <> 'queued'"
        )
        assert row["result"].replace(" ", "") == nested(levels)
        scene = CliScene(database)
        for command in ((), ("--json",)):
            shown = await asyncio.to_thread(scene.call, "show", str(row["id"]), *command)
            assert (shown.exit_code, shown.output.count("[") >= levels) == (0, True)
        async with served(database, token="t" * 20) as (client, _):
            found = await client.get(
                f"/runs/{row['id']}", headers={"Authorization": f"Bearer {'t' * 20}"}
            )
            told = re.sub(r'"tags":\s*\[\]', "", found.text)
            assert (found.status_code, told.count("[")) == (200, levels)


async def test_a_result_that_no_reader_could_hold_is_not_kept_and_says_so(
    database: str, eye: Eye
) -> None:
    @job("t.deep")
    async def deep(run: Run) -> Any:
        found: list[Any] = []
        for _ in range(600):
            found = [found]
        return found

    async with running(database, deep):
        row = await eye.ran("t.deep")
    assert (row["state"], row["result"]) == ("succeeded", None)
    assert row["error"].startswith("its result was not kept: it is more than 500 levels deep")


# --- any value in any column ------------------------------------------------------------------


@given(data=st.data())
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_a_row_holds_the_cluster_goes_on(database: str, data: st.DataObject) -> None:
    asyncio.run(_goes_on(database, data))


@pytest.fixture
def of_bytes(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the DSN of a migrated database that keeps bytes as they come."""
    provider = "LOCALE_PROVIDER libc" if postgres_server.version >= 15 else ""
    postgres_server.execute(
        "CREATE DATABASE of_bytes ENCODING 'SQL_ASCII' TEMPLATE template0"
        f" LC_COLLATE 'C' LC_CTYPE 'C' {provider}"
    )
    try:
        asyncio.run(migrate(postgres_server.dsn("of_bytes")))
        yield postgres_server.dsn("of_bytes")
    finally:
        postgres_server.execute("DROP DATABASE of_bytes WITH (FORCE)")


@given(data=st.data())
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_bytes_a_text_holds_the_cluster_goes_on(
    of_bytes: str, data: st.DataObject
) -> None:
    asyncio.run(_goes_on(of_bytes, data, BYTES))


async def test_a_byte_that_is_no_letter_is_read_as_the_sign_for_one(of_bytes: str) -> None:
    found = Database(of_bytes, size=1)
    await found.open()
    try:
        odd = r"convert_from('\xff41c3b1', 'SQL_ASCII')"
        assert await read(found, odd) == "\ufffdA\u00f1"
        assert await read(found, f"ARRAY[{odd}, 'b']") == ["\ufffdA\u00f1", "b"]
        assert isinstance(await read(found, f"jsonb_build_object('a', {odd})"), Unreadable)
        async with found.connection() as connection:
            for value in ("\u00f1\u20ac\U0001f600", ["\u20ac", None]):
                kind = "text" if isinstance(value, str) else "text[]"
                assert await connection.fetchval(f"SELECT $1::{kind}", value) == value
        with pytest.raises(StoreError, match="can't decode byte 0xff"):
            async with found.connection() as connection:
                await connection.execute(f"DO $$ BEGIN RAISE '%', {odd}; END $$")
        assert await read(found, "1") == 1
    finally:
        await found.close()


async def _goes_on(
    database: str,
    data: st.DataObject,
    strategies: Mapping[str, st.SearchStrategy[str]] = STRATEGIES,
) -> None:
    @job("t.healthy", schedule=every("250ms"))
    async def healthy(run: Run) -> None: ...

    @job("t.odd", after="t.nothing")
    async def odd(run: Run) -> None: ...

    @job("t.nothing")
    async def nothing(run: Run) -> None: ...

    async with looking(database) as eye:
        number = await eye.value("SELECT count(*) FROM sereno.schedule")
        async with running(database, healthy, odd, nothing, lease=LONG_LEASE) as node:
            term = await node.leads()
            await eye.ran("t.healthy")
            async with eye.connection.transaction():  # none is seen before all are there
                taken = await plant(eye.connection, data.draw, number, strategies)
                assert taken > 30 * len(strategies) / 2
            await eye.value("SELECT pg_notify('sereno', 'schedule')")
            await _works_on(eye)
            assert (node.status.term, node.status.leading, node.fault) == (term, True, None)
            scene = CliScene(database)
            for command in await _commands(eye):
                result = await asyncio.to_thread(scene.call, *command)
                over = command[0] == "cancel" and "is over already" in result.output  # it has begun
                assert result.exit_code == 0 or over, (command, result.output)
            await _pages(database)
        # And it can be led anew.
        async with running(database, healthy, odd, nothing, lease=LONG_LEASE) as node:
            await _works_on(eye)
            assert (node.status.leading, node.fault) == (True, None)


async def _works_on(eye: Eye) -> None:
    """Return once the healthy job was run from the queue, and twice for new slots."""
    now = await eye.value("SELECT clock_timestamp()")
    assert (await eye.ran("t.healthy"))["state"] == "succeeded"
    await eye.until(
        "SELECT count(*) > 1 FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id"
        " WHERE s.slot > $1 AND s.verdict = 'ran' AND r.job = 't.healthy'"
        " AND r.state = 'succeeded'",
        now,
    )


async def _commands(eye: Eye) -> list[tuple[str, ...]]:
    runs = await eye.rows(
        "SELECT id::text FROM sereno.run WHERE job <> 't.healthy' ORDER BY id DESC LIMIT 7"
    )
    shown = [("show", run, *more) for (run,) in runs for more in ((), ("--json",))]
    listed = [
        ("jobs",),
        ("jobs", "--all"),
        ("runs", "--limit", "500"),
        ("schedule", "list"),
        ("cluster",),
        ("audit", "--limit", "9999"),
    ]
    cancelled = await eye.rows(
        "SELECT id::text FROM sereno.run WHERE job = 't.odd' AND state = 'queued' LIMIT 1"
    )
    return [
        *shown,
        *listed,
        *((*c, "--json") for c in listed),
        *(("cancel", r) for (r,) in cancelled),
    ]


async def _pages(database: str) -> None:
    async with served(database) as (client, _):
        for path in ("/health", "/health/tasks", "/metrics"):
            answer = await client.get(path)
            assert (answer.status_code, "t.healthy" in answer.text) == (200, True), answer.text


# --- what statements over all rows make of one --------------------------------------------------

SAID = [
    ("PT60S", timedelta(minutes=1)),
    ("PT99999999999S", timedelta(seconds=99_999_999_999)),
    ("P2DT3600.5S", timedelta(days=2, seconds=3600.5)),
    ("P9999999D", timedelta(days=9_999_999)),
    *((said, None) for said in ("", "P", "PT", "PTS", "PT S", "P1X", "-PT5S", "PT1e9S", "5 min")),
    *((said, None) for said in ("PT999999999999S", "P99999999D", "P1DT", "PT1.S", "PT\n1S")),
]


@pytest.mark.parametrize(("said", "duration"), SAID)
async def test_a_policy_that_is_no_duration_is_none_and_no_error(
    db: Database, said: str, duration: timedelta | None
) -> None:
    async with db.connection() as connection:
        assert await connection.fetchval("SELECT sereno.duration($1)", said) == duration
        policies = {"grace": said, "priority": said}
        assert await connection.fetchval("SELECT sereno.grace($1)", policies) == duration
        assert await connection.fetchval("SELECT sereno.priority($1)", policies) is None


@pytest.mark.parametrize(
    ("priority", "found"),
    [(5, 5), (-32768, -32768), (32768, None), (1.5, None), ("7", 7), (None, None), (10**30, None)],
)
async def test_a_priority_that_no_run_can_have_is_none(
    db: Database, priority: object, found: int | None
) -> None:
    async with db.connection() as connection:
        policies = {"priority": priority}
        assert await connection.fetchval("SELECT sereno.priority($1)", policies) == found


async def test_counters_at_their_end_keep_no_slot_from_its_verdict_and_no_run_from_its_end(
    database: str, eye: Eye
) -> None:
    counters = "succeeded failed timed_out cancelled lost retried late coalesced skipped missed"
    full = ", ".join(f"{name} = 9223372036854775807" for name in counters.split())

    @job("t.tick", schedule=every("200ms"), catch_up="all", overlap="allow")
    async def tick(run: Run) -> None: ...

    async with running(database, tick, lease=LONG_LEASE) as node:
        await node.finished("t.tick")
        await eye.value(f"UPDATE sereno.job_stat SET {full} WHERE job = 't.tick'")
        now = await eye.value("SELECT clock_timestamp()")
        await eye.until(
            "SELECT count(*) > 3 FROM sereno.run WHERE slot > $1 AND state = 'succeeded'", now
        )
        assert node.status.leading
    # Where the last that is written is a run that is given back, it is the limit itself.
    assert await eye.value("SELECT succeeded >= 1::bigint << 62 FROM sereno.job_stat")
