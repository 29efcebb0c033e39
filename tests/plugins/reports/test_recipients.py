"""A report for each recipient: the example of a CRM, on a real one's tables."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno_reports.declared import DeclaredError
from sereno_reports.folders import found

from .conftest import Make

EXAMPLES = str(Path(__file__).parents[3] / "conf/examples/reports")
CRM = """
CREATE TABLE users (
  id int PRIMARY KEY, tenant_id int NOT NULL, name text NOT NULL, email text NOT NULL,
  role text NOT NULL, language text, is_active boolean NOT NULL DEFAULT true
);
CREATE TABLE conversations (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, seller_id int,
  started_at timestamptz NOT NULL, answered_at timestamptz
);
CREATE TABLE leads (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id int NOT NULL, seller_id int,
  score int NOT NULL, created_at timestamptz NOT NULL, converted_at timestamptz
);
INSERT INTO users (id, tenant_id, name, email, role, language) VALUES
  (1, 1, 'Ana', 'ana@one.example', 'ceo', 'es'), (2, 1, 'Luis', 'luis@one.example', 'seller', NULL),
  (3, 1, 'Eva', 'eva@one.example', 'seller', NULL), (4, 2, 'Bob', 'bob@two.example', 'ceo', 'en'),
  (5, 2, 'Sue', 'sue@two.example', 'seller', NULL), (6, 2, 'Old', 'old@two.example', 'ceo', 'en');
UPDATE users SET is_active = false WHERE id = 6;
INSERT INTO conversations (tenant_id, seller_id, started_at, answered_at) VALUES
  (1, 2, '2024-11-19 10:00+01', '2024-11-19 10:01+01'), (1, 2, '2024-11-19 11:00+01', NULL),
  (1, 3, '2024-11-19 11:30+01', '2024-11-19 11:33+01'), (1, 3, '2024-11-18 11:30+01', NULL),
  (2, 5, '2024-11-19 12:00+01', '2024-11-19 12:10+01');
INSERT INTO leads (tenant_id, seller_id, score, created_at, converted_at) VALUES
  (1, 2, 90, '2024-11-19 09:00+01', '2024-11-19 18:00+01'), (1, 3, 20, '2024-11-19 09:00+01', NULL);
