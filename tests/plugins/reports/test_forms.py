"""A report as HTML, on paper, in a spreadsheet and as CSV."""

import csv
import io
import itertools
import re
import tomllib
import zipfile
import zlib
from datetime import date
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_reports.chart import NARROW, WIDE, Size, draw
from sereno_reports.declared import ReportChart, ReportColumn, ReportTable
from sereno_reports.figures import Grid
from sereno_reports.letter import lying, to_letter
from sereno_reports.page import to_html
from sereno_reports.paper import to_pdf
from sereno_reports.sheet import neutral, to_csv
from sereno_reports.summary import summary
from sereno_reports.view import Cell, TableView, View
from sereno_reports.words import words_in
from sereno_reports.workbook import to_xlsx

from .some import some_figures, some_look

LONG = "cola-de-atencion-a-los-clientes-de-la-comunidad-autonoma-en-turno-de-noche-2-b"


def page(**changed: Any) -> str:
    look = {k: changed.pop(k) for k in ("language", "organisation", "targets") if k in changed}
    names = changed.pop("names", None)
    figures = some_figures(**changed)
    return to_html(figures, some_look(figures, names, **look))


def plain(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_page_is_in_spanish_with_spanish_numbers_and_units() -> None:
    text = plain(page())
    assert "martes, 19 de noviembre de 2024" in text
    assert "Ofrecidas 1.500 de 1.500 llamadas entrantes" in text
    assert "Atendidas 1.350 90,0 % de las ofrecidas" in text
    assert "Nivel de servicio 80,0 % atendidas en 20 s o menos desde la cola" in text
    assert "Tiempo medio de operación 3:07 min" in text
    assert "Espera más larga 1:02:03 h" in text


def test_the_page_may_be_in_english() -> None:
    text = plain(page(language="en"))
    assert "Tuesday, 19 November 2024" in text
    assert "Offered 1,500 of 1,500 inbound calls" in text


def test_both_languages_say_the_same_things() -> None:
    read = {
        language: tomllib.loads((files("sereno_reports") / f"texts/{language}.toml").read_text())
        for language in ("es", "en")
    }
    assert read["es"].keys() == read["en"].keys()
    fields = re.compile(r"{\w+}")
    for key, text in read["es"].items():
        if isinstance(text, str) and key not in ("date", "short_date"):
            assert set(fields.findall(text)) == set(fields.findall(read["en"][key])), key


def test_what_is_unknown_is_a_dash_and_no_number_in_every_form() -> None:
    unknown: dict[str, Any] = {"level_in": None, "wait_s": None, "waits": None}
    figures = some_figures(**unknown)
    look = some_look(figures, targets={"service_level": 0.8})
    text = plain(to_html(figures, look))
    assert "Nivel de servicio – atendidas" in text
    assert "Nivel de servicio (%);–" in to_csv(figures, look)
    cells = sheet_cells(to_xlsx(figures, look), 1)
    assert cells[cells.index("Nivel de servicio") + 1] == "–"


@pytest.mark.parametrize(
    ("target", "sentence", "kind"),
    [
        (0.8, "✓ meta: 80,0 % o más", "met"),
        (0.9, "✗ meta: 90,0 % o más (−10,0 puntos)", "missed"),
    ],
)
def test_a_target_is_told_by_colour_by_sign_and_in_words(
    target: float, sentence: str, kind: str
) -> None:
    html = page(targets={"service_level": target})
    assert sentence in plain(html)
    assert re.search(rf'class="card\s+{kind}"', html)
    assert f'<td class="n {kind}">' in html
    assert ("✓" if kind == "met" else "✗") in html


@pytest.mark.parametrize(
    ("waited", "sentence"),
    [(20.4, "✓ meta: 20 s o menos"), (20.6, "✗ meta: 20 s o menos (+0,6 s)")],
)
def test_what_is_written_as_the_target_is_meets_it(waited: float, sentence: str) -> None:
    html = page(wait_s=waited * 1350, targets={"answer": 20})
    assert sentence in plain(html)


def test_nothing_bad_is_not_coloured_as_bad() -> None:
    assert '<div class="card bad ">' in page()
    assert "card bad" not in page(abandoned=0)


def test_a_short_table_stands_on_one_sheet() -> None:
    html = page()
    assert re.search(r"@media print.*\.short {[^}]*break-inside: avoid", html, re.DOTALL)
    assert '<section class="table week short">' in html
    assert '<section class="table hours">' in html


def test_a_long_day_is_shown_with_names_of_agents_and_queues() -> None:
    names = {"agent": {"201": "Ana <López>"}, "queue": {"400": "Ventas"}}
    html = page(names=names)
    assert "<bdi>Ana &lt;López&gt;</bdi> <span" in html
    assert "Ventas 400" in plain(html)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page())


