"""Mistakes in a declaration, each a sentence when it is made: none waits for the first run."""

import dataclasses
import functools
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sereno import (
    DeclarationError,
    Retry,
    SerenoError,
    any_of,
    cron,
    every,
    jitter,
    job,
    once,
    retry,
    schedule,
    within,
)
from sereno.plugins import load_plugins
from sereno.settings import Settings

from ...planting import plant

declared: Any = job  # what follows is wrong on purpose, and a type checker would say so
scheduled: Any = schedule
tried: Any = retry
Tried: Any = Retry


async def good(run: Any) -> None: ...


async def noargs() -> None: ...


def two(run: Any, other: Any) -> None: ...


def named(*, run: Any) -> None: ...


def steps(run: Any) -> Any:
    yield 1


async def astream(run: Any) -> Any:
    yield 1


class Work:
    def __call__(self, run: Any) -> None: ...

    def method(self, run: Any) -> None: ...


@dataclasses.dataclass
class Data:
    site: str = ""


class Params(msgspec.Struct):
    site: str = ""


class Odd(msgspec.Struct):
    what: Work


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda: declared("a.b")(noargs), "noargs() cannot be called with the run alone; write"),
        (lambda: declared("a.b")(two), "two(run, other) cannot be called with the run alone"),
        (lambda: declared("a.b")(named), "named(*, run) cannot be called with the run alone"),
        (lambda: declared("a.b")(Work.method), "method(self, run) cannot be called with the run"),
        (lambda: declared("a.b")(steps), "steps is a generator, which would do nothing; drop the"),
        (lambda: declared("a.b")(astream), "astream is a generator"),
        (lambda: declared("a.b")(Work), "Work is no function"),
        (lambda: declared("a.b")(5), "5 is no function"),
        (lambda: declared("a.b")(declared("a.c")(good)), "it is put on another @job(...)"),
        (lambda: declared("a.b", params=Data), "params is Data, which is a dataclass"),
        (lambda: declared("a.b", params=dict), "params is dict, which is no msgspec.Struct"),
        (lambda: declared("a.b", params=Params()), "which is a value; give its class"),
        (lambda: declared("a.b", params={"site": str}), "which is no msgspec.Struct"),
        (lambda: declared("a.b", params=Odd), "params Odd has a field that JSON cannot fill"),
        (lambda: declared("a.b", after=declared("a.c")(good)), "write after='a.c'"),
        (lambda: declared("a.b", after=5), "after is 5, it must be names of jobs"),
        (lambda: declared("a.b", after=[declared("a.c")(good)]), "it must be names of jobs"),
        (lambda: declared("a.b", schedule=5)(good), "schedule is 5, it must be a trigger"),
        (lambda: declared("a.b", schedule=cron)(good), "schedule is cron, it must be a trigger"),
        (lambda: declared("a.b", schedule=type(cron("@daily")))(good), "schedule is Cron, it must"),
        (lambda: declared("a.b", schedule=[every("6h"), "6h"])(good), "schedule is '6h', it must"),
        (lambda: declared("a.b", schedule=timedelta(hours=1))(good), "it must be a trigger"),
        (lambda: declared("a.b", overlp="skip"), "unknown key 'overlp', did you mean 'overlap'?"),
        (lambda: declared("a.b", shcedule=1), "unknown key 'shcedule', did you mean 'schedule'?"),
        (lambda: declared("a.b", retry="lots")(good), "retry is 'lots', it must be a table or a"),
        (lambda: declared("a.b", retry=True)(good), "retry is True, it must be a table or"),
        (lambda: declared("a.b", retry=retry)(good), "it must be a table or a number"),
        (lambda: declared("a.b", retry={"attempts": "3"})(good), "attempts"),
        (lambda: declared("a.b", executor="gpu")(good).check(), "unknown executor 'gpu'"),
        (lambda: declared("a.b", executor=5)(good), "executor"),
        (lambda: declared("a.b", overlap=["skip"])(good), "overlap is ['skip'], it must be one of"),
        (lambda: declared("a.b", overlap=None)(good), "overlap is None, it must be one of"),
        (lambda: declared("a.b", severity=3)(good), "severity is 3, it must be one of"),
        (lambda: declared("a.b", timeout=True)(good), "timeout is True"),
        (lambda: declared("a.b", timeout="5")(good), "a number needs its unit, as in 5s"),
        (lambda: declared("a.b", timeout=object())(good), "timeout is <object"),
        (lambda: declared("a.b", grace="-5s")(good), "grace is '-5s'"),
        (lambda: declared("a.b", priority="high")(good), "priority is 'high', it must be a whole"),
        (lambda: declared("a.b", max_running=1.5)(good), "max_running is 1.5, it must be a whole"),
        (lambda: declared("a.b", concurrency_key=5)(good), "concurrency_key is 5, it must be a"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_job_names_the_job_and_the_remedy(declare: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert str(caught.value).startswith("job 'a.b': ")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda: declared(good), "@job: good is no name; write @job('cleanup.sessions') above the"),
        (lambda: declared("a.b", cron("@daily")), "job: it takes name by position, and Cron("),
        (lambda: declared(), "job: missing a required argument: 'name'"),
        (lambda: tried(attemps=3), "retry: unknown argument 'attemps', did you mean 'attempts'?"),
        (lambda: tried(3, delay="soon"), "retry: delay: duration 'soon': it cannot be read"),
        (lambda: tried("3"), "retry: attempts is '3', it must be a whole number"),
        (lambda: Tried(attempts=1.5), "retry: attempts is 1.5, it must be a whole number"),
        (lambda: Tried(attempts=True), "retry: attempts is True, it must be a whole number"),
        (lambda: Tried(delay="soon"), "retry: delay: duration 'soon': it cannot be read"),
        (lambda: Tried(delay=None), "retry: delay is None, it must be a duration, as '10s'"),
        (lambda: Tried(max_delay=[1]), "retry: max_delay is [1], it must be a duration"),
        (lambda: Tried(factor="2"), "retry: factor is '2', it must be a number"),
        (lambda: Tried(factor=float("nan")), "retry: factor is nan, it must be from 1 to 1000"),
        (lambda: Tried(jitter=None), "retry: jitter is None, it must be a number"),
        (lambda: scheduled("6h"), "schedule: '6h' is no trigger; write cron('0 8 * * *')"),
        (lambda: scheduled(every("6h"), lable="x"), "unknown key 'lable', did you mean 'label'?"),
        (lambda: scheduled(every("6h"), "full"), "schedule: it takes trigger by position, and '"),
        (lambda: scheduled(every("6h"), label=5), "schedule: label is 5, it must be a text"),
        (lambda: scheduled(every("6h"), params=[1]), "schedule: params is [1], it must be a table"),
        (lambda: scheduled(every("6h"), start="2026-01-01"), "it must be a datetime"),
        (lambda: scheduled(every("6h"), overlap="no"), "schedule: overlap is 'no', it must be one"),
        (lambda: cron("@daily", timezone="UTC"), "cron: unknown argument 'timezone'"),  # type: ignore[call-arg]
        (lambda: every("6h", ancor=0), "every: unknown argument 'ancor', did you mean 'anchor'?"),  # type: ignore[call-arg]
        (lambda: every(), "every: missing a required argument: 'interval'"),  # type: ignore[call-arg]
        (lambda: once(), "once: missing a required argument: 'at'"),  # type: ignore[call-arg]
        (lambda: within(every("6h"), stat="x"), "within: unknown argument 'stat', did you mean"),  # type: ignore[call-arg]
        (lambda: jitter(every("6h"), "5m", "key", 1), "jitter: it takes "),  # type: ignore[call-arg]
        (lambda: any_of(every("6h"), x=1), "any_of: unknown argument 'x'"),  # type: ignore[call-arg]
    ],
)  # fmt: skip
def test_a_mistake_in_a_part_of_it_is_a_sentence_too(declare: Any, sentence: str) -> None:
    with pytest.raises(SerenoError) as caught:
        declare()
    assert sentence in str(caught.value)


