"""Reports that users and other plugins declare: a folder, and no code."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno_reports import plugin
from sereno_reports.declared import DeclaredError, opened, trigger_of
from sereno_reports.folders import found
from sereno_reports.settings import Settings
from sereno_reports.statement import StatementError, bound

from .conftest import Make
from .exchange import Exchange

SALES = """
title = "Ventas del día"
schedule = "30 7 * * mon-fri"
head = "sums"
params = { least = 10 }

[[cards]]
name = "amount"
title = { es = "Importe", en = "Amount" }
below = "de {orders} pedidos"

[[cards]]
name = "orders"
title = "Pedidos"
hidden = true

[[tables]]
name = "sums"
title = "Suma"
sql = "sales.sql"
layout = "list"
columns = [
  { name = "amount", title = "Importe", unit = "number" },
  { name = "orders", title = "Pedidos" },
]
"""
SQL = """
-- :what stands in a comment is none, nor in ':a text'
SELECT sum(amount) AS amount, count(*) AS orders, ':not' AS more
FROM orders WHERE at >= :start AND at < :end AND amount >= :least
"""


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    """Folders are read once in a process: here, for each test."""
    found.cache_clear()
    yield
    found.cache_clear()


def declare(root: Path, name: str = "sales", toml: str = SALES, sql: str = SQL) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "report.toml").write_text(toml)
    (folder / "sales.sql").write_text(sql)
    return root


async def orders(pbx: Exchange) -> None:
    await pbx.connection.execute(
        "CREATE TABLE orders (at timestamptz, amount numeric);"
        "INSERT INTO orders VALUES ('2024-11-19 09:00+01', 30.5), ('2024-11-19 23:59+01', 12),"
        " ('2024-11-19 12:00+01', 3), ('2024-11-20 00:00+01', 99)"
    )


async def test_a_folder_with_sql_is_a_report(pbx: Exchange, make: Make, tmp_path: Path) -> None:
    await orders(pbx)
    root = str(declare(tmp_path))
    jobs = {job.name: job for job in plugin.sereno_register_jobs(Settings(reports_dirs=(root,)))}
    assert jobs["reports.sales"].schedules[0].trigger == trigger_of("30 7 * * mon-fri", "UTC")
    result = await make(report="sales", reports_dirs=[root])
    assert (result["amount"], result["orders"], result["revision"]) == (42.5, 2, 1)
    html = await pbx.connection.fetchval("SELECT html FROM sereno_reports.report")
    assert "Ventas del día" in html
    assert "de 2 pedidos" in html


async def test_a_report_cannot_write(pbx: Exchange, make: Make, tmp_path: Path) -> None:
    await orders(pbx)
    sql = "WITH gone AS (DELETE FROM orders RETURNING *) SELECT 1 AS amount, 1 AS orders FROM gone"
    root = str(declare(tmp_path, sql=sql))
    with pytest.raises(DeclaredError, match=r"sales\.sql: cannot execute SELECT in a read-only"):
        await make(report="sales", reports_dirs=[root])
    assert await pbx.connection.fetchval("SELECT count(*) FROM orders") == 4


async def test_days_and_hours_of_sql_are_on_the_business_clock(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    sql = "SELECT extract(hour FROM :start) AS amount, extract(day FROM :day) AS orders"
    root = str(declare(tmp_path, sql=sql))
    result = await make(report="sales", reports_dirs=[root])
    assert (result["amount"], result["orders"]) == (0, 19)


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        ("title =", "Invalid value"),
        (SALES.replace("head =", "heads ="), "unknown field `heads`"),
        (SALES.replace('head = "sums"', 'head = "sum"'), "head is 'sum', it must be one of sums"),
        (SALES.replace("{orders}", "{order}"), "below is 'de {order} pedidos'; in braces"),
        (SALES.replace("30 7 * * mon-fri", "at eight"), "at eight"),
        (SALES.replace('unit = "number"', 'unit = "euro"'), "Invalid enum value 'euro'"),
        (SALES.replace('title = "Pedidos" },', 'title = "", of = "a" },'), "give both"),
    ],
)
async def test_a_folder_at_fault_fails_its_own_job_with_a_sentence(
    pbx: Exchange, make: Make, tmp_path: Path, toml: str, fault: str
) -> None:
    await pbx.load()
    root = str(declare(declare(tmp_path, "good"), "broken", toml))
    settings = Settings(reports_dirs=(root,))
    names = {job.name for job in plugin.sereno_register_jobs(settings)}
    assert {"reports.good", "reports.broken", "reports.daily"} <= names
    with pytest.raises(DeclaredError) as told:
        await make(report="broken", reports_dirs=[root])
    assert "report 'broken': " in str(told.value)
    assert fault in str(told.value)
    assert (await make(reports_dirs=[root]))["revision"] == 1


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT :later AS amount", "there is no parameter :later; known are :day, :end"),
        ("SELECT 1 AS amount FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT 1 AS orders", "gives no column amount"),
        ("SELECT n AS amount, n AS orders FROM generate_series(1, 20001) n", "over 20,000 rows"),
    ],
)
async def test_sql_at_fault_is_told_with_report_table_and_file(
    pbx: Exchange, make: Make, tmp_path: Path, sql: str, fault: str
) -> None:
    root = str(declare(tmp_path, sql=sql))
    with pytest.raises(DeclaredError) as told:
        await make(report="sales", reports_dirs=[root])
    assert "table 'sums': sales.sql" in str(told.value)
    assert fault in str(told.value)


async def test_a_user_s_folder_wins_over_a_shipped_one(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    await orders(pbx)
    root = str(declare(tmp_path, "daily"))
    assert (await make(reports_dirs=[root]))["amount"] == 42.5


@pytest.mark.parametrize("name", ["Sales 2024", "deliver", "ñ", "1st"])
def test_a_folder_whose_name_no_job_can_have_is_told(tmp_path: Path, name: str) -> None:
    root = declare(tmp_path, name)
    folder = opened(root / name, name)
    assert folder.declared is None
    assert f"report '{name}': it must be small letters" in folder.fault
    jobs = list(plugin.sereno_register_jobs(Settings(reports_dirs=(str(root),))))
    assert len({job.name for job in jobs}) == 7  # its own beside the six that are shipped


def test_another_plugin_brings_reports_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shop_reports"
    declare(package)
    (package / "__init__.py").write_text("")
    info = tmp_path / "shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sereno_reports]\nshop = shop_reports\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert found(())["sales"].path == package / "sales"
    sys.modules.pop("shop_reports", None)


def test_every_shipped_report_can_be_read_in_both_languages() -> None:
    for folder in found(()).values():
        assert folder.fault == ""
        for text in _texts(msgspec.to_builtins(folder.report)):
            assert set(text) == {"es", "en"}, (folder.name, text)


def test_named_parameters_are_numbered_and_typed() -> None:
    written, values = bound("SELECT :a, x::text, :b, :a", {"a": 7, "b": ["x"], "c": 1})
    assert written == "SELECT $1::bigint, x::text, $2::text[], $1::bigint"
    assert values == [7, ["x"]]


@pytest.mark.parametrize(
    "text",
    ["SELECT ':a', \":a\"", "SELECT $$ :a $$", "SELECT $q$ :a $$ $q$", "/* :a */ SELECT 1 -- :a"],
)
def test_what_stands_in_quotes_and_comments_is_left_alone(text: str) -> None:
    assert bound(text, {}) == (text, [])


def test_a_parameter_that_is_not_there_is_told() -> None:
    with pytest.raises(StatementError, match="there is no parameter :b; known are :a"):
        bound("SELECT :b", {"a": 1})


def _texts(value: Any) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if value and set(value) <= {"es", "en"}:
            yield value
        else:
            for one in value.values():
                yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


# R12: a day of 500,000 legs
def test_shipped_reports_read_figures_that_are_kept_and_no_rows_of_calls() -> None:
    reads = {
        table.sql
        for folder in found(()).values()
        for table in folder.report.tables
        if re.search(r"ivr\.(calls|queue_events)\b", folder.sql(table.sql))
    }
    assert reads == set()