def test_a_day_that_is_not_over_or_not_loaded_and_a_small_sample_are_told() -> None:
    assert "cifras parciales" in page(partial=True)
    assert "pueden faltar llamadas de north, south" in page(behind=["north", "south"])
    assert "Muestra pequeña (7 ofrecidas)" in page(offered=7)
    assert "No hubo llamadas entrantes" in page(calls=0)


def test_what_callers_and_operators_write_stays_text() -> None:
    html = page(queues=("<script>alert(1)</script>",), organisation="A & <b>")
    assert "<script>" not in html
    assert "A &amp; &lt;b&gt;" in html


def test_the_chart_is_well_formed_and_as_high_as_its_counts() -> None:
    html = page()
    svg = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    rects = {rect.get("class"): float(rect.get("height") or 0) for rect in svg.iter("rect")}
    assert rects["good"] == pytest.approx(9 * rects["bad"], abs=0.1)
    assert {rect.get("fill") for rect in svg.iter("rect")} == {"#1f7a72", "#d5573b"}


@pytest.mark.parametrize("size", [WIDE, NARROW])
@given(counts=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=60))
def test_every_bar_and_label_stands_inside_the_chart(size: Size, counts: list[int]) -> None:
    label, calls = (
        ReportColumn(name="label", title="", unit="text"),
        ReportColumn(name="calls", title="Calls"),
    )
    table = ReportTable(
        name="t",
        title="",
        sql="",
        columns=(label, calls),
        chart=ReportChart(label="label", series={"calls": "good"}),
    )
    rows = [
        [Cell(f"{n:02}:00", f"{n:02}:00", label), Cell(str(count), count, calls)]
        for n, count in enumerate(counts)
    ]
    raw = [{"label": f"{n:02}:00", "calls": count} for n, count in enumerate(counts)]
    view = TableView(table, "", "", [label, calls], ["", "Calls"], rows, None, raw)
    chart = draw(view, words_in("es").number, size)
    if not any(counts):  # a chart of nothing is a hole in the page
        assert chart is None
        return
    assert chart is not None
    assert 1 < len(chart.lines) <= 6
    widest = max(len(tick) for _, tick in chart.lines)
    assert chart.left >= size.letter * widest  # the labels of the axis are not cut
    for bar in chart.bars:
        assert chart.left <= bar.x < bar.x + bar.width <= chart.right
        assert all(y >= 21.9 and y + height <= chart.base + 0.1 for _, y, height in bar.layers)
    shown = [bar for bar in chart.bars if bar.tick]
    for one, following in itertools.pairwise(shown):
        assert following.x - one.x >= size.letter * max(len(one.tick), len(following.tick))


def test_a_table_of_many_columns_lies_on_its_side_and_keeps_inside_the_sheet() -> None:
    upright, aside = "size: A4;", "size: A4 landscape;"
    assert aside not in page()
    figures = some_figures()
    grid = Grid(["number", "entries"], [[f"{LONG}{n}", n] for n in range(40)])
    figures = msgspec.structs.replace(figures, name="queues", tables={"queues": grid})
    html = to_html(figures, some_look(figures, {}))
    assert upright in html
    assert aside in html


def test_a_count_of_one_row_does_not_meet_the_target_of_all() -> None:
    figures = some_figures(abandoned=150)
    view = View(figures, some_look(figures, {}, targets={"abandoned": 200}))
    column = ReportColumn(name="abandoned", title="", good="low")
    assert view.judged(column, 150) == "met"
    assert [view.part(column, count).verdict for count in (150, 300)] == ["", "missed"]


def test_what_takes_less_than_a_second_is_no_nothing() -> None:
    spoken = words_in("es").duration
    assert [spoken(s) for s in (0, 0.004, 0.25, 0.96, 1.2)] == [
        "0\N{NO-BREAK SPACE}s",
        "<\N{NO-BREAK SPACE}0,1\N{NO-BREAK SPACE}s",
        "0,2\N{NO-BREAK SPACE}s",
        "1\N{NO-BREAK SPACE}s",
        "1\N{NO-BREAK SPACE}s",
    ]


def test_a_week_is_told_by_its_days_in_both_languages() -> None:
    said = [
        words_in("es").period("week", date(2024, 11, 18), date(2024, 11, 24)),
        words_in("en").period("week", date(2024, 10, 28), date(2024, 11, 3)),
        words_in("es").period("week", date(2024, 12, 30), date(2025, 1, 5)),
    ]
    assert said == [
        "Semana del 18 al 24 de noviembre de 2024",
        "Week of 28 October to 3 November 2024",
        "Semana del 30 de diciembre de 2024 al 5 de enero de 2025",
    ]


# R10: names of 80 letters, 500,000 calls
def test_a_day_fits_on_two_sheets_of_a4_whatever_queues_are_called() -> None:
    many = tuple(f"{LONG}{n:02}" for n in range(20))
    pdf = to_pdf(
        page(
            queues=many,
            agents=tuple(str(n) for n in range(200, 260)),
            calls=500_000,
            answered=450_000,
            offered=480_000,
            names={
                "agent": {str(n): "María del Carmen Fernández-Villaverde" for n in range(200, 260)}
            },
            targets={"service_level": 0.9, "abandon_rate": 0.01, "handling": 100, "answer": 5},
            behind=["pbx"],
            organisation="Centro de atención al ciudadano",
        )
    )
    assert pages(pdf) == 2


def test_the_same_report_is_the_same_bytes_in_every_form() -> None:
    def forms() -> tuple[Any, ...]:
        figures = some_figures()
        look = some_look(figures)
        html = to_html(figures, look)
        return html, to_pdf(html), to_xlsx(figures, look), to_csv(figures, look)

    assert forms() == forms()


def test_a_spanish_spreadsheet_opens_the_csv_in_columns() -> None:
    figures = some_figures()
    text = to_csv(figures, some_look(figures))
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert lines[0] == ["Informe diario de llamadas", "martes, 19 de noviembre de 2024"]
    assert ["Nivel de servicio (%)", "80,0"] in lines
    assert ["Espera media (s)", "14,5"] in lines
    hours = lines[lines.index(["Llamadas por hora"]) + 1 :]
    assert hours[0][:3] == ["Hora", "Entrantes", "Ofrecidas"]
    assert hours[1][:3] == ["00:00", "1500", "1500"]


def test_an_english_spreadsheet_has_commas_and_points() -> None:
    figures = some_figures()
    lines = list(csv.reader(io.StringIO(to_csv(figures, some_look(figures, language="en")))))
    assert ["Mean wait (s)", "14.5"] in lines


def test_one_table_alone_is_a_plain_csv() -> None:
    figures = some_figures(queues=("400", "410"))
    names = {"queue": {"400": "Ventas"}}
    text = to_csv(figures, some_look(figures, names), "queues")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";"))
    assert [(row["Cola"], row["Nombre"]) for row in rows] == [("400", "Ventas"), ("410", "")]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff20"])
def test_no_cell_is_taken_for_a_formula(start: str) -> None:
    queue = f"{start}HYPERLINK(1)"
    assert neutral(queue) == f"'{queue}"
    figures = some_figures(queues=(queue,))
    look = some_look(figures)
    rows = list(csv.reader(io.StringIO(to_csv(figures, look), newline=""), delimiter=";"))
    assert all(not cell.startswith(start) for row in rows for cell in row)
    with zipfile.ZipFile(io.BytesIO(to_xlsx(figures, look))) as book:
        assert not any(b"<f>" in book.read(name) for name in book.namelist())


def test_the_workbook_has_a_sheet_for_each_table_and_cells_of_real_types() -> None:
    figures = some_figures(queues=("a\x0bb", LONG))
    content = to_xlsx(figures, some_look(figures))
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
        hours = ElementTree.fromstring(book.read("xl/worksheets/sheet2.xml"))
        styles = book.read("xl/styles.xml").decode()
    assert names[:2] == ["Resumen", "Llamadas por hora"]
    assert len(names) == 1 + len(some_look(figures).declared.tables)
    assert all(len(name) <= 31 for name in names)
    cells = {cell.get("r"): cell for cell in hours.iter(f"{XLSX}c")}
    assert cells["B2"].get("t") is None  # a number and no text
    assert cells["B2"].findtext(f"{XLSX}v") == "1500"
    share, duration = cells["I2"], cells["J2"]
    assert float(share.findtext(f"{XLSX}v") or 0) == 0.8
    assert float(duration.findtext(f"{XLSX}v") or 0) == pytest.approx(187 / 86_400)
    assert "0.0%" in styles
    assert "[h]:mm:ss" in styles


