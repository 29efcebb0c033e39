"""What a folder of SQL may give or be: its own report fails with a sentence, or is whole."""

import io
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from sereno_reports.declared import DeclaredError
from sereno_reports.figures import Figures
from sereno_reports.folders import found
from sereno_reports.letter import to_letter
from sereno_reports.look import Look
from sereno_reports.workbook import to_xlsx

from .conftest import Make
from .exchange import Exchange
from .test_declared import SALES, declare

Reported = tuple[dict[str, Any], Figures, Look]


async def reported(
    pbx: Exchange, make: Make, root: Path, sql: str | bytes, toml: str = SALES
) -> Reported:
    folder = declare(root, toml=toml, sql="") / "sales"
    (folder / "sales.sql").write_bytes(sql if isinstance(sql, bytes) else sql.encode())
    await make(report="sales", reports_dirs=[str(root)], recheck_days=0)
    row = dict(
        await pbx.connection.fetchrow(
            "SELECT name, recipient, revision, html, csv, day, figures::text AS figures,"
            " look::text AS look FROM sereno_reports.report"
        )
    )
    figures = msgspec.json.decode(row["figures"], type=Figures)
    return row, figures, msgspec.json.decode(row["look"], type=Look)


def texts(book: bytes) -> list[str]:
    """Return the texts of a workbook whose every part is well-formed."""
    parts = zipfile.ZipFile(io.BytesIO(book))
    read = {name: ElementTree.fromstring(parts.read(name)) for name in parts.namelist()}
    return [text.text or "" for text in read["xl/sharedStrings.xml"].iter() if text.tag[-1] == "t"]


FAULTS: list[tuple[str | bytes, str]] = [
    ("SELECT generate_series(1, 100000000) AS amount, 1 AS orders", "over 20,000 rows"),
    ("SELECT pg_sleep(60)::text AS amount, 1 AS orders", "took over 1 s and was ended"),
    ("SELECT 1 / 0 AS amount, 1 AS orders", "division by zero"),
    ("SELECT 1 AS amount; SELECT 2", "multiple commands"),
    ("-- nothing", "must be one SELECT"),
    ("COPY (SELECT 1) TO '/tmp/sereno-written'", "must be one SELECT"),
    ("DO $$ BEGIN PERFORM 1; END $$", "must be one SELECT"),
    ("SET TRANSACTION READ WRITE", "must be one SELECT"),
    ("SELECT '\0' AS amount, 1 AS orders", r"holds U\+0000"),
    (b"SELECT '\xff' AS amount, 1 AS orders", "cannot be read: 'utf-8'"),
    ("SELECT :least + 1 AS amount, 1 AS orders", "out of int64 range"),
    ("SELECT :more AS amount, 1 AS orders", "there is no parameter :more; known are"),
]


