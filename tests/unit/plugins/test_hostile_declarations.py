"""What a plugin declares and nobody can keep or follow fails that plugin, by name, and no other."""

import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sereno import (
    ConfigurationError,
    Trigger,
    TriggerArguments,
    cron,
    every,
    hookimpl,
    job,
    schedule,
)
from sereno.model.job import Job
from sereno.model.policies import Policies
from sereno.model.schedule import Schedule
from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import ScheduleSettings, Settings
from sereno.triggers import guard


async def nothing(run: Any) -> None:
    """Do nothing."""


def plugin(**hooks: Callable[..., Any]) -> SimpleNamespace:
    marked = {f"sereno_{name}": hookimpl(hook) for name, hook in hooks.items()}
    return SimpleNamespace(__name__="planted", **marked)


def declaring(*jobs: object) -> SimpleNamespace:
    return plugin(register_jobs=lambda: list(jobs))


def collected(bad: object, name: str = "bad", settings: Settings | None = None) -> Registry:
    """Return what is declared by a good plugin, a bad one, and another good one after it."""
    one, two = job("one.job", schedule=every("1h"))(nothing), job("two.job")(nothing)
    extra = [("one", declaring(one)), (name, bad), ("two", declaring(two))]
    chosen = settings or Settings()
    return collect(load_plugins(chosen, extra=extra, entry_points=False), chosen)


def reason(bad: object, name: str = "bad") -> str:
    """Return why the bad plugin failed, which alone has."""
    found = collected(bad, name)
    failed = [r for r in found.records.values() if r.state == "failed"]
    assert len(failed) == 1, found.records
    assert set(found.jobs) == {"one.job", "two.job"}
    assert set(found.schedules) == {"one.job"}
    return failed[0].reason


def declared(**parts: Any) -> Job:
    return Job(**{"name": "bad.job", "function": nothing, **parts})


def deep(levels: int) -> Any:
    found: Any = []
    for _ in range(levels):
        found = [found]
    return found


DEEP = deep(2_000)
LARGE = "x" * 1_000_001


class Odd(msgspec.Struct):
    callback: Callable[[], None]


