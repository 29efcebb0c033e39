"""What callers and agents are called does nothing in a spreadsheet, and numbers stay numbers."""

import csv
import io
import re
import zipfile
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sereno_reports.declared import ReportColumn
from sereno_reports.figures import Grid
from sereno_reports.sheet import neutral, plain, to_csv
from sereno_reports.view import Cell
from sereno_reports.words import words_in
from sereno_reports.workbook import to_xlsx

from .some import some_figures, some_look

SIGNS = "=+-@＝＋－＠"
HOSTILE = [
    "=cmd|' /C calc'!A0",
    "x;=1+1",
    "x,=1+1",
    "x;+1",
    "x, @SUM(A1)",
    'x;"=1+1"',
    "x\t-1",
    "x\r=1",
    "x\n=1",
    "x|=1",
    "  =1",
    '"=1',
    "\N{NO-BREAK SPACE}=1",
    "\ufeff=1",
    "\t=1",
    ";;=1",
    "a;b;=1;c;=2",
]
XLSX = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def begun(cell: str) -> bool:
    """Tell whether a spreadsheet would calculate `cell`."""
    return bool(re.match(rf'[\s"\ufeff\u200b]*[{re.escape(SIGNS)}]', cell))


@given(st.text(st.sampled_from([*";,|\t\r\n \"'\ufeff", *SIGNS, "a", "1"])))
@example("x;=cmd")
def test_no_part_of_a_text_begins_a_formula_whatever_parts_it(text: str) -> None:
    made = neutral(text)
    for separator in ";,|\t\r\n":
        assert not any(begun(part) for part in made.split(separator))
    assert made.replace("'", "") == text.replace("'", "")  # nothing of it is lost
    assert neutral(made) == made


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_csv_is_safe_in_a_spreadsheet_of_any_locale(text: str, language: Any) -> None:
    figures = some_figures(queues=(text,), agents=(text,))
    names = {"queue": {text: text}}
    look = some_look(figures, names, language=language, organisation=text)
    written = to_csv(figures, look)
    for separator in ";,\t":
        rows = csv.reader(io.StringIO(written, newline=""), delimiter=separator)
        assert [cell for row in rows for cell in row if begun(cell)] == []


@pytest.mark.parametrize(
    "text", ["Ventas, norte", "400", "a-b", "x; y", "ana@example.org", "5 - 3", "Cola 😀", ""]
)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text


@pytest.mark.parametrize(
    ("unit", "raw", "written"),
    [
        ("count", -5, "-5"),
        ("number", -5.25, "-5,2"),
        ("share", -0.125, "-12,5"),
        ("duration", -90, "-90"),
        ("count", 2**63 - 1, "9223372036854775807"),
        ("text", "-5", "'-5"),
        ("text", "+34600123456", "'+34600123456"),  # as a number it would lose its sign
    ],
)
def test_numbers_stay_numbers_and_texts_stay_texts(unit: Any, raw: Any, written: str) -> None:
    column = ReportColumn(name="x", title="x", unit=unit)
    assert plain(Cell(str(raw), raw, column), words_in("es")) == written


def workbook_of(**cells: tuple[str, Any]) -> dict[str, tuple[str | None, str]]:
    """Return the type and content of each cell of a row whose columns have units and values."""
    figures = some_figures()
    grid = Grid([*cells], [[value for _, value in cells.values()]])
    figures = msgspec.structs.replace(figures, tables=figures.tables | {"queues": grid})
    look = some_look(figures)
    columns = tuple(
        ReportColumn(name=name, title=name, unit=unit)  # type: ignore[arg-type]
        for name, (unit, _) in cells.items()
    )
    tables = tuple(
        msgspec.structs.replace(one, columns=columns, total=False, chart=None)
        for one in look.declared.tables
        if one.name == "queues"
    )
    declared = msgspec.structs.replace(look.declared, tables=tables)
    content = to_xlsx(figures, msgspec.structs.replace(look, declared=declared))
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet2.xml"))
        texts = [
            "".join(part.text or "" for part in one.iter(f"{XLSX}t"))
            for one in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
    assert not any(True for _ in sheet.iter(f"{XLSX}f"))
    found = {}
    row = sheet.findall(f".//{XLSX}row")[1]
    for name, cell in zip(cells, row, strict=True):
        value = cell.findtext(f"{XLSX}v") or ""
        kind = cell.get("t")
        found[name] = (kind, texts[int(value)] if kind == "s" else value)
    return found


def test_cells_of_a_workbook_are_of_their_types() -> None:
    found = workbook_of(
        label=("text", "=1+1"),
        number=("text", "400"),
        phone=("text", "+34600123456"),
        count=("count", -5),
        large=("count", 10**15 - 1),
        larger=("count", 2**63 - 1),
        share=("share", 0.125),
        talk=("duration", 43_200),
        unknown=("count", None),
        last=("instant", "9999-12-31T23:59:59+00:00"),
        first=("instant", "0001-01-01T00:00:00+14:00"),
    )
    assert found == {
        "label": ("s", "=1+1"),
        "number": ("s", "400"),
        "phone": ("s", "+34600123456"),
        "count": (None, "-5"),
        "large": (None, "999999999999999"),
        "larger": ("s", "9223372036854775807"),  # whose last digits a spreadsheet does not keep
        "share": (None, "0.125"),
        "talk": (None, "0.5"),
        "unknown": ("s", "–"),
        "last": ("s", "9999-12-31T23:59:59+00:00"),
        "first": ("s", "0001-01-01T00:00:00+14:00"),
    }


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00"])
def test_an_instant_at_the_calendars_end_is_one_cell_in_words(at: str) -> None:
    zone = "Pacific/Kiritimati" if at.startswith("9") else "America/Lima"
    assert words_in("es").cell("instant", at, zone) == at


@pytest.mark.parametrize("name", [" ", "\t", "\N{RIGHT-TO-LEFT MARK}", "\N{NO-BREAK SPACE} "])
def test_a_queue_whose_name_shows_nothing_is_seen(name: str) -> None:
    assert words_in("en").cell("text", name) == f"«{name}»"
    assert [words_in("en").cell("text", one) for one in ("", "400", " a")] == ["", "400", " a"]
