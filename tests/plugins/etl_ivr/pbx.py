"""A telephone exchange's database for tests: real MariaDB, with a `cdr` as sites have it."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pymysql

FREEPBX = (Path(__file__).parents[3] / "conf/compose/mariadb/cdr.sql").read_text()
"""The file that compose.yaml starts its exchange with."""

ISSABEL = """
CREATE TABLE cdr (
  calldate datetime NOT NULL DEFAULT '0000-00-00 00:00:00', clid varchar(80) NOT NULL DEFAULT '',
  src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '',
  duration int NOT NULL DEFAULT 0, billsec int NOT NULL DEFAULT 0,
  disposition varchar(45) NOT NULL DEFAULT '', uniqueid varchar(32) NOT NULL DEFAULT '',
  userfield varchar(255) NOT NULL DEFAULT '', KEY uniqueid (uniqueid)
) ENGINE = MyISAM DEFAULT CHARSET = utf8mb4
"""
ASTERISK = """
CREATE TABLE cdr (
  accountcode varchar(20), src varchar(80), dst varchar(80), dcontext varchar(80),
  clid varchar(80), channel varchar(80), dstchannel varchar(80), lastapp varchar(80),
  lastdata varchar(80), start datetime, answer datetime, end datetime, duration int, billsec int,
  disposition varchar(45), amaflags varchar(45), userfield varchar(256), uniqueid varchar(150),
  linkedid varchar(150), peeraccount varchar(20), sequence int, KEY start (start)
) DEFAULT CHARSET = utf8mb4
"""


@dataclass(slots=True)
class Pbx:
    """One exchange's database; `connection` autocommits and lets zero dates in."""

    url: str
    connection: Any

    @classmethod
    @contextlib.contextmanager
    def connected(cls, url: str) -> Iterator["Pbx"]:
        parts = urlsplit(url)
        with contextlib.closing(
            pymysql.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
                database=parts.path.lstrip("/"),
                charset="utf8mb4",
                autocommit=True,
                sql_mode="ALLOW_INVALID_DATES",
            )
        ) as connection:
            yield cls(url, connection)

    def execute(self, statement: str, *arguments: Any) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)

    def insert(self, *rows: Mapping[str, Any]) -> None:
        """Insert rows into `cdr`; what they do not name is the column's default."""
        with self.connection.cursor() as cursor:
            for row in rows:
                names = ", ".join(f"`{name}`" for name in row)
                places = ", ".join(["%s"] * len(row))
                cursor.execute(f"INSERT INTO cdr ({names}) VALUES ({places})", list(row.values()))

    def fill(self, count: int, start: str = "2026-03-01 00:00:00", seconds: int = 25) -> None:
        """Insert `count` calls, one each `seconds`, made by the server."""
        self.execute(
            "INSERT INTO cdr (calldate, clid, src, dst, duration, billsec, disposition, uniqueid,"
            " linkedid, sequence, recordingfile)"
            " SELECT DATE_ADD(%s, INTERVAL seq * %s SECOND), CONCAT('\"Person ', seq, '\" <', seq,"
            " '>'), seq %% 900, 400, seq %% 600, seq %% 500,"
            " ELT(1 + seq %% 2, 'ANSWERED', 'BUSY'), CONCAT(1772323200 + seq * 25, '.', seq),"
            " CONCAT(1772323200 + seq * 25, '.', seq), seq,"
            f" CONCAT('rec-', seq, '.wav') FROM seq_1_to_{count}",
            start,
            seconds,
        )

    def rows(self, *names: str) -> Counter[tuple[str | None, ...]]:
        """Return the rows of `cdr` as a multiset of texts, read without the plugin's help."""
        columns = ", ".join(f"CAST(`{name}` AS CHAR)" for name in names)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM cdr")
            return Counter(cursor.fetchall())


async def loaded(database: str, *names: str) -> Counter[tuple[str | None, ...]]:
    """Return the rows of `ivr.calls` as a multiset of texts; a name may be an expression."""
    columns = ", ".join(f"({name})::text" for name in names)
    return Counter(tuple(row) for row in await fetch(database, f"SELECT {columns} FROM ivr.calls"))


async def fetch(database: str, statement: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(database, server_settings={"timezone": "UTC"})
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


def call(at: str | datetime, uniqueid: str, **more: Any) -> dict[str, Any]:
    """Return one row; `at` may be an impossible date."""
    return {"calldate": str(at), "uniqueid": uniqueid, **more}


def same(rows: Iterable[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Return each row `count` times."""
    return [row for row in rows for _ in range(count)]