"""

Kept = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture(autouse=True)
def unread() -> None:
    found.cache_clear()


@pytest.fixture
async def crm(database: str) -> Any:
    connection = await asyncpg.connect(database)
    await connection.execute(CRM)
    yield connection
    await connection.close()


async def kept(crm: Any) -> dict[str, Any]:
    rows = await crm.fetch(
        "SELECT * FROM sereno_reports.report WHERE day = '2024-11-19' ORDER BY recipient, revision"
    )
    return {row["recipient"]: row for row in rows}


async def test_each_ceo_has_the_report_of_their_own_company_in_their_language(
    crm: Any, make: Make
) -> None:
    result = await make(report="crm_daily", reports_dirs=[EXAMPLES])
    assert (result["reports"], result["changed"]) == (2, 2)
    reports = await kept(crm)
    assert set(reports) == {"ana@one.example", "bob@two.example"}
    ana, bob = reports["ana@one.example"], reports["bob@two.example"]
    assert ('lang="es"' in ana["html"], 'lang="en"' in bob["html"]) == (True, True)
    assert "Sue" in bob["html"]
    assert "Sue" not in ana["html"]
    tables = msgspec.json.decode(ana["figures"])["tables"]
    activity = dict(zip(tables["activity"]["columns"], tables["activity"]["rows"][0], strict=True))
    assert (activity["conversations"], activity["unanswered"], activity["hot"]) == (3, 1, 1)
    assert (activity["response_s"], activity["responses"]) == (240, 2)
    sellers = {row[0]: row[1:] for row in tables["sellers"]["rows"]}
    assert set(sellers) == {"Luis", "Eva"}


async def test_each_recipient_s_report_has_revisions_and_a_mail_of_its_own(
    crm: Any, make: Make
) -> None:
    settings: dict[str, Any] = {"reports_dirs": [EXAMPLES], "recheck_days": 0}
    await make(report="crm_daily", **settings)
    await crm.execute("UPDATE conversations SET answered_at = '2024-11-19 20:00+01' WHERE id = 2")
    again = await make(report="crm_daily", **settings)
    assert again["changed"] == 1
    reports = await kept(crm)
    assert {name: row["revision"] for name, row in reports.items()} == {
        "ana@one.example": 2,
        "bob@two.example": 1,
    }
    rows = await crm.fetch("SELECT address, revision FROM sereno_reports.delivery ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("ana@one.example", 1),
        ("bob@two.example", 1),
        ("ana@one.example", 2),
    ]


async def test_without_a_recipient_nothing_is_made_and_a_nameless_one_is_told(
    crm: Any, make: Make
) -> None:
    await crm.execute("UPDATE users SET is_active = false")
    assert (await make(report="crm_daily", reports_dirs=[EXAMPLES]))["reports"] == 0
    await crm.execute("UPDATE users SET is_active = true, email = ''")
    with pytest.raises(DeclaredError, match=r"recipients\.sql gives a row without a recipient"):
        await make(report="crm_daily", reports_dirs=[EXAMPLES])


async def test_a_row_at_fault_is_told_and_the_others_have_their_reports(
    crm: Any, make: Make
) -> None:
    await crm.execute(
        "INSERT INTO users (id, tenant_id, name, email, role) VALUES (7, 1, 'Zoe', '', 'ceo')"
    )
    with pytest.raises(DeclaredError, match="gives a row without a recipient"):
        await make(report="crm_daily", reports_dirs=[EXAMPLES])
    assert set(await kept(crm)) == {"ana@one.example", "bob@two.example"}


async def test_an_address_that_is_none_is_told_and_the_others_have_their_reports(
    crm: Any, make: Make, tmp_path: Path
) -> None:
    folder = shutil.copytree(Path(EXAMPLES) / "crm_daily", tmp_path / "crm_daily")
    sql = "SELECT name AS recipient, email AS address, tenant_id FROM users WHERE role = 'ceo'"
    (folder / "recipients.sql").write_text(sql)
    await crm.execute("UPDATE users SET email = E'ana@one.example\\nBcc: all@x' WHERE id = 1")
    told = r"recipient 'Ana' the address 'ana@one.example\\nBcc: all@x', which is no mail address"
    with pytest.raises(DeclaredError, match=told):
        await make(report="crm_daily", reports_dirs=[str(tmp_path)])
    assert set(await kept(crm)) == {"Bob", "Old"}


async def test_two_reports_for_one_name_are_told_and_neither_revises_the_other(
    crm: Any, make: Make, tmp_path: Path
) -> None:
    folder = shutil.copytree(Path(EXAMPLES) / "crm_daily", tmp_path / "crm_daily")
    named = folder / "recipients.sql"
    await crm.execute(
        "INSERT INTO users (id, tenant_id, name, email, role)"
        " VALUES (7, 3, 'Ana', 'ana@one.example', 'ceo')"
    )
    with pytest.raises(DeclaredError, match=r"recipient 'ana@one\.example' more than once"):
        await make(report="crm_daily", reports_dirs=[str(tmp_path)])
    assert set(await kept(crm)) == {"bob@two.example"}
    named.write_text(named.read_text().replace("email AS r", "email || ' of ' || tenant_id AS r"))
    assert (await make(report="crm_daily", reports_dirs=[str(tmp_path)]))["reports"] == 3


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("WITH gone AS (DELETE FROM users RETURNING email) SELECT email AS recipient FROM gone",
         "read-only"),
        ("SELECT mail AS recipient FROM users", 'column "mail" does not exist'),
        ("SELECT 1 / 0 AS recipient", "division by zero"),
        ("SELECT pg_sleep(60)::text AS recipient", "took over 1 s"),
    ],
)  # fmt: skip
async def test_sql_of_recipients_is_held_as_that_of_tables_is(
    crm: Any, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, fault: str
) -> None:
    monkeypatch.setattr("sereno_reports.answer.STATEMENT_SECONDS", 1)
    folder = shutil.copytree(Path(EXAMPLES) / "crm_daily", tmp_path / "crm_daily")
    (folder / "recipients.sql").write_text(sql)
    with pytest.raises(DeclaredError, match=fault):
        await make(report="crm_daily", reports_dirs=[str(tmp_path)])
    assert await crm.fetchval("SELECT count(*) FROM users") > 0