async def test_sql_at_fault_or_without_end_fails_its_own_report_with_a_sentence(
    pbx: Exchange, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno_reports.answer.STATEMENT_SECONDS", 1)
    toml = SALES.replace("least = 10", f"least = {2**63}")
    for n, (sql, fault) in enumerate(FAULTS):
        found.cache_clear()
        with pytest.raises(DeclaredError, match=rf"report 'sales'.*{fault}"):
            await reported(pbx, make, tmp_path / str(n), sql, toml)


async def test_a_database_that_ends_the_session_is_a_sentence(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    sql = "SELECT pg_terminate_backend(pg_backend_pid())::text AS amount, 1 AS orders"
    with pytest.raises(ConnectionError, match="ended the session while a report was read"):
        await reported(pbx, make, tmp_path, sql)


CELLS: list[tuple[str, Any]] = [
    ("'infinity'::timestamptz", "infinity"),
    ("'-infinity'::date", "-infinity"),
    ("'12026-01-01 00:00+00'::timestamptz", "12026-01-01T00:00:00+00:00"),
    ("'12026-01-01 00:00:00.5'::timestamp", "12026-01-01T00:00:00.500000"),
    ("'4713-01-01 BC'::date", "-4712-01-01"),
    ("'2024-02-29'::date", "2024-02-29"),
    ("'2024-11-19 23:30:00.25+01'::timestamptz", "2024-11-19T22:30:00.250000+00:00"),
    ("interval '178000000 years'", 178_000_000 * 12 * 30 * 86_400),
    ("interval '90.5 s'", 90.5),
    ("'NaN'::float8", None),
    ("'-Infinity'::numeric", None),
    ("1e300::float8", int(1e300)),
    (r"'\x00ff'::bytea", r"\x00ff"),
    ("ARRAY[1, NULL, 3]", "[1,null,3]"),
    ("ARRAY['infinity', '2024-11-19'::date]", '["infinity","2024-11-19"]'),
    ("""'{"a": [1, "ñ"]}'::jsonb""", '{"a":[1,"ñ"]}'),
    ("NULL::point", None),
]


async def test_any_value_of_postgres_is_one_cell(pbx: Exchange, make: Make, tmp_path: Path) -> None:
    named = [f"c{n}" for n in range(len(CELLS))]
    told = "".join(f'{{ name = "{name}", title = "{name}" }}, ' for name in named)
    toml = SALES.replace("columns = [", f"columns = [ {told}")
    asked = ", ".join(f"{cell} AS {name}" for name, (cell, _) in zip(named, CELLS, strict=True))
    row, figures, look = await reported(
        pbx, make, tmp_path, f"SELECT 1 AS amount, 1 AS orders, {asked}", toml
    )
    head = figures.head("sums")
    assert [head[name] for name in named] == [shown for _, shown in CELLS]
    assert texts(to_xlsx(figures, look))
    assert to_letter(figures, look)
    assert "12026-01-01T00:00:00+00:00" in row["html"]


async def test_markup_controls_and_formulas_stay_text_in_every_form(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    title = "<b onclick=x>Ventas</b> {amount} {{ 7*7 }} %s 😀/.."
    cell = r"E'=cmd|''/c calc''!A1 <script>alert(1)</script>\x1b[31m\uFFFE\u202E'"
    toml = SALES.replace("Ventas del día", title)
    row, figures, look = await reported(
        pbx, make, tmp_path, f"SELECT {cell} AS amount, repeat('ñ', 100000) AS orders", toml
    )
    for page in (row["html"], to_letter(figures, look)):
        assert "<script>alert" not in page
        assert "<b onclick" not in page
        assert "{{ 7*7 }}" in page
    assert "\n'=cmd|" in row["csv"]
    cells = texts(to_xlsx(figures, look))
    assert any(text.startswith("=cmd|") for text in cells)  # a text, as no cell has a formula
    assert max(map(len, cells)) == 32_767
    sheet = zipfile.ZipFile(io.BytesIO(to_xlsx(figures, look))).read("xl/worksheets/sheet2.xml")
    assert b"<f>" not in sheet


async def test_a_report_without_a_row_is_whole(pbx: Exchange, make: Make, tmp_path: Path) -> None:
    row, figures, look = await reported(
        pbx, make, tmp_path, "SELECT 1 AS amount, 1 AS orders WHERE false"
    )
    assert figures.rows("sums") == []
    assert "–" in row["html"]
    assert texts(to_xlsx(figures, look))
    assert to_letter(figures, look)


async def test_a_report_of_nothing_but_unknowns_is_whole(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    sql = "SELECT NULL AS amount, NULL AS orders FROM generate_series(1, 5)"
    row, figures, look = await reported(pbx, make, tmp_path, sql)
    assert [set(one.values()) for one in figures.rows("sums")] == [{None}] * 5
    assert "None" not in row["html"] + row["csv"] + to_letter(figures, look)
    assert "None" not in texts(to_xlsx(figures, look))


MANY = SALES.replace('layout = "list"', "").replace('title = "Suma"', 'title = "History"')
CHART = 'chart = { label = "orders", series = { amount = "good" } }\ncolumns'


async def test_a_page_of_very_many_rows_ends_and_a_spreadsheet_has_all(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    sql = "SELECT n AS amount, n || '' AS orders FROM generate_series(1, 1700) AS n"
    toml = MANY.replace("columns", CHART)
    row, figures, look = await reported(pbx, make, tmp_path, sql, toml)
    assert row["html"].count("<tr") < 1010
    assert "y 700 más en el XLSX y el CSV" in row["html"]
    assert len(row["csv"].splitlines()) > 1700
    book = zipfile.ZipFile(io.BytesIO(to_xlsx(figures, look)))
    # "History" is a name that a spreadsheet keeps for itself: it would have the file repaired.
    assert 'name="History 2"' in book.read("xl/workbook.xml").decode()
    letter = to_letter(figures, look)
    assert letter.count("<tr") < 100
    assert len(letter) < 50_000


async def test_files_may_begin_with_the_mark_of_an_editor(
    pbx: Exchange, make: Make, tmp_path: Path
) -> None:
    sql = b"\xef\xbb\xbfSELECT 1 AS amount,\r\n 2 AS orders\r\n"
    _, figures, _ = await reported(pbx, make, tmp_path, sql, "\ufeff" + SALES)
    assert figures.rows("sums") == [{"amount": 1, "orders": 2}]