def test_a_retry_takes_durations_as_people_write_them() -> None:
    assert Tried(delay="1s", max_delay=60) == retry(1, delay=1, max_delay="1m")
    assert Tried(delay="1s").delay == timedelta(seconds=1)
    assert declared("a.b", retry=Tried(attempts=3, delay="1s"))(good).policies.retry.attempts == 3


@pytest.mark.parametrize(
    "function",
    [
        good,
        lambda run: None,
        lambda *args: None,
        lambda run, other=1: None,
        functools.partial(two, other=1),
        Work(),
        Work().method,
        print,
    ],
)
def test_whatever_takes_a_run_is_a_job(function: Any) -> None:
    assert declared("a.b")(function).function is function


PLUGIN = """
import msgspec
from sereno import *

@job(
    "planted.bad",
    {arguments}
)
async def bad({parameters}):
    ...

@hookimpl
def sereno_register_jobs():
    return [bad]
"""


@pytest.mark.parametrize(
    ("arguments", "parameters", "sentence"),
    [
        ("", "", "job 'planted.bad': bad() cannot be called with the run alone; write bad(run)"),
        ("params=dict,", "run", "job 'planted.bad': params is dict"),
        ("retry=Retry(delay='never'),", "run", "job 'planted.bad': retry: delay: duration 'never'"),
        ("retry=Retry(dealy='1s'),", "run", "job 'planted.bad': "),
        ("cron('@daily'),", "run", "job 'planted.bad': job: it takes name by position"),
        ("schedule=cron('0 8 * *'),", "run", "job 'planted.bad': cron expression '0 8 * *'"),
        ("overlp='skip',", "run", "job 'planted.bad': unknown key 'overlp'"),
        ("schedule=every('6h', anchr=1),", "run", "job 'planted.bad': every: unknown argument"),
    ],
)
def test_a_plugin_with_a_mistake_is_told_with_job_file_and_line(
    arguments: str, parameters: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, PLUGIN.format(arguments=arguments, parameters=parameters))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("planted")]:
        monkeypatch.delitem(sys.modules, name)

    record = load_plugins(Settings()).records["planted"]

    assert record.state == "failed"
    assert record.reason.startswith(sentence)
    assert record.reason.endswith((".py:5)", ".py:7)"))
