from datetime import timedelta
from typing import Annotated, Any

import msgspec
import pytest

from sereno import DeclarationError, Job, ParamsError, RunContext, every, job, schedule


class Days(msgspec.Struct):
    days: Annotated[int, msgspec.Meta(ge=1)] = 30
    tables: list[str] = []


@job("test.days", params=Days)
def delete_old(run: RunContext[Days]) -> None:
    """Delete what is
    too old.

    And more.
    """


@job("test.wait")
async def wait(run: RunContext[Any]) -> None: ...


def test_the_kind_of_function_decides_where_it_runs() -> None:
    assert delete_old.policies.executor == "thread"
    assert wait.policies.executor == "async"
    assert (
        job("a.b", params=Days, executor="process")(delete_old.function).policies.executor
        == "process"
    )


def test_the_first_sentence_of_the_docstring_describes_the_job() -> None:
    assert delete_old.description == "Delete what is too old."
    assert wait.description == ""
    assert job("a.b", params=Days, description="Else.")(delete_old.function).description == "Else."


def test_schedules_are_one_trigger_or_several_with_labels() -> None:
    one = job("a.b", schedule=every("6h"))(wait.function)
    two = job(
        "a.b",
        schedule=[every("6h"), schedule(every("1d"), label="full", params={"all": True})],
    )(wait.function)

    assert [s.name(one.name) for s in one.schedules] == ["a.b"]
    assert [s.name(two.name) for s in two.schedules] == ["a.b", "a.b@full"]


def test_upstream_jobs_are_one_name_or_several() -> None:
    assert job("a.b", after="c.d")(wait.function).after == ("c.d",)
    assert job("a.b", after=["c.d", "e.f"])(wait.function).after == ("c.d", "e.f")


def test_params_get_defaults_and_become_plain_values() -> None:
    assert delete_old.checked_params({}) == {"days": 30, "tables": []}
    assert delete_old.checked_params({"days": "7"}) == {"days": 7, "tables": []}


def test_a_job_without_params_of_its_own_takes_any() -> None:
    assert wait.checked_params({"x": [1, None]}) == {"x": [1, None]}


def test_settings_change_a_job_without_touching_the_plugin() -> None:
    changed = wait.changed(schedule=every("1h"), timeout="5m")

    assert [s.trigger.text for s in changed.schedules] == [every("1h").text]
    assert changed.policies.timeout == timedelta(minutes=5)
    assert wait.schedules == ()


@pytest.mark.parametrize("name", ["", "Etl", "etl sync", "etl.", ".etl", "1etl", "é", "a" * 121])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="a name is lower-case words joined by dots"):
        job(name)


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (
            lambda: job("a.b", schedule="0 * * * *")(wait.function),
            r"job 'a.b': schedule is the text '0 \* \* \* \*'; write cron\('0 \* \* \* \*'\)",
        ),
        (
            lambda: job("a.b", schedule=[every("1h"), every("2h")])(wait.function),
            "job 'a.b': several schedules want a label each",
        ),
        (
            lambda: job("a.b", params=Days, executor="async")(delete_old.function),
            "job 'a.b': executor 'async' wants an async def, delete_old is a plain function",
        ),
        (
            lambda: job("a.b", shedule=every("1h"))(wait.function),
            "job 'a.b': unknown key 'shedule', did you mean 'schedule'",
        ),
        (
            lambda: schedule(every("1h"), overdue_after="2h"),
            "schedule: overdue_after is of the job, over all its schedules",
        ),
        (
            lambda: schedule(every("1h"), severity="info"),
            "schedule: severity is of the job, over all its schedules",
        ),
        (
            lambda: job("a.b", after="a.c", concurrency_key="{site}")(wait.function).check(),
            "job 'a.b', after a.c: concurrency_key '{site}' names the param 'site'",
        ),
        (
            lambda: wait.checked_policies({"executor": "proces"}, "schedule 'x'"),
            "schedule 'x': unknown executor 'proces', did you mean 'process'?",
        ),
        (
            lambda: delete_old.checked_policies({"executor": "async"}, "schedule 'x'"),
            "schedule 'x': executor 'async' wants an async def",
        ),
    ],
)
def test_a_job_that_contradicts_itself_is_refused(declare: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        declare()


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"day": 1}, "job 'test.days': unknown param 'day', did you mean 'days'?"),
        ({"xyz": 1}, "job 'test.days': unknown param 'xyz'; it takes days, tables"),
        ({"days": 0}, "job 'test.days': params do not fit: Expected `int` >= 1 - at `$.days`"),
        (
            {"days": "x"},
            "job 'test.days': params do not fit: Expected `int`, got `str` - at `$.days`",
        ),
    ],
)
def test_params_that_do_not_fit_are_refused(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        delete_old.checked_params(params)

    assert str(refusal.value) == sentence


def test_a_job_is_what_the_decorator_leaves() -> None:
    assert isinstance(wait, Job)
