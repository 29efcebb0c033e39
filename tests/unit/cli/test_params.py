from datetime import date
from typing import Any, Literal

import click
import msgspec
import pytest

from sereno import ParamsError, job
from sereno.cli.params import read_params


class Params(msgspec.Struct):
    site: str = "madrid"
    times: int = 1
    full: bool = False
    day: date | None = None
    ids: list[int] = []
    mode: Literal["1", "2"] = "1"


@job("a.b", params=Params)
async def declared(run: Any) -> None: ...


@job("a.c")
async def free(run: Any) -> None: ...


DEFAULTS = {"site": "madrid", "times": 1, "full": False, "day": None, "ids": [], "mode": "1"}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("site=rome", "rome"),
        ("site=12", "12"),
        ("site=true", "true"),
        ("site=", ""),
        ("site=a=b", "a=b"),
        ("times=5", 5),
        ('times="5"', 5),
        ("full=true", True),
        ("full=false", False),
        ("day=2026-03-01", "2026-03-01"),
        ("ids=[1, 2]", [1, 2]),
        ("mode=2", "2"),
    ],
)
def test_a_param_becomes_what_the_job_wants(pair: str, value: object) -> None:
    assert read_params([pair], None, declared) == {**DEFAULTS, pair.partition("=")[0]: value}


def test_without_a_struct_json_counts_as_json_and_the_rest_as_text() -> None:
    pairs = ["a=1", "b=one", "c=null", "d={}", "e=01", 'f="1"']
    assert read_params(pairs, None, free) == {
        "a": 1, "b": "one", "c": None, "d": {}, "e": "01", "f": "1",
    }  # fmt: skip


def test_a_pair_wins_over_the_document() -> None:
    found = read_params(["times=9"], '{"times": 2, "site": "rome"}', declared)
    assert found == {**DEFAULTS, "times": 9, "site": "rome"}


def test_what_no_job_here_declares_is_left_to_the_database() -> None:
    assert read_params(["anything=1"], None, None) == {"anything": 1}


@pytest.mark.parametrize("pair", ["times", "=5", ""])
def test_a_param_without_key_or_value_is_a_usage_error(pair: str) -> None:
    with pytest.raises(click.UsageError, match="write it as key=value"):
        read_params([pair], None, declared)


@pytest.mark.parametrize("document", ["", "[1]", "1", "{'a': 1}", "null", '{"a": 1'])
def test_a_document_must_be_a_json_object(document: str) -> None:
    with pytest.raises(click.UsageError, match="--params: it must be a JSON object"):
        read_params([], document, declared)


@pytest.mark.parametrize("pair", ["times=many", "times=1.5", "full=maybe", "tims=1", "ids=1"])
def test_what_does_not_fit_is_refused_in_the_name_of_the_job(pair: str) -> None:
    with pytest.raises(ParamsError, match=r"job 'a\.b'"):
        read_params([pair], None, declared)
