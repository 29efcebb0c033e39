"""Tables of strange names, types and habits are cleared, or said not to be."""

from datetime import timedelta

import asyncpg
import pytest

from sereno_cleanup.database import connected
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.settings import TableRule

from .test_tables import ADD, OLD, clear, left, notices, rule

SILENT = """
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON notice FOR EACH ROW EXECUTE FUNCTION keep()
"""


@pytest.mark.parametrize(
    "keeping",
    [
        SILENT,
        "CREATE RULE keep AS ON DELETE TO notice DO INSTEAD NOTHING",
    ],
)
async def test_a_table_that_keeps_what_is_deleted_and_says_nothing_is_told(
    empty_database: str, keeping: str
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 250)
        await connection.execute(keeping)
        told = "100 rows were refused, first: a trigger or a rule of the table keeps"
        with pytest.raises(CleanupFailedError, match=told):
            await clear(empty_database)
        assert await left(connection) == 250


async def test_a_condition_that_ends_in_a_comment_is_one(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 10)
        assert (await clear(empty_database, rule(where="id < 4 -- few")))["deleted"] == 3
        assert await left(connection) == 7


async def test_a_table_of_any_name_and_a_column_of_a_domain_are_cleared(
    empty_database: str,
) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute("CREATE DOMAIN moment AS timestamptz")
    for name in ("campañas", "2026-old calls; 😀", 'a "b".c'):
        quoted = '"' + name.replace('"', '""') + '"'
        await connection.execute(f'CREATE TABLE {quoted} (id int, "a t" moment)')
        await connection.execute(f"INSERT INTO {quoted} VALUES (1, '2000-01-01'), (2, now())")
        for written in (name, quoted) if name == "campañas" else (quoted,):
            chosen = TableRule(table=written, column="a t", keep=timedelta(days=1))
            await clear(empty_database, chosen)
            assert await connection.fetchval(f"SELECT array_agg(id) FROM {quoted}") == [2]
    await connection.close()


@pytest.mark.parametrize("name", ["", "a b", "a.b.c", '"a', 'a"', '"{where}"', "x" * 64, "ñ" * 32])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="it must be a name such as django_session"):
        TableRule(table=name, column="at", keep=timedelta(days=1))


def test_rows_are_kept_for_a_hundred_years_at_most() -> None:
    rule(keep=timedelta(days=36_500))
    with pytest.raises(ValueError, match="keep is 36501 days, it must be 36500 at most"):
        rule(keep=timedelta(days=36_501))


async def test_rows_that_a_policy_hides_are_told_and_not_left_in_silence(
    empty_database: str,
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 10)
        await connection.execute(
            "ALTER TABLE notice ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY few ON notice USING (id < 4);"
            "DROP ROLE IF EXISTS sweeper; CREATE ROLE sweeper LOGIN;"
            "GRANT SELECT, UPDATE, DELETE ON notice TO sweeper"
        )
        url = empty_database.replace("//postgres@", "//sweeper@")
        with pytest.raises(CleanupFailedError, match="affected by row-level security policy"):
            await clear(empty_database, rule(database_url=url))
        assert await left(connection) == 10
        await connection.execute("DROP OWNED BY sweeper; DROP ROLE sweeper")


async def test_a_row_that_changes_is_skipped_whatever_isolation_the_database_has(
    empty_database: str,
) -> None:
    name = empty_database.rpartition("/")[2]
    async with notices(empty_database) as connection:
        await connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
        )
        async with connected(empty_database, "test") as session, session.transaction():
            assert await session.fetchval("SHOW transaction_isolation") == "read committed"
