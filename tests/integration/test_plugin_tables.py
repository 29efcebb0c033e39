"""A plugin's own tables: made before it is opened, in its own schema, at nobody else's cost."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from sereno import Migrations, hookimpl
from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.model.errors import SchemaError, StoreError, StoreUnavailableError
from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import Settings
from sereno.store.keys import LOCK_CLASS, MIGRATION_LOCK
from sereno.store.migrator import migrate_plugin
from sereno.testing import make_tables

from .node import Eye, running
from .plugin_tables import tables_at
from .scene import connected
from .tables_scene import Planted, planted

__all__ = ["planted"]

NOTE = "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL)"
WIDER = "ALTER TABLE note ADD COLUMN at timestamptz NOT NULL DEFAULT clock_timestamp()"


def registry(*plugins: tuple[str, Any]) -> Registry:
    return collect(load_plugins(Settings(), extra=plugins, entry_points=False), Settings())


async def test_a_plugin_s_tables_are_there_before_its_jobs_run(
    database: str, eye: Eye, planted: Planted
) -> None:
    plugin = planted("notes", m0001_pre_note=NOTE, m0002_pre_wider=WIDER)
    async with running(database, plugins=[("notes", plugin)]) as node:
        row = await eye.ran("notes.work")
        assert row["state"] == "succeeded"
        known = await eye.value("SELECT plugin_migrations FROM sereno.node WHERE id = $1", node.id)
    assert json.loads(known) == {"notes": 2}
    await eye.rows("INSERT INTO notes.note (text) VALUES ('a') RETURNING at")
    listed = await eye.rows("SELECT schema, number, name FROM sereno.plugin_migration")
    assert [tuple(r) for r in listed] == [
        ("notes", 1, "0001_pre_note.sql"),
        ("notes", 2, "0002_pre_wider.sql"),
    ]


async def test_a_migration_that_fails_fails_its_plugin_alone_and_leaves_nothing_of_itself(
    database: str, eye: Eye, planted: Planted
) -> None:
    bad = planted("bad", m0001_pre_a=NOTE, m0002_pre_half="CREATE TABLE half (id int); SELECT 1/0")
    good = planted("good", m0001_pre_note=NOTE)
    async with running(database, plugins=[("bad", bad), ("good", good)]) as node:
        assert (await eye.ran("good.work"))["state"] == "succeeded"
        records = node.kernel.plugins()
        assert records["good"].state == "loaded"
        assert records["bad"].state == "failed"
        assert "migration 0002_pre_half.sql of plugin 'bad' failed: division by zero" in (
            records["bad"].reason
        )
    assert await eye.value("SELECT to_regclass('bad.half')") is None
    assert await eye.value("SELECT to_regclass('bad.note')") is not None


async def test_of_several_replicas_at_once_each_migration_is_applied_by_one(
    database: str, eye: Eye, planted: Planted
) -> None:
    files = {f"m000{n}_pre_t{n}": f"CREATE TABLE t{n} (id int)" for n in range(1, 6)}
    series = planted("notes", **files).series("notes")
    done = await asyncio.gather(*(migrate_plugin(database, series) for _ in range(6)))
    applied = [name for one in done for name in one.applied]
    assert sorted(applied) == [m.name for m in series.migrations]


async def test_a_file_that_was_changed_after_it_had_been_applied_is_refused(
    database: str, eye: Eye, planted: Planted
) -> None:
    await migrate_plugin(database, planted("notes", m0001_pre_note=NOTE).series("notes"))
    changed = planted("notes", m0001_pre_note=f"{NOTE};").series("notes")
    with pytest.raises(SchemaError, match=r"0001_pre_note\.sql of plugin 'notes' was changed"):
        await migrate_plugin(database, changed)
    assert "was changed" in await eye.value("SELECT fault FROM sereno.plugin_schema")
    await migrate_plugin(database, planted("notes", m0001_pre_note=NOTE).series("notes"))
    assert await eye.value("SELECT fault FROM sereno.plugin_schema") is None


async def test_tables_that_a_plugin_has_made_by_itself_before_are_taken_over(
    database: str, eye: Eye, planted: Planted
) -> None:
    async with connected(database) as connection:
        await connection.execute("CREATE SCHEMA notes; CREATE TABLE notes.note (id int)")
        await connection.execute("INSERT INTO notes.note VALUES (7)")
    files = {"m0001_pre_note": "CREATE TABLE IF NOT EXISTS note (id int)"}
    await migrate_plugin(database, planted("notes", **files).series("notes"))
    assert await eye.value("SELECT id FROM notes.note") == 7


async def test_a_schema_that_somebody_has_dropped_is_made_anew(
    database: str, eye: Eye, planted: Planted
) -> None:
    series = planted("notes", m0001_pre_note=NOTE).series("notes")
    await migrate_plugin(database, series)
    async with connected(database) as connection:
        await connection.execute("DROP SCHEMA notes CASCADE")
    assert (await migrate_plugin(database, series)).applied == ["0001_pre_note.sql"]
    assert await eye.value("SELECT to_regclass('notes.note')") is not None


async def test_tables_that_are_made_are_one_line_and_what_comes_later_is_told_by_name(
    database: str, planted: Planted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sereno.kernel")
    files = {"m0001_pre_note": NOTE, "m0002_pre_more": "SELECT 1"}
    await tables_at(database, registry(("notes", planted("notes", **files))))
    assert [r.message for r in caplog.records] == ["a plugin's tables are made"]
    assert vars(caplog.records[0])["migrations"] == 2
    later = planted("notes", **files, m0003_pre_later="SELECT 1")
    await tables_at(database, registry(("notes", later)))
    told = [vars(r).get("migration") for r in caplog.records]
    assert told == [None, "0003_pre_later.sql"]


async def test_a_file_that_ends_its_transaction_is_told_by_name(
    database: str, planted: Planted
) -> None:
    for word in ("COMMIT", "ROLLBACK", "COMMIT; BEGIN"):
        series = planted("notes", m0001_pre_note=f"CREATE TABLE IF NOT EXISTS a (); {word}")
        with pytest.raises(StoreError, match=r"0001_pre_note\.sql of plugin 'notes' ends its tran"):
            await migrate_plugin(database, series.series("notes"))


async def test_what_a_plugin_s_file_does_to_its_session_is_done_to_no_other_plugin_s(
    database: str, eye: Eye, planted: Planted
) -> None:
    rude = planted("a", m0001_pre_rude="SET search_path = nowhere; SET ROLE pg_monitor")
    good = planted("b", m0001_pre_note=NOTE)
    await tables_at(database, registry(("a", rude), ("b", good)))
    assert await eye.value("SELECT to_regclass('b.note')") is not None


async def test_a_migration_that_takes_too_long_fails_its_plugin_and_lets_go_of_the_lock(
    database: str, eye: Eye, planted: Planted
) -> None:
    slow = planted("slow", m0001_pre_slow="SELECT pg_sleep(3600)")
    good = planted("good", m0001_pre_note=NOTE)
    left = await tables_at(database, registry(("good", good), ("slow", slow)), limit=2)
    assert left.plugins.loaded == ["good"]
    assert "longer than 2 s; `sereno migrate` waits" in left.records["slow"].reason
    await migrate_plugin(database, planted("next", m0001_pre_note=NOTE).series("next"))


async def test_who_holds_the_migrators_lock_is_named(database: str, planted: Planted) -> None:
    series = planted("notes", m0001_pre_note=NOTE).series("notes")
    async with connected(database) as other, other.transaction():
        await other.execute("SET application_name = 'somebody'")
        await other.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        with pytest.raises(StoreUnavailableError, match=r"migrators' lock is held by .*somebody"):
            await migrate_plugin(database, series)


async def test_post_waits_to_be_asked_for_and_for_replicas_whose_plugin_is_older(
    database: str, planted: Planted
) -> None:
    files = {"m0001_pre_note": NOTE, "m0002_post_less": "ALTER TABLE note DROP COLUMN text"}
    series = planted("notes", **files).series("notes")
    async with connected(database) as node:
        key = await node.fetchval(
            "INSERT INTO sereno.node (id, label, pid, version, migration)"
            " VALUES ($1, 'blue-1', 42, '0.9', 9999) RETURNING key",
            UUID(int=7),
        )
        await node.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, key)
        done = await migrate_plugin(database, series)
        assert (done.applied, done.waiting) == (["0001_pre_note.sql"], ["0002_post_less.sql"])
        for older in (None, {"notes": 1, "others": 9}):
            await node.execute(
                "UPDATE sereno.node SET plugin_migrations = $1", older and json.dumps(older)
            )
            with pytest.raises(SchemaError, match=r"0002_post_less\.sql of plugin.*'blue-1'"):
                await migrate_plugin(database, series, post=True)
        for there in ({"notes": 2}, {"others": 9}):
            await node.execute("UPDATE sereno.node SET plugin_migrations = $1", json.dumps(there))
            done = await migrate_plugin(database, series, post=True)
        assert done.waiting == []


async def test_an_older_plugin_works_with_newer_pre_migrations_and_refuses_newer_post_ones(
    database: str, planted: Planted
) -> None:
    old = planted("notes", m0001_pre_note=NOTE).series("notes")
    new = planted("notes", m0001_pre_note=NOTE, m0002_pre_wider=WIDER).series("notes")
    newest = planted(
        "notes", m0001_pre_note=NOTE, m0002_pre_wider=WIDER, m0003_post_x="SELECT 1"
    ).series("notes")
    await migrate_plugin(database, new)
    assert (await migrate_plugin(database, old)).newer == ["0002_pre_wider.sql"]
    await migrate_plugin(database, newest, post=True)
    with pytest.raises(SchemaError, match=r"0003_post_x\.sql.*plugin 'notes' does not know"):
        await migrate_plugin(database, old)


async def test_a_schema_that_another_plugin_has_tables_in_is_refused(
    database: str, planted: Planted
) -> None:
    plugin = planted("notes", m0001_pre_note=NOTE)
    await migrate_plugin(database, plugin.series("first"))
    with pytest.raises(SchemaError, match="plugin 'first' has its tables in the schema 'notes'"):
        await migrate_plugin(database, plugin.series("second"))


async def test_a_test_of_a_plugin_makes_its_tables_in_any_database(
    empty_database: str, planted: Planted
) -> None:
    plugin = planted("notes", m0001_pre_note=NOTE, m0002_post_x="SELECT 1")
    applied = await make_tables(plugin, empty_database, name="notes")
    assert applied == ["0001_pre_note.sql", "0002_post_x.sql"]
    async with connected(empty_database) as connection:
        assert await connection.fetchval("SELECT count(*) FROM notes.note") == 0
    left = await tables_at(empty_database, registry(("notes", plugin)))
    assert left.plugins.loaded == ["notes"]


# --- the command line ---------------------------------------------------------------------------


def sereno(dsn: str, *args: str, **plugins: Any) -> Result:
    invocation = Invocation()
    given = plugins.items()
    invocation.plugins = load_plugins(Settings(), extra=given, entry_points=False)
    return CliRunner().invoke(main, ["--database-url", dsn, *args], obj=invocation)


def test_migrate_makes_tables_names_the_plugin_that_fails_and_goes_on(
    database: str, planted: Planted
) -> None:
    bad = planted("bad", m0001_pre_bad="SELECT 1/0")
    good = planted("good", m0001_pre_note=NOTE, m0002_post_x="SELECT 1")
    told = sereno(database, "migrate", bad=bad, good=good)
    assert told.exit_code == 1
    assert "applied 0001_pre_note.sql of plugin 'good'" in told.stdout
    assert "0002_post_x.sql of plugin 'good' still to be applied" in told.stdout
    assert "migration 0001_pre_bad.sql of plugin 'bad' failed: division by zero" in told.stderr
    told = sereno(database, "migrate", "--post", "--json", good=good)
    assert told.exit_code == 0
    assert json.loads(told.stdout)["plugins"]["good"]["applied"] == ["0002_post_x.sql"]


def test_check_names_what_failed_and_what_uninstalled_plugins_left(
    database: str, planted: Planted
) -> None:
    bad = planted("bad", m0001_pre_bad="SELECT 1/0")
    good = planted("good", m0001_pre_note=NOTE, m0002_pre_wider=WIDER)
    sereno(database, "migrate", bad=bad, good=good)
    told = sereno(database, "check", bad=bad, good=good)
    assert told.exit_code == 1
    assert "sereno: plugin 'bad': migration 0001_pre_bad.sql" in told.stderr
    assert "orphaned" not in told.stderr
    told = sereno(database, "check")
    assert told.exit_code == 0
    assert "schema 'good' (2 migrations) is orphaned: plugin 'good' is not installed" in told.stderr
    assert "DROP SCHEMA good CASCADE" in told.stderr
    older = planted("good", m0001_pre_note=NOTE)
    for command in ("check", "migrate"):
        told = sereno(database, command, good=older)
        assert "migration 0002_pre_wider.sql of schema 'good' is orphaned" in told.stderr
    moved = planted("better", m0001_pre_note=NOTE)
    told = sereno(database, "check", "--json", good=moved)
    (sentence,) = json.loads(told.stdout)["database"]["orphans"]
    assert "plugin 'good' has its tables in 'better' by now" in sentence


async def test_check_names_queued_runs_whose_job_no_plugin_declares(
    database: str, eye: Eye, planted: Planted
) -> None:
    good = planted("good", m0001_pre_note=NOTE)
    async with connected(database) as connection:
        await connection.execute(
            "INSERT INTO sereno.job (name, plugin, policies) VALUES ('gone.work', 'gone', '{}');"
            " INSERT INTO sereno.run (job, cause, state) SELECT j, 'program', s FROM unnest("
            "'{gone.work,gone.work,gone.work,gone.more,good.work}'::text[],"
            "'{queued,queued,queued,queued,queued}'::text[]) AS u(j, s);"
            " INSERT INTO sereno.run (job, cause, state, finished_at)"
            " VALUES ('gone.work', 'program', 'succeeded', now())"
        )
    told = await asyncio.to_thread(sereno, database, "check", good=good)
    assert told.exit_code == 0
    assert "3 queued runs of 'gone.work': no plugin declares it" in told.stderr
    assert "1 queued run of 'gone.more': no plugin declares it" in told.stderr
    assert "good.work" not in told.stderr
    await eye.rows(
        "INSERT INTO sereno.run (job, cause, state) SELECT 'gone.many', 'program', 'queued'"
        " FROM generate_series(1, 12000) RETURNING id"
    )
    told = await asyncio.to_thread(sereno, database, "check", good=good)
    assert re.search(r"at least \d{4} queued runs of 'gone.many': no plugin", told.stderr)


def test_check_does_without_a_database_and_says_that_it_was_not_asked(
    unused_url: str, planted: Planted, empty_database: str
) -> None:
    told = sereno(unused_url, "check", good=planted("good", m0001_pre_note=NOTE))
    assert told.exit_code == 0
    assert "the database was not asked for plugins' tables" in told.stderr
    told = sereno(empty_database, "check", "--json")
    assert told.exit_code == 0
    assert json.loads(told.stdout)["database"]["asked"] is False


@pytest.fixture
def unused_url() -> str:
    return "postgresql://nobody@127.0.0.1:1/none"


# --- declarations -------------------------------------------------------------------------------


def failures(*plugins: tuple[str, Any]) -> dict[str, str]:
    records = registry(*plugins).records
    return {name: r.reason for name, r in records.items() if r.state == "failed"}


def answering(answer: Callable[[], Any]) -> Any:
    class Plugin:
        @hookimpl
        def sereno_register_migrations(self) -> Any:
            return answer()

    return Plugin()


def test_two_plugins_with_one_schema_are_refused_with_a_sentence(planted: Planted) -> None:
    package = planted("notes", m0001_pre_note=NOTE).package
    both = [(n, answering(lambda: Migrations(schema="notes", package=package))) for n in "ab"]
    found = failures(*both)
    assert set(found) == {"b"}
    assert "plugins 'a' and 'b' both have the schema 'notes'; 'a' keeps it" in found["b"]


@pytest.mark.parametrize("schema", ["sereno", "public", "pg_toast", "information_schema"])
def test_a_schema_that_is_the_kernel_s_or_everybody_s_is_refused(schema: str) -> None:
    found = failures(("a", answering(lambda: Migrations(schema=schema, package="x"))))
    assert f"the schema '{schema}' is not a plugin's" in found["a"]


@pytest.mark.parametrize("schema", ["", "Notes", "a-b", "1a", 'x"; DROP SCHEMA sereno; --', "é"])
def test_a_schema_whose_name_cannot_be_one_is_refused(schema: str) -> None:
    found = failures(("a", answering(lambda: Migrations(schema=schema, package="x"))))
    assert "is no name for a plugin's schema" in found["a"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "there is no migration in 'migrations'"),
        ({"m1_pre_x": NOTE}, "'1_pre_x.sql' in 'migrations' of .* is no migration"),
        ({"m0001_x": NOTE}, "is no migration: name it NNNN_pre_<what>.sql"),
        ({"m0001_pre_a": NOTE, "m0001_post_b": NOTE}, "have one number; give the later one"),
    ],
)
def test_files_that_are_no_migrations_are_refused(
    files: dict[str, str], sentence: str, planted: Planted
) -> None:
    (found,) = failures(("a", planted("notes", **files))).values()
    assert re.search(sentence, found)


def test_what_is_no_migrations_is_refused_and_nothing_is_none() -> None:
    assert "no Migrations" in failures(("a", answering(lambda: [1])))["a"]
    assert failures(("a", answering(lambda: None))) == {}


async def test_check_says_that_nobody_hears_and_how_much_was_kept(database: str, eye: Eye) -> None:
    unheard = (
        "INSERT INTO sereno.message (token, run_id, attempt, job, severity, message, routed_at)"
        " SELECT gen_random_uuid(), 1, 1, 'a', 'info', '{}', now() FROM generate_series(1, 3)"
    )
    told = await asyncio.to_thread(sereno, database, "check")
    assert "no plugin brings a notifier" in told.stderr
    assert "nobody has heard" not in told.stderr
    await eye.connection.execute(unheard)
    told = await asyncio.to_thread(sereno, database, "check")
    assert "nobody has heard 3 messages of jobs, the last of" in told.stderr