class Told(Trigger):
    """A trigger without a kind."""

    def __init__(self, text: object = "every 1h") -> None:
        self._told = text

    @property
    def text(self) -> str:
        if isinstance(self._told, BaseException):
            raise self._told
        return self._told  # type: ignore[return-value]

    def next_after(self, instant: datetime) -> datetime | None:
        return instant + timedelta(hours=1)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: declared(description="a\x00b"), "job 'bad.job': its description holds '\\x00'"),
        (lambda: declared(description="\ud800"), "its description holds '\\ud800' at character 1"),
        (lambda: declared(description="x" * 2_001), "has 2001 characters, the limit is 2000"),
        (lambda: declared(description=b"x"), "its description is b'x', it must be a text"),
        (lambda: declared(name="Bad\x00"), "a name is lower-case words"),
        (lambda: declared(name=7), "a name is lower-case words"),
        (lambda: declared(name="a" * 121), "a name is lower-case words"),
        (lambda: declared(function=None), "None is no function"),
        (lambda: declared(after=("one.job\x00",)), "after is job"),
        (lambda: declared(after=(3,)), "after is job '3'"),
        (lambda: declared(policies=None), "None are no Policies"),
        (lambda: declared(policies=Policies(priority=10**9)), "priority"),
        (lambda: declared(policies=Policies(severity="bad\x00")), "severity"),  # type: ignore[arg-type]
        (lambda: declared(policies=Policies(concurrency_key="k\x00")), "concurrency_key holds"),
        (lambda: declared(policies=Policies(concurrency_key="k" * 1_001)), "the limit is 1000"),
        (lambda: declared(params=Odd), "its params cannot be described as JSON"),
        (lambda: declared(params=int), "its params cannot be described as JSON"),
        (lambda: declared(schedules=("cron",)), "'cron' is no Schedule"),
        (lambda: declared(schedules=(Schedule(trigger="cron"),)), "'cron' is no trigger"),  # type: ignore[arg-type]
        (lambda: declared(schedules=(schedule(every("1h"), label="a\x00"),)), "its label holds"),
        (lambda: declared(schedules=(schedule(every("1h"), label="a\x1b[2J"),)), "be seen"),
        (lambda: declared(schedules=(schedule(every("1h"), label="a\u202eb"),)), "be seen"),
        (lambda: declared(schedules=(schedule(every("1h"), label="x" * 201),)), "limit is 200"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"a": "\x00"}),)), "U+0000"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"\x00": 1}),)), "U+0000"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"a": "\ud800"}),)), "as JSON"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"a": object()}),)), "as JSON"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"a": DEEP}),)), "levels deep"),
        (lambda: declared(schedules=(schedule(every("1h"), params={"a": LARGE}),)), "bytes"),
        (lambda: declared(schedules=(Schedule(trigger=every("1h"), start=datetime(2026, 1, 1)),)),  # noqa: DTZ001
         "start is"),
        (lambda: declared(schedules=(Schedule(trigger=every("1h"), jitter=5),)), "jitter is 5"),  # type: ignore[arg-type]
        (lambda: declared(schedules=(Schedule(trigger=Told("every 1h\x00")),)), "holds '\\x00'"),
        (lambda: declared(schedules=(Schedule(trigger=Told("x" * 70_000)),)), "limit is 65536"),
        (lambda: declared(schedules=(Schedule(trigger=Told(7)),)), "it must be a text"),
        (lambda: declared(schedules=(Schedule(trigger=Told(SystemExit(3))),)), "SystemExit"),
        (lambda: declared(schedules=(Schedule(trigger=Told("first moon")),)), "first moon"),
        (lambda: "bad.job", "decorate it"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_fails_its_plugin_alone(
    made: Callable[[], object], sentence: str
) -> None:
    assert sentence in reason(declaring(made()))


def test_a_nul_in_a_docstring_fails_its_plugin_alone() -> None:
    async def told(run: Any) -> None: ...

    told.__doc__ = "a\x00b"

    assert "its description holds" in reason(declaring(job("bad.job")(told)))


def test_a_docstring_of_any_length_is_cut() -> None:
    async def told(run: Any) -> None: ...

    told.__doc__ = "word " * 2_000_000

    found = collected(declaring(job("bad.job")(told))).jobs["bad.job"]
    assert len(found.description) < 1_100


@pytest.mark.parametrize("name", ["a\x00b", "\x1b[2J", "x" * 101, "a\u202eb", "\ud800"])
def test_a_plugin_whose_name_cannot_be_shown_fails_alone(name: str) -> None:
    assert "its name is" in reason(declaring(declared()), name)


@pytest.mark.parametrize(
    ("hooks", "sentence"),
    [
        ({"register_jobs": lambda: 7}, "not iterable"),
        ({"register_jobs": lambda: repeat(declared())}, "twice"),
        ({"register_jobs": lambda: sys.exit(3)}, "SystemExit"),
        ({"register_jobs": lambda: (1 / 0 for _ in range(1))}, "ZeroDivisionError"),
        ({"register_notifiers": lambda: [7]}, "no Notifier"),
        ({"register_collectors": lambda: [7]}, "no Collector"),
        ({"register_trigger_kinds": lambda: 7}, "TypeError"),
        ({"register_trigger_kinds": lambda: {7: print}}, "TypeError"),
        ({"register_settings": lambda: 7}, "no msgspec.Struct"),
        ({"register_settings": lambda: sys.exit(3)}, "SystemExit"),
    ],
)
def test_a_hook_that_answers_nonsense_fails_its_plugin_alone(
    hooks: dict[str, Callable[..., Any]], sentence: str
) -> None:
    assert sentence in reason(plugin(**hooks))


class Planted(Trigger):
    """A trigger of a plugin's kind, whose answers a test gives."""

    def __init__(self, name: str, answer: Callable[[datetime], Any]) -> None:
        self._name = name
        self._answer = answer

    @property
    def text(self) -> str:
        return self._name

    def next_after(self, instant: datetime) -> Any:
        return self._answer(instant)


def bringing(kind: str, answer: Callable[[datetime], Any]) -> SimpleNamespace:
    def read(arguments: TriggerArguments) -> Trigger:
        return Planted(kind, answer)

    made = declared(schedules=(Schedule(trigger=Planted(kind, answer)),))
    return plugin(register_jobs=lambda: [made], register_trigger_kinds=lambda: {kind: read})


def _for_ever(instant: datetime) -> None:
    while True:
        pass


def _raise(instant: datetime) -> None:
    raise ValueError("no moon")


@pytest.mark.parametrize(
    ("kind", "answer", "sentence"),
    [
        ("raises", _raise, "trigger 'raises': ValueError: no moon"),
        ("exits", lambda at: sys.exit(3), "trigger 'exits': SystemExit: 3"),
        ("past", lambda at: at - timedelta(seconds=1), "which is not later"),
        ("same", lambda at: at, "which is not later"),
        ("naive", lambda at: datetime(2030, 1, 1), "it has no time zone"),  # noqa: DTZ001
        ("texts", lambda at: "tomorrow", "it gives 'tomorrow', no datetime"),
        ("numbers", lambda at: 12.5, "it gives 12.5, no datetime"),
        ("endless", _for_ever, "trigger 'endless': it gives no answer within 1 s"),
    ],
)
def test_a_trigger_that_cannot_be_followed_fails_its_plugin_alone(
    kind: str,
    answer: Callable[[datetime], Any],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if answer is not _for_ever:
        monkeypatch.setattr(guard, "PATIENCE", 60.0)
    assert sentence in reason(bringing(kind, answer))


def test_a_trigger_that_never_answers_is_given_up_and_not_asked_again() -> None:
    asked = []

    def answer(instant: datetime) -> None:
        asked.append(threading.current_thread())
        _for_ever(instant)

    never = bringing("never", answer)
    assert "no answer within" in reason(never)
    assert "no answer lately" in reason(never)
    assert len(asked) == 1
    asked[0].join()  # it was ended


def test_a_trigger_of_a_plugin_that_answers_well_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 60.0)
    found = collected(bringing("well", lambda at: at + timedelta(hours=1)))

    assert found.schedules["bad.job"].schedule.trigger.text == "well"
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert guard.read("well").next_after(now) == now + timedelta(hours=1)


def test_a_kind_of_our_own_is_asked_where_it_is() -> None:
    assert not guard.is_foreign(cron("0 8 * * *").text)


def test_a_schedule_of_the_configuration_with_a_kind_that_raises_is_a_fault_of_both() -> None:
    def read(arguments: TriggerArguments) -> Trigger:
        raise ValueError("no such moon")

    chosen = Settings(schedules={"nightly": ScheduleSettings(job="one.job", trigger="moony 3")})
    with pytest.raises(ConfigurationError, match="'moony 3': ValueError: no such moon"):
        collected(plugin(register_trigger_kinds=lambda: {"moony": read}), settings=chosen)
