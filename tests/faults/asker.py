"""A program that asks for a run within a transaction: ``python -m tests.faults.asker DRIVER DSN
LEVEL``. It says which run it was given, as JSON, or the SQLSTATE that it was refused with; then it
commits once it reads a line."""

import asyncio
import json
import sys

import asyncpg
import psycopg

ASK = """SELECT row_to_json(r)::text
  FROM sereno.request('chain.up', unique_key => 'k', unique_for => '1 d') AS r"""


def say(text: str) -> None:
    print(text, flush=True)


def by_psycopg(dsn: str, level: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(f"SET TRANSACTION ISOLATION LEVEL {level}".encode())
        connection.execute("SELECT 1 FROM sereno.job")
        say("open")
        sys.stdin.readline()
        try:
            row = connection.execute(ASK.encode()).fetchone()
        except psycopg.Error as error:
            return say(json.dumps({"refused": error.sqlstate}))
        assert row is not None
        say(row[0])
        sys.stdin.readline()
    return say("committed")


async def by_asyncpg(dsn: str, level: str) -> None:
    connection = await asyncpg.connect(dsn)
    async with connection.transaction(isolation=level.lower().replace(" ", "_")):
        await connection.fetch("SELECT 1 FROM sereno.job")
        say("open")
        await asyncio.to_thread(sys.stdin.readline)
        try:
            text = await connection.fetchval(ASK)
        except asyncpg.PostgresError as error:
            say(json.dumps({"refused": error.sqlstate}))
            sys.exit()
        say(text)
        await asyncio.to_thread(sys.stdin.readline)
    say("committed")


if __name__ == "__main__":
    driver, url, isolation = sys.argv[1:]
    if driver == "psycopg":
        by_psycopg(url, isolation)
    else:
        asyncio.run(by_asyncpg(url, isolation))
