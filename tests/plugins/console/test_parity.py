"""The API has what the client has: no verb and no argument is left out without a reason."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import sereno_console.api
from sereno import Client
from sereno.client import LogFilter, RunFilter
from sereno_console.api.backfills import BackfillWanted
from sereno_console.api.runs_given import BatchWanted, FilterQuery, LogsQuery, RunWanted
from sereno_console.api.schedules_given import (
    ManyPaused,
    ManyResumed,
    PreviewedChange,
    PreviewedTrigger,
    RevisionWanted,
    ScheduleWanted,
)

OTHERWISE = {
    "open": "of programs",
    "database": "of plugins",
    "enqueue": "request tells more",
    "follow_logs": "logs, page by page",
    "overstaying": "cluster has them",
    "request_many": "enqueue_many names who asks",
    "wait_chain": "wait, and chain",
    "schedule": "the API has one as of all",
    "coming_load": "for pictures",
    "slot_counts": "for pictures",
    "ended_counts": "for pictures",
    "news": "the hub asks it for all streams",
}

SOURCES = "".join(file.read_text() for file in Path(sereno_console.api.__path__[0]).glob("*.py"))


def test_every_verb_is_an_operation_or_has_a_reason() -> None:
    verbs = {name for name in dir(Client) if not name.startswith("_")}
    asked = set(re.findall(r"request\.sereno\.(\w+)\(", SOURCES))
    assert verbs - asked == set(OTHERWISE)


@pytest.mark.parametrize(
    ("verb", "given", "but"),
    [
        (Client.request, RunWanted, {"job", "by_person"}),
        (Client.enqueue_many, BatchWanted, {"job", "connection", "traceparent"}),
        (Client.add_schedule, ScheduleWanted, {"job"}),
        (Client.change_schedule, RevisionWanted, {"name", "expect"}),
        (Client.preview_change, PreviewedChange, {"name"}),
        (Client.preview_slots, PreviewedTrigger, set()),
        (Client.start_backfill, BackfillWanted, {"name"}),
        (Client.pause, ManyPaused, set()),
        (Client.resume, ManyResumed, set()),
    ],
)
def test_every_argument_of_a_verb_can_be_given(verb: Any, given: Any, but: set[str]) -> None:
    named = set(inspect.signature(verb).parameters) - but - {"self", "requested_by"}
    assert set(given.__struct_fields__) == named


def test_every_field_of_a_filter_can_be_given() -> None:
    assert set(FilterQuery.__struct_fields__) == set(RunFilter.__struct_fields__)
    assert set(LogsQuery.__struct_fields__) - {"limit", "cursor"} == set(
        LogFilter.__struct_fields__
    )
