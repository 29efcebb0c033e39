"""What no reader could hold is refused at the door, in SQL and in Python, with a sentence; and who
may only call is recorded as who it is."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from msgspec import Meta

from sereno.model.errors import DeclarationError, ParamsError
from sereno.model.params_rule import is_same, params_rule
from sereno.store import queue, schedules
from sereno.store.migration import migrations
from sereno.store.run_request import run_request

from .scene import NODE, Scene, connected, declared_job, job_named, named, opened


class Limited(msgspec.Struct):
    """Params with each kind of limit."""

    n: Annotated[int, Meta(ge=1, le=9)] = 1
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    step: Annotated[int, Meta(multiple_of=5)] = 5
    name: Annotated[str, Meta(min_length=2, max_length=4)] = "ab"
    code: Annotated[str, Meta(pattern=r"^[a-z]+-\d{2}$")] = "a-01"
    kind: Literal["in", "out"] | None = "in"
    tags: Annotated[list[str], Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: ["x"]
    )
    note: Annotated[str, Meta(max_length=3)] | None = None
    odd: Annotated[str, Meta(pattern=r"(?i)^x")] = "x"


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("shop.mail", declared_job("shop.limited", params=Limited))
        yield found


def nested(levels: int) -> str:
    """Return a JSON object with so many levels in it, itself one of them."""
    return '{"a": ' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


async def refused(scene: Scene, arguments: str, *args: Any) -> str:
    """Return with which sentence both functions refuse."""
    one, many = arguments, arguments.replace("$1::text::jsonb", "ARRAY['{}', $1::text::jsonb]")
    found = []
    for function, said in (("enqueue", one), ("enqueue_many", many)):
        with pytest.raises(asyncpg.PostgresError) as error:
            await scene.eye.fetch(f"SELECT sereno.{function}({said})", *args)
        found.append(str(error.value))
    assert found[1].replace("params 2: ", "") == found[0]
    assert await scene.value("SELECT count(*) FROM sereno.run") == 0
    return found[0]


# --- what no run can have ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "run_at",
    ["infinity", "-infinity", "10000-01-01", "9999-12-31T23:59:59.999999Z", "0044-03-15 BC"],
)
async def test_an_instant_that_python_cannot_hold_is_refused(scene: Scene, run_at: str) -> None:
    said = f"'shop.mail', $1::text::jsonb, run_at => '{run_at}'"
    sentence = await refused(scene, said, "{}")
    assert sentence.startswith("job 'shop.mail': run_at is ")
    assert "it must lie in the years 1 to 9999" in sentence


async def test_the_last_instants_that_may_be_are_taken_and_read_as_they_are(scene: Scene) -> None:
    for run_at in ("9999-12-30T23:59:59.999998Z", "0001-01-02T00:00:00.000001Z"):
        await scene.value(f"SELECT sereno.enqueue('shop.mail', run_at => '{run_at}')")
    found = await scene.db.fetch("view_runs_of", [1, 2])
    assert [r["run_at"].isoformat() for r in found] == [
        "0001-01-02T00:00:00.000001+00:00",
        "9999-12-30T23:59:59.999998+00:00",
    ]


BAD_JSON = [
    (nested(101), "params are more than 100 levels deep"),
    (nested(3_000), "params are more than 100 levels deep"),
    ('{"a": 1e400}', "params hold a number beyond 1.8e308"),
    ('{"a": [{"b": -1e5000}]}', "params hold a number beyond 1.8e308"),
    ('{"a": "' + "é" * 500_000 + '"}', "params are of 1000009 bytes"),
]


@pytest.mark.parametrize(("params", "sentence"), BAD_JSON, ids=range(len(BAD_JSON)))
async def test_params_that_no_reader_could_hold_are_refused(
    scene: Scene, params: str, sentence: str
) -> None:
    found = await refused(scene, "'shop.mail', $1::text::jsonb", params)
    assert found.startswith(f"job 'shop.mail': {sentence}")


async def test_the_deepest_and_largest_params_are_taken_and_can_be_read(scene: Scene) -> None:
    taken = [nested(100), '{"a": 1.7976931348623157e308}', '{"a": "' + "x" * 999_990 + '"}']
    for params in taken:
        await scene.value("SELECT sereno.enqueue('shop.mail', $1::text::jsonb)", params)
    rows = await scene.db.fetch("runs_claim", scene.term, NODE, [1, 2, 3], False)
    assert [set(r["params"]) for r in rows] == [{"a"}] * 3


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("priority => 32768", "job 'shop.mail': priority is 32768, it must be from -32768 to"),
        ("cause => 'whim'", "job 'shop.mail': cause is 'whim', it must be person, program, chain"),
    ],
)
async def test_a_priority_or_cause_that_there_is_not_is_told(
    scene: Scene, said: str, sentence: str
) -> None:
    found = await refused(scene, f"'shop.mail', $1::text::jsonb, {said}", "{}")
    assert found.startswith(sentence)


async def test_nulls_are_what_is_left_out(scene: Scene) -> None:
    await scene.value(
        "SELECT sereno.enqueue('shop.mail', '{}', NULL, NULL, NULL, NULL, NULL, NULL)"
    )
    rows = "SELECT cause, priority, requested_by, unique_key FROM sereno.run"
    assert await scene.rows(rows) == [("program", 0, "postgres", None)]
    for call, sentence in (
        ("enqueue(NULL)", "unknown job '<NULL>'"),
        ("enqueue('shop.mail', NULL)", "params are a JSON null, they must be an object"),
        ("enqueue_many('shop.mail', NULL)", "params are null, they must be an array of objects"),
    ):
        with pytest.raises(asyncpg.PostgresError, match=sentence):
            await scene.value(f"SELECT sereno.{call}")


@pytest.mark.parametrize("name", ["😀", "a/b", "\x1b[2J", "%_%", "x" * 1_000_000])
async def test_a_job_of_an_odd_name_is_unknown_and_the_sentence_is_short(
    scene: Scene, name: str
) -> None:
    with pytest.raises(asyncpg.NoDataFoundError) as error:
        await scene.value("SELECT sereno.enqueue($1)", name)
    assert str(error.value) == f"unknown job '{name[:200]}'"


# --- the doors of Python ----------------------------------------------------------------------

LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"run_at": LAST}, "run_at is 9999-12-31 23:59:59.999999+00:00, it must lie in the years"),
        ({"run_at": LAST.replace(tzinfo=None)}, "it must carry a time zone"),
        ({"priority": 40_000}, "priority is 40000, it must be from -32768 to 32767"),
        ({"params": json.loads(nested(101))}, "params are more than 100 levels deep"),
        ({"params": {"a": 10**309}}, "params hold a number beyond 1.8e308"),
        ({"params": {"a": "\0"}}, "params hold U+0000, which PostgreSQL cannot keep"),
        ({"params": {"a": "\ud800"}}, "params cannot be written as JSON: 'utf-8' codec"),
        ({"params": {"a": object()}}, "params cannot be written as JSON: Encoding objects"),
        ({"params": {"a": "x" * 1_000_000}}, "params are of 1000008 bytes, they may be of"),
    ],
    ids=range(9),
)
async def test_python_is_told_the_same(scene: Scene, said: dict[str, Any], sentence: str) -> None:
    params = said.pop("params", {})
    with pytest.raises(ParamsError) as error:
        await queue.enqueue(scene.db, "shop.mail", params, requested_by="me", **said)
    assert sentence in str(error.value)
    with pytest.raises(ParamsError) as error:
        run_request("shop.mail", params, requested_by="me", **said)
    assert sentence in str(error.value)
    assert await scene.value("SELECT count(*) FROM sereno.run") == 0


async def test_a_pause_or_window_that_no_zone_could_show_is_refused(scene: Scene) -> None:
    await scene.declare("shop.mail", named("shop.mail"))
    with pytest.raises(DeclarationError, match="pause: until is 9999-12-31 23:59:59"):
        await schedules.pause(scene.db, "shop.mail", by="ann", until=LAST)
    for field in ("starts_at", "ends_at"):
        with pytest.raises(DeclarationError, match="is 9999-12-31 23:59:59"):
            await schedules.override(
                scene.db, "shop.mail", {field: LAST.isoformat()}, jobs=job_named, by="ann"
            )
    assert await scene.value("SELECT state FROM sereno.schedule") == "active"


# --- limits of a Struct -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"n": 0}, "'n' is 0, it must be at least 1"),
        ({"n": 10}, "'n' is 10, it must be at most 9"),
        ({"n": 1.5}, "'n' is 1.5, it must be a whole number"),
        ({"share": 0}, "'share' is 0, it must be more than 0"),
        ({"share": 1.0}, "'share' is 1.0, it must be less than 1"),
        ({"step": 7}, "'step' is 7, it must be a multiple of 5"),
        ({"name": "é"}, "'name' is of length 1, it must be of 2 at least"),
        ({"name": "abcde"}, "'name' is of length 5, it must be of 4 at most"),
        ({"code": "A-01"}, "'code' is \"A-01\", it must match ^[a-z]+-\\d{2}$"),
        ({"kind": "up"}, '\'kind\' is "up", it must be one of ["in", "out", null]'),
        ({"tags": []}, "'tags' is of length 0, it must be of 1 at least"),
        ({"note": "long"}, "'note' is of length 4, it must be of 3 at most"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_breaks_a_limit_of_the_struct_is_refused(
    scene: Scene, params: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ParamsError):  # as Python itself sees it
        declared_job("shop.limited", params=Limited).job.checked_params(params)
    sentence = await refused(scene, "'shop.limited', $1::text::jsonb", json.dumps(params))
    assert sentence == f"job 'shop.limited': param {fault}"


@pytest.mark.parametrize(
    "params",
    [
        {"n": 1, "share": 0.01, "step": -10, "name": "éé", "code": "ab-42", "tags": ["a", "b"]},
        {"n": 9.0, "kind": None, "note": None},
        {"code": "ä-01"},  # the two kinds of patterns need not agree: the run looks at it itself
        {"odd": "Xyz"},
    ],
    ids=range(4),
)
async def test_what_keeps_the_limits_is_taken(scene: Scene, params: dict[str, Any]) -> None:
    assert await scene.enqueue("shop.limited", **params)


async def test_a_rule_that_a_replica_of_the_version_before_registers_goes_on_to_hold(
    scene: Scene,
) -> None:
    old = {"n": {"type": "number", "required": True}, "kind": {"type": None, "required": False}}
    await scene.eye.execute(
        "UPDATE sereno.job SET params = $1::text::jsonb WHERE name = 'shop.limited'",
        json.dumps(old),
    )
    assert await scene.enqueue("shop.limited", n=99, kind="up")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="it must be a number"):
        await scene.enqueue("shop.limited", n="x")


@pytest.mark.parametrize(
    ("pattern", "same"),
    [
        (r"^[\w.-]+@[\w-]+\.[a-z]{2,}$", True),
        (r"^(?:a|b)?c+?$", True),
        (r"^[^,]*$", True),
        (r"(?i)a", False),
        (r"a(?=b)", False),
        (r"\bword\b", False),
        (r"a*+", False),
        (r"x{,3}", False),
        (r"[[:alpha:]]", False),
        (r"(a)\1", False),
        (r"^ä$", False),
        (r"***=x", False),
    ],
)
def test_only_patterns_that_mean_the_same_to_both_are_checked_in_sql(
    pattern: str, same: bool
) -> None:
    assert is_same(pattern) is same


def test_a_param_of_several_types_has_no_limits() -> None:
    class Either(msgspec.Struct):
        a: Annotated[int, Meta(ge=1)] | Annotated[str, Meta(max_length=2)]
        b: Literal[1, 2] = 1

    assert params_rule(Either) == {
        "a": {"type": None, "required": True},
        "b": {"type": None, "required": False},
    }


# --- rights -----------------------------------------------------------------------------------

CALLER = """
GRANT USAGE ON SCHEMA sereno TO {role};
GRANT EXECUTE ON FUNCTION sereno.enqueue, sereno.enqueue_many TO {role};
"""


@asynccontextmanager
async def calling(scene: Scene, dsn: str, grants: str = CALLER) -> AsyncIterator[Any]:
    """Give a connection of a role of its own, with these rights and no others."""
    role = f"caller_{urlsplit(dsn).path[1:]}"
    await scene.eye.execute(f"CREATE ROLE {role} LOGIN; {grants.format(role=role)}")
    try:
        async with connected(dsn.replace("postgres@", f"{role}@", 1)) as connection:
            yield connection
    finally:
        await scene.eye.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_execute_is_all_that_a_caller_needs(scene: Scene, database: str) -> None:
    async with calling(scene, database) as caller:
        first = await caller.fetchval("SELECT sereno.enqueue('shop.mail', unique_key => 'k')")
        assert (
            await caller.fetchval("SELECT sereno.enqueue('shop.mail', unique_key => 'k')") == first
        )
        many = "SELECT sereno.enqueue_many('shop.mail', ARRAY['{}', '{}']::jsonb[])"
        assert len(await caller.fetch(many)) == 2
        for statement in (
            "SELECT * FROM sereno.run",
            "SELECT * FROM sereno.job",
            "INSERT INTO sereno.run (job, cause) VALUES ('shop.mail', 'slot')",
            "SELECT sereno.prune('1 day', 0)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await caller.execute(statement)
    role = f"caller_{urlsplit(database).path[1:]}"
    rows = "SELECT DISTINCT cause, requested_by FROM sereno.run"
    assert await scene.rows(rows) == [("program", role)]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("requested_by => 'ann'", "requested_by"),
        ("requested_by => ''", "requested_by"),
        ("cause => 'person'", "the cause"),
        ("cause => 'slot'", "the cause"),
        ("cause => 'chain', requested_by => session_user", "the cause"),
    ],
)
async def test_a_caller_cannot_say_that_another_has_asked(
    scene: Scene, database: str, said: str, what: str
) -> None:
    role = f"caller_{urlsplit(database).path[1:]}"
    async with calling(scene, database) as caller:
        for call in (
            f"sereno.enqueue('shop.mail', {said})",
            f"sereno.enqueue_many('shop.mail', ARRAY['{{}}']::jsonb[], {said})",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError) as error:
                await caller.fetch(f"SELECT {call}")
            assert str(error.value) == (
                f"job 'shop.mail': role '{role}' may not say {what} of a run, it is asked for by"
                " that role; leave it out"
            )
        own = "SELECT sereno.enqueue('shop.mail', cause => 'program', requested_by => session_user)"
        assert await caller.fetchval(own)
    assert await scene.rows("SELECT cause, requested_by FROM sereno.run") == [("program", role)]


async def test_a_reader_of_the_schema_is_no_caller(scene: Scene, database: str) -> None:
    grants = (
        "GRANT USAGE ON SCHEMA sereno TO {role};"
        "GRANT SELECT ON ALL TABLES IN SCHEMA sereno TO {role};"
    )
    async with calling(scene, database, grants) as reader:
        for call in ("enqueue('shop.mail')", "enqueue_many('shop.mail', ARRAY['{}']::jsonb[])"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for f"):
                await reader.fetch(f"SELECT sereno.{call}")


async def test_who_may_write_runs_may_speak_for_others_also_as_another_role(
    scene: Scene, database: str
) -> None:
    grants = CALLER + "GRANT INSERT ON sereno.run TO {role};"
    async with calling(scene, database, grants) as runner:
        said = "SELECT sereno.enqueue('shop.mail', requested_by => 'ann', cause => 'person')"
        assert await runner.fetchval(said)
    async with connected(database) as admin:
        role = f"caller_{urlsplit(database).path[1:]}"
        await admin.execute(f"CREATE ROLE {role}; {CALLER.format(role=role)} SET ROLE {role}")
        assert await admin.fetchval("SELECT sereno.enqueue('shop.mail')")
        await admin.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    rows = "SELECT cause, requested_by FROM sereno.run ORDER BY id"
    assert await scene.rows(rows) == [("person", "ann"), ("program", "postgres")]


async def test_what_lies_in_a_caller_s_search_path_changes_nothing(
    scene: Scene, database: str
) -> None:
    grants = CALLER + "CREATE SCHEMA mine AUTHORIZATION {role};"
    async with calling(scene, database, grants) as caller:
        await caller.execute(
            """
            SET search_path = mine, pg_catalog, sereno;
            CREATE FUNCTION mine.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql
                AS 'BEGIN RAISE EXCEPTION ''mine, as %'', current_user; END';
            CREATE FUNCTION mine.jsonb_typeof(jsonb) RETURNS text LANGUAGE plpgsql
                AS 'BEGIN RAISE EXCEPTION ''mine, as %'', current_user; END';
            CREATE FUNCTION mine.has_table_privilege(name, text, text) RETURNS boolean
                LANGUAGE sql AS 'SELECT true';
            CREATE FUNCTION mine.same(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR mine.= (LEFTARG = text, RIGHTARG = text, FUNCTION = mine.same);
            CREATE TEMP TABLE run (id bigint);
            CREATE TEMP TABLE job (name text);
            """
        )
        assert await caller.fetchval("SELECT sereno.enqueue('shop.mail')")
        assert await caller.fetch("SELECT sereno.enqueue_many('shop.mail', ARRAY['{}']::jsonb[])")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await caller.fetchval("SELECT sereno.enqueue('shop.mail', requested_by => 'ann')")
        with pytest.raises(asyncpg.NoDataFoundError):
            await caller.fetchval("SELECT sereno.enqueue('nosuch')")
    assert await scene.value("SELECT count(*) FROM sereno.run") == 2


@pytest.mark.parametrize("level", ["serializable", "repeatable_read"])
async def test_a_caller_of_any_isolation_queues_or_is_told_to_try_again(
    scene: Scene, database: str, level: Any
) -> None:
    async with calling(scene, database) as caller:
        transaction = caller.transaction(isolation=level)
        await transaction.start()
        await caller.fetchval("SELECT 1")
        theirs = await scene.value("SELECT sereno.enqueue('shop.mail', unique_key => 'k')")
        with pytest.raises(asyncpg.SerializationError):
            await caller.fetchval("SELECT sereno.enqueue('shop.mail', unique_key => 'k')")
        await transaction.rollback()
        async with caller.transaction(isolation=level):
            found = await caller.fetchval("SELECT sereno.enqueue('shop.mail', unique_key => 'k')")
        assert found == theirs


async def test_who_could_queue_runs_before_the_functions_had_rights_of_their_own_goes_on(
    scene: Scene, database: str
) -> None:
    """The migrations are applied again, over functions that anybody may execute."""
    # Each text, and what the functions are called since that it gives to others or has from them.
    parts = (
        ("-- Who reads the schema is no caller", "-- Delete history", "_without_start_by"),
        ("-- Who could call those of before", "-- Where the table", "_without_unique_for"),
        ("-- Who could queue runs may go on", "-- As before; of a run", ""),
    )
    texts = [m.text for m in migrations()]
    grants = "GRANT USAGE ON SCHEMA sereno TO {role}; GRANT INSERT ON sereno.run TO {role};"
    async with calling(scene, database, grants) as caller:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await caller.fetchval("SELECT sereno.enqueue('shop.mail')")
        for begin, end, suffix in parts:
            (text,) = [text for text in texts if begin in text]
            granted = text[text.index(begin) : text.index(end, text.index(begin))]
            for function in ("enqueue", "enqueue_many"):
                granted = granted.replace(f"sereno.{function}(", f"sereno.{function}{suffix}(")
            await scene.eye.execute(granted)
        assert await caller.fetchval("SELECT sereno.enqueue('shop.mail', requested_by => 'ann')")


async def test_a_hundred_thousand_runs_are_checked_and_queued_by_one_call(
    scene: Scene, database: str
) -> None:
    async with calling(scene, database) as caller:
        found = await caller.fetchval(
            "SELECT count(*) FROM sereno.enqueue_many('shop.limited', ARRAY("
            "SELECT jsonb_build_object('n', 1 + n % 9) FROM generate_series(1, 100000) AS n))"
        )
    assert found == 100_000


def test_a_delay_beyond_the_calendar_is_told() -> None:
    with pytest.raises(ParamsError, match="ends after the year 9999"):
        queue._later(datetime(2030, 1, 1, tzinfo=UTC), timedelta(days=4_000_000))
