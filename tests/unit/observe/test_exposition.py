"""Both formats, read back with the parsers of prometheus_client."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from sereno.observe.exposition import MetricsPage, labels, wants_openmetrics


def parsed(page: MetricsPage) -> list[Metric]:
    text = page.text().decode()
    read = read_openmetrics if page.openmetrics else read_text
    families: Iterable[Metric] = read(text)  # type: ignore[no-untyped-call]
    return list(families)


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_page_reads_back_as_it_was_written(openmetrics: bool) -> None:
    page = MetricsPage(openmetrics=openmetrics)
    page.family("sereno_leader", "gauge", "Who leads.", [("", 1)])
    page.family("sereno_runs_total", "counter", "Runs.", [('{job="a.b",state="lost"}', 3)])

    leader, runs = parsed(page)

    assert (leader.name, leader.type, leader.samples[0].value) == ("sereno_leader", "gauge", 1)
    assert (runs.name, runs.type) == ("sereno_runs", "counter")
    assert runs.samples[0].name == "sereno_runs_total"
    assert runs.samples[0].labels == {"job": "a.b", "state": "lost"}


@pytest.mark.parametrize("openmetrics", [False, True])
@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\n")))
def test_any_label_value_reads_back(openmetrics: bool, value: str) -> None:
    page = MetricsPage(openmetrics=openmetrics)
    page.family("x", "gauge", "X.", [(labels({"a": value, "b": "2"}), 1)])

    (family,) = parsed(page)

    assert family.samples[0].labels == {"a": value, "b": "2"}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*", True),
        ("application/openmetrics-text; version=1.0.0; q=0.75", True),
        ("application/openmetrics-text;q=0,text/plain", False),
        ("text/html,*/*", False),
        ("", False),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted
