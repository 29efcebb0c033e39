from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sereno.observe.exposition import MetricsPage
from sereno.observe.histogram import Histogram


def histogram() -> Histogram:
    return Histogram("took_seconds", "Took.", (1.0, 5.0))


def test_a_job_that_has_not_run_shows_every_bucket_at_zero() -> None:
    assert histogram().lines('{job="a"', ["a"], exemplars=False) == (
        'took_seconds_bucket{job="a",le="1.0"} 0\n'
        'took_seconds_bucket{job="a",le="5.0"} 0\n'
        'took_seconds_bucket{job="a",le="+Inf"} 0\n'
        'took_seconds_sum{job="a"} 0.0\n'
        'took_seconds_count{job="a"} 0\n'
    )


def test_a_value_counts_in_its_bucket_and_in_all_above() -> None:
    seen = histogram()
    for value in (1.0, 1.5, 99.0):
        seen.observe("a", value, 1, 0.0)

    assert seen.lines('{job="a"', ["a"], exemplars=False) == (
        'took_seconds_bucket{job="a",le="1.0"} 1\n'
        'took_seconds_bucket{job="a",le="5.0"} 2\n'
        'took_seconds_bucket{job="a",le="+Inf"} 3\n'
        'took_seconds_sum{job="a"} 101.5\n'
        'took_seconds_count{job="a"} 3\n'
    )


def test_jobs_under_one_row_are_counted_together() -> None:
    seen = histogram()
    seen.observe("a", 0.5, 1, 0.0)
    seen.observe("b", 7.0, 2, 0.0)

    text = seen.lines('{job="p.*"', ["a", "b", "c"], exemplars=False)

    assert 'took_seconds_bucket{job="p.*",le="1.0"} 1\n' in text
    assert 'took_seconds_count{job="p.*"} 2\n' in text
    assert 'took_seconds_count{job="a"} 1\n' in seen.lines('{job="a"', ["a"], exemplars=False)


def test_an_exemplar_names_the_last_run_of_its_bucket() -> None:
    seen = histogram()
    seen.observe("a", 2.0, 41, 1700000000.0)
    seen.observe("a", 3.0, 42, 1700000001.5)
    page = MetricsPage(openmetrics=True)
    page.family("took_seconds", "histogram", "Took.")
    page.lines([seen.lines('{job="a"', ["a"], exemplars=True)])

    (family,) = text_string_to_metric_families(page.text().decode())  # type: ignore[no-untyped-call]
    told = [s.exemplar for s in family.samples if s.exemplar]

    assert len(told) == 1
    assert (told[0].labels, told[0].value) == ({"run_id": "42"}, 3.0)
    assert float(told[0].timestamp) == 1700000001.5


def test_a_job_that_is_gone_is_forgotten() -> None:
    seen = histogram()
    seen.observe("a", 2.0, 41, 0.0)
    seen.forget(["b"])

    assert 'count{job="a"} 0' in seen.lines('{job="a"', ["a"], exemplars=False)
