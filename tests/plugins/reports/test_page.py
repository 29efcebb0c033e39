import csv
import io
import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sereno_reports.call import Call
from sereno_reports.chart import draw
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Facts, Figures, Row
from sereno_reports.page import to_html
from sereno_reports.settings import Settings
from sereno_reports.sheet import neutral, to_csv
from sereno_reports.summary import summary
from sereno_reports.tally import Tally
from sereno_reports.words import words_in

DAY = BusinessDay(date(2026, 11, 17), "Europe/Madrid")
NOW = datetime(2026, 11, 18, 7, tzinfo=UTC)


def some_figures(**known: Any) -> Figures:
    tally = Tally(DAY, 20, 5)
    at = DAY.start + timedelta(hours=10)
    for n in range(1500):
        tally.add(
            Call(
                started_at=at + timedelta(seconds=n),
                length=200,
                reached=True,
                answered=n % 10 != 0,
                talk=187,
                wait=n % 60,
                queue=known.get("queue", "400"),
                agent="201",
            )
        )
    return tally.figures(partial=known.get("partial", False))


def test_the_page_is_in_spanish_with_spanish_numbers() -> None:
    html = to_html(some_figures(), Settings(zone=DAY.zone), NOW)
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "martes, 17 de noviembre de 2026" in text
    assert "Ofrecidas 1.500 de 1.500 llamadas entrantes" in text
    assert "Atendidas 1.350 90,0 % de las ofrecidas" in text
    assert "Tiempo medio de operación 3:07" in text
    assert "Generado el 2026-11-18 08:00" in text


def test_the_page_may_be_in_english() -> None:
    html = to_html(some_figures(), Settings(zone=DAY.zone, language="en"), NOW)
    assert "Tuesday, 17 November 2026" in html
    assert "90.0\N{NO-BREAK SPACE}%" in html


def test_both_languages_have_the_same_texts() -> None:
    def shape(value: Any) -> Any:
        return (
            {k: shape(v) for k, v in value.items() if k != "definition"}
            if isinstance(value, dict)
            else None
        )

    read = {
        language: tomllib.loads((files("sereno_reports") / f"texts/{language}.toml").read_text())
        for language in ("es", "en")
    }
    assert shape(read["es"]) == shape(read["en"])
    assert len(read["es"]["definition"]) == len(read["en"]["definition"])


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = to_html(some_figures(), Settings(), NOW)
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)


def test_the_page_says_what_it_counts_and_with_what_choices() -> None:
    html = to_html(some_figures(), Settings(service_level_seconds=33), NOW)
    for text in ("linkedid", "Colgar dentro de la IVR no es abandonar", "nivel de servicio 33 s"):
        assert text in html


def test_a_day_that_is_not_over_and_a_small_sample_are_told() -> None:
    assert "cifras parciales" in to_html(some_figures(partial=True), Settings(), NOW)
    tally = Tally(DAY, 20, 5)
    tally.add(Call(started_at=DAY.start, length=30, reached=True))
    assert "Muestra pequeña (1 ofrecidas)" in to_html(tally.figures(), Settings(), NOW)


def test_what_callers_and_operators_write_stays_text() -> None:
    html = to_html(
        some_figures(queue="<script>alert(1)</script>"), Settings(organisation="A & <b>"), NOW
    )
    assert "<script>" not in html
    assert "A &amp; &lt;b&gt;" in html


def test_the_chart_is_well_formed_and_as_high_as_its_counts() -> None:
    html = to_html(some_figures(), Settings(), NOW)
    svg = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    rects = {rect.get("class"): float(rect.get("height") or 0) for rect in svg.iter("rect")}
    assert rects["answered"] == pytest.approx(9 * rects["abandoned"], abs=0.1)


@given(st.lists(st.integers(0, 20_000), min_size=23, max_size=25))
def test_every_bar_stands_inside_the_chart(counts: list[int]) -> None:
    chart = draw(
        [Row(label=f"{n:02}:00", facts=Facts(ivr=count)) for n, count in enumerate(counts)]
    )
    assert 1 < len(chart.lines) <= 6
    for bar in chart.bars:
        assert chart.left <= bar.x < bar.x + bar.width <= chart.right
        assert all(y >= 11.9 and y + height <= chart.base + 0.1 for _, y, height in bar.layers)
    ticks = [count for _, count in chart.lines]
    assert ticks[-1] >= max(counts)


def test_the_sheet_has_a_row_for_each_hour_queue_agent_and_the_total() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(some_figures(), words_in("es")))))
    assert [row["sección"] for row in rows] == ["hora"] * 24 + ["cola", "agente", "total"]
    assert rows[10]["etiqueta"] == "10:00"
    assert rows[10]["inicio_utc"] == "2026-11-17T09:00:00+00:00"
    assert rows[-1]["abandon_rate"] == "0.1"
    assert rows[0]["abandon_rate"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_taken_for_a_formula(start: str) -> None:
    queue = f"{start}HYPERLINK(1)"
    assert neutral(queue) == f"'{queue}"
    rows = list(
        csv.reader(io.StringIO(to_csv(some_figures(queue=queue), words_in("es")), newline=""))
    )
    assert all(not cell.startswith(start) for row in rows for cell in row)


def test_the_summary_fits_a_terminal() -> None:
    text = summary(some_figures(), 3)
    assert "Tuesday, 17 November 2026 (Europe/Madrid), revision 3" in text
    assert all(len(line) <= 79 for line in text.splitlines())
