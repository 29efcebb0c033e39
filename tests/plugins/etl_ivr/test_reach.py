"""What `sereno check` is told of the source."""

import socket
from typing import Any

import msgspec
import pytest

from sereno.plugins import ask_checks
from sereno.plugins.checks import CheckAnswer
from sereno_etl_ivr import plugin
from sereno_etl_ivr.settings import Settings

from .pbx import Pbx


def asked(url: str, **settings: Any) -> CheckAnswer:
    chosen = msgspec.convert({"source_url": url, **settings}, Settings)
    (answer,) = ask_checks({"etl_ivr": plugin.sereno_register_checks(chosen)}, {})
    assert answer.failure is None
    return answer


def test_without_a_source_nothing_is_asked() -> None:
    assert plugin.sereno_register_checks(Settings()) == []


def test_a_source_that_answers_and_has_the_tables_is_no_word_worth(pbx: Pbx) -> None:
    assert asked(pbx.url).findings == ()


def test_a_table_that_is_missing_is_a_fault_and_the_others_are_asked(pbx: Pbx) -> None:
    tables = {"queue_log": {"kind": "queue_log"}, "cel": {"kind": "cel"}}
    first, second = asked(pbx.url, tables=tables).findings
    assert first.fault
    assert second.fault
    assert "queue_log" in first.sentence
    assert "cel" in second.sentence


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_source_that_is_away_is_a_warning_in_a_sentence(scheme: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        (away,) = asked(f"{scheme}://ivr:hunter2@127.0.0.1:{bound.getsockname()[1]}/d").findings
    assert not away.fault
    assert "syncs try again, and go on where they were" in away.sentence
    assert "hunter2" not in away.sentence
