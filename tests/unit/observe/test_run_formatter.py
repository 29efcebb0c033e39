"""Lines in an application's own files name their run, and tell what they have besides text."""

import logging
import sys
from typing import Any

from sereno import RunFormatter


def record(text: str, **facts: Any) -> logging.LogRecord:
    made = logging.LogRecord("shop", logging.ERROR, "", 1, text, (), None)
    made.__dict__.update(facts)
    return made


def test_a_line_of_a_run_names_it_with_its_facts_and_its_traceback_below() -> None:
    written = RunFormatter("[{job} {run}] {message}")
    failed = record("run ended badly", job="shop.mail", run=7, attempt=2, node="n", term=3)
    failed.__dict__ |= {"state": "failed", "error": "x", "traceback": "Traceback: password=abc"}
    first, second = written.format(failed).splitlines()
    assert first == "[shop.mail 7] run ended badly  state=failed"
    assert second == "Traceback: password=***"
    assert failed.traceback == "Traceback: password=abc"  # type: ignore[attr-defined]


def test_other_lines_have_a_dash_and_an_exception_once() -> None:
    written = RunFormatter()
    assert written.format(record("up")).endswith("ERROR [- -] shop: up")
    try:
        raise ValueError("no")
    except ValueError:
        broken = record("down", rows=2)
        broken.exc_info = sys.exc_info()
    told = written.format(broken)
    assert "shop: down  rows=2\nTraceback" in told
    assert told.count("ValueError: no") == 1


def test_what_is_secret_is_masked_and_a_fact_of_any_kind_is_told() -> None:
    told = RunFormatter("{message}").format(record("token=abc", password="p", odd=object()))
    assert "abc" not in told
    assert "password=***" in told
    assert "odd=" in told
