from sereno.observe.job_watch import Glance
from sereno.observe.rows import COLUMNS, MetricRow, table

from .facts import HOUR, MINUTE, ago, ahead, glance, job


def value(row: MetricRow, name: str) -> float:
    return row.values[[column.name for column in COLUMNS].index(name)]


def test_up_to_the_limit_each_job_has_its_row() -> None:
    shown = table(glance(job("etl.a", running=2), job("etl.b")), 2)

    assert [row.head for row in shown.rows] == ['{job="etl.a"', '{job="etl.b"']
    assert value(shown.rows[0], "sereno_runs_running") == 2
    assert [labels for labels, _ in shown.overdue] == [
        '{job="etl.a",severity="warning"}',
        '{job="etl.b",severity="warning"}',
    ]


def test_a_job_that_has_never_run_shows_zeros_and_its_next_slot() -> None:
    (row,) = table(glance(job(next_slot=ahead(HOUR))), 10).rows

    assert value(row, "sereno_job_next_slot_timestamp_seconds") == ahead(HOUR)
    assert set(row.values) == {0, ahead(HOUR)}


def test_beyond_the_limit_a_plugins_jobs_stand_together() -> None:
    jobs = [
        job("etl.a", succeeded=2, last_success_at=ago(HOUR), next_slot=ahead(9)),
        job("etl.b", succeeded=3, last_success_at=ago(2 * HOUR), next_slot=ahead(5)),
        job("clean.c", plugin="clean", succeeded=4, running=1, running_since=ago(MINUTE)),
    ]

    clean, etl = table(glance(*jobs), 2).rows

    assert (clean.head, etl.head) == ('{job="clean.*"', '{job="etl.*"')
    assert value(etl, "sereno_runs_total") == 5
    assert value(etl, "sereno_job_last_success_timestamp_seconds") == ago(2 * HOUR)
    assert value(etl, "sereno_job_next_slot_timestamp_seconds") == ahead(5)
    assert value(clean, "sereno_run_oldest_seconds") == MINUTE
    assert etl.members == ("etl.a", "etl.b")


def test_an_overdue_job_keeps_its_name_beyond_the_limit() -> None:
    late = job("etl.a", due_by=ago(90), severity="critical")

    shown = table(glance(late, job("etl.b"), job("etl.c")), 2)

    assert ('{job="etl.a",severity="critical"}', 90) in shown.overdue
    assert ('{job="etl.*",severity="critical"}', 0) in shown.overdue
    assert ('{job="etl.*",severity="warning"}', 0) in shown.overdue


def test_when_more_are_overdue_than_can_be_named_their_row_tells_the_worst_of_the_rest() -> None:
    late = [job(f"etl.j{n}", due_by=ago(10 * n)) for n in range(1, 5)]

    shown = dict(table(glance(*late), 1).overdue)

    assert shown == {
        '{job="etl.j4",severity="warning"}': 40,
        '{job="etl.*",severity="warning"}': 30,
    }


def test_before_the_first_snapshot_there_are_no_rows() -> None:
    assert table(Glance(snapshot=None, now=None, error="away"), 10).rows == ()