def test_the_summary_fits_a_terminal() -> None:
    figures = some_figures()
    look = some_look(figures)
    row = {
        "figures": msgspec.to_builtins(figures),
        "look": msgspec.to_builtins(look),
        "revision": 3,
    }
    text = summary(row, "en")
    assert "Tuesday, 19 November 2024 (Europe/Madrid), r3" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_comparison_of_one_week_and_of_several_is_said_in_both_languages() -> None:
    for language, one, several in (
        ("es", "frente a el martes anterior", "frente a la media de 2 martes"),
        ("en", "against last Tuesday", "against the mean of 2 Tuesdays"),
    ):
        figures = some_figures()
        row = {"offered": 750, "level_in": 1350, "level_of": 1500}
        figures.context.earlier = [row]
        found = View(figures, some_look(figures, language=language)).cards
        assert found[0].against.startswith("+100")
        assert one.replace("a el ", "al ") in found[0].against
        assert "10" in found[3].against  # points
        figures.context.earlier = [row, row]
        found = View(figures, some_look(figures, language=language)).cards
        assert several in found[0].against


XLSX = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet_cells(content: bytes, number: int) -> list[str]:
    """Return the cells of a sheet in order, as texts."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        texts = ["".join(one.itertext()) for one in shared.iter(f"{XLSX}si")]
        sheet = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
    return [
        texts[int(value)] if cell.get("t") == "s" else value
        for cell in sheet.iter(f"{XLSX}c")
        if (value := cell.findtext(f"{XLSX}v")) is not None
    ]


def pages(pdf: bytes) -> int:
    """Return how many sheets a PDF has: objects may be packed."""
    found = [pdf]
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(zlib.decompress(packed))
        except zlib.error:
            continue
    return sum(len(re.findall(rb"/Type\s*/Page\b", part)) for part in found)


def test_days_under_a_chart_are_told_by_their_number() -> None:
    label, calls = (
        ReportColumn(name="d", title="", unit="date"),
        ReportColumn(name="calls", title="Calls"),
    )
    chart = ReportChart(label="d", series={"calls": "good"})
    table = ReportTable(name="t", title="", sql="", columns=(label, calls), chart=chart)
    days = [f"2024-11-{n:02}" for n in range(1, 25)]
    words = words_in("es")
    rows = [[Cell(words.cell("date", d), d, label), Cell("1", 1, calls)] for d in days]
    raw = [{"d": d, "calls": 1} for d in days]
    view = TableView(table, "", "", [label, calls], ["", "Calls"], rows, None, raw)
    drawn = draw(view, words.number)
    assert drawn is not None
    assert [bar.tick for bar in drawn.bars] == [str(n) for n in range(1, 25)]


def test_a_mail_s_body_has_its_charts_in_cells_and_needs_nothing_from_elsewhere() -> None:
    figures = some_figures(queues=tuple(f"<b>{n}" for n in range(40)))
    body = to_letter(figures, some_look(figures, {}, language="en"))
    for lost in (
        "<svg",
        "<style",
        "class=",
        "var(",
        "grid",
        "flex",
        "src=",
        "href=",
        "url(",
        "<b>",
    ):
        assert lost not in body, lost  # readers of mail drop these, or fetch them
    assert "Daily report of calls" in body
    assert "and 28 more in what is attached" in body
    assert body.count('bgcolor="#1f7a72"') == 24  # a bar for each hour
    assert len(body) < 102_000  # beyond that, Gmail cuts


def test_lying_bars_are_as_long_as_their_counts() -> None:
    figures = some_figures()
    view = View(figures, some_look(figures, {}))
    bars = lying(view.table("hours"), view)
    assert bars is not None
    assert bars.legend[0] == ("good", "Atendidas")
    assert bars.rows[0].layers == (("good", 90.0), ("bad", 10.0))
    assert all(sum(share for _, share in row.layers) + row.rest == 100 for row in bars.rows)
    assert lying(view.table("outcomes"), view) is None
