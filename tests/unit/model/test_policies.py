from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import fields

from sereno import DeclarationError, Retry
from sereno.model.policies import Policies


def test_durations_are_read_as_people_write_them() -> None:
    changed = Policies().changed(
        {"timeout": "5m", "grace": 90, "overdue_after": timedelta(hours=2)}
    )

    assert changed.timeout == timedelta(minutes=5)
    assert changed.grace == timedelta(seconds=90)
    assert changed.overdue_after == timedelta(hours=2)


def test_what_is_not_named_stays() -> None:
    before = Policies(priority=7, timeout=timedelta(minutes=1))

    assert before.changed({"priority": 8}) == Policies(priority=8, timeout=timedelta(minutes=1))
    assert before.changed({}) is before


def test_none_takes_a_policy_back() -> None:
    before = Policies(timeout=timedelta(minutes=1), max_running=1)

    assert before.changed({"timeout": None, "max_running": None}) == Policies()


@pytest.mark.parametrize(
    "written",
    [
        3,
        {"attempts": 3},
        {"attempts": 3, "delay": "10s", "max_delay": 3600},
        Retry(attempts=3),
    ],
)
def test_retry_is_a_number_a_table_or_a_rule(written: object) -> None:
    assert Policies().changed({"retry": written}).retry == Retry(attempts=3)


def test_policies_come_back_from_json_as_they_were() -> None:
    policies = Policies().changed(
        {
            "timeout": "90m",
            "retry": {"attempts": 4, "delay": "250ms", "factor": 3, "jitter": 0},
            "overlap": "cancel_previous",
            "catch_up": "all",
            "max_catch_up": 9,
            "grace": "10s",
            "start_by": "20m",
            "max_running": 2,
            "concurrency": {"key": "pbx-{site}", "limit": 3},
            "unique_for": "30d",
            "unique_by": ["site"],
            "priority": -5,
            "on_lost": "fail",
            "executor": "process",
            "runs_on": ["madrid", "gpu"],
            "scope": "host",
            "memory_limit_mb": 512,
            "keep_result": False,
            "log_level": "error",
            "stalled_after": "10m",
            "keep_for": "7d",
            "keep_runs": 100,
            "min_interval": "5m",
            "overdue_after": "7h",
            "severity": "critical",
        }
    )
    unchanged = [f.name for f in fields(Policies) if _is_default(policies, f.name)]

    assert unchanged == []
    assert Policies().changed(policies.to_json()) == policies
    assert Policies().changed(Policies().to_json()) == Policies()


def _is_default(policies: Policies, name: str) -> bool:
    return bool(getattr(policies, name) == getattr(Policies(), name))


@pytest.mark.parametrize(
    ("policy", "value", "sentence"),
    [
        ("timout", "5m", "job 'a.b': unknown policy 'timout', did you mean 'timeout'?"),
        ("timeout", "0s", "job 'a.b': timeout is '0s', it must be longer than nothing"),
        ("timeout", True, "job 'a.b': timeout is True: duration True: it is a bool; .*"),
        ("timeout", "five", "job 'a.b': timeout is 'five': duration 'five': it cannot be read; .*"),
        ("grace", None, "job 'a.b': grace is None: .*"),
        (
            "overlap",
            "skp",
            (
                "job 'a.b': overlap is 'skp', it must be one of skip, queue, allow, "
                "cancel_previous, did you mean 'skip'\\?"
            ),
        ),
        ("severity", 3, "job 'a.b': severity is 3, it must be one of info, warning, critical"),
        ("max_running", 0, "job 'a.b': max_running is 0, it must be a whole number from 1"),
        ("max_running", True, "job 'a.b': max_running is True, it must be a whole number from 1"),
        (
            "priority",
            1.5,
            "job 'a.b': priority is 1.5, it must be a whole number from -32768 to 32767",
        ),
        (
            "priority",
            40_000,
            "job 'a.b': priority is 40000, it must be a whole number from -32768 to 32767",
        ),
        ("retry", "often", "job 'a.b': retry is 'often', it must be a table or a number"),
        ("retry", {"attempts": 0}, "job 'a.b': retry: attempts is 0, it must be at least 1"),
        (
            "retry",
            {"atempts": 2},
            "job 'a.b': retry: unknown key 'atempts', did you mean 'attempts'\\?",
        ),
        ("executor", "", "job 'a.b': executor is '', it must be a text"),
    ],
)
def test_a_bad_policy_is_refused_in_a_sentence(policy: str, value: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=f"^{sentence}$".replace("'?$", "'\\?$")):
        Policies().changed({policy: value}, "job 'a.b'")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"concurrency": 3}, "concurrency is 3, it must be a table, as { key = "),
        ({"concurrency": {}}, "concurrency is {}, it must be a table"),
        ({"concurrency": {"kee": "x"}}, "concurrency: unknown key 'kee', did you mean 'key'?"),
        ({"concurrency": {1: "x"}}, "concurrency: unknown key '1'; it takes key and limit"),
        ({"concurrency": {"key": "x", "limit": 0}}, "concurrency_limit is 0, it must be a whole"),
        ({"concurrency": {"key": "x", "limit": True}}, "concurrency_limit is True, it must be a"),
        ({"concurrency": {"key": ""}}, "concurrency_key is '', it must be a text"),
        ({"concurrency": {"key": "x"}, "concurrency_key": "y"}, "are both given; name one of them"),
        ({"unique_for": "4000d"}, "unique_for is '4000d', it must be of 3650 days at most"),
        ({"unique_for": 0}, "unique_for is 0, it must be longer than nothing"),
        ({"unique_for": timedelta(days=4_000)}, "unique_for is 4000d, it must be of 3650 days at"),
        (
            {"unique_by": "site"},
            "unique_by is 'site', it must be a list of params' names: ['site']",
        ),
        ({"runs_on": "gpu"}, 'runs_on is \'gpu\', it must be "any", "leader" or a list of labels'),
        ({"runs_on": "lead"}, "did you mean 'leader'?"),
        ({"runs_on": []}, "runs_on is [], it must be a list of labels"),
        ({"runs_on": ["gpu", " "]}, "runs_on names ' ', a label is a text without blanks"),
        ({"runs_on": ["a\0"]}, "which PostgreSQL cannot keep"),
        ({"unique_by": []}, "unique_by is [], it must be a list of params' names; leave it out"),
        ({"unique_by": [None]}, "unique_by names None, which is no param"),
    ],
)
def test_what_no_key_can_be_made_of_is_a_sentence(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError) as error:
        Policies().changed(said)
    assert sentence in str(error.value)


def test_a_key_that_says_no_limit_is_of_one_at_a_time() -> None:
    three = Policies().changed({"concurrency": {"key": "pbx-{site}", "limit": 3}})
    assert three.concurrency_limit == 3
    assert three.changed({"concurrency_key": "x"}).concurrency_limit == 1
    assert three.changed({"concurrency": {"key": "x"}}).concurrency_limit == 1
    five = three.changed({"concurrency": {"limit": 5}})
    assert (five.concurrency_key, five.concurrency_limit) == ("pbx-{site}", 5)
    assert three.changed({"concurrency": None}).concurrency_key is None
