import asyncio
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from sereno import hookimpl, job
from sereno.engine.runlog import RunScope, current_run
from sereno.engine.status import Status
from sereno.observe.logs import apply_plugin_levels, bind, configure_logging
from sereno.settings import LogSettings
from sereno.testing import declared

NODE = UUID("11111111-2222-4333-8444-555555555555")
SECRET = "s3cr3t"
URL = f"postgresql://ana:{SECRET}@db/app"
log = logging.getLogger("planted.module")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Put back what configure_logging changes in this process."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    sys.excepthook, threading.excepthook = hooks
    for name in ("planted.module", "planted", "sereno.job.planted.work"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(LogSettings(), stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_stable_keys(stream: io.StringIO) -> None:
    log.warning("batch of %s written", "calls", extra={"rows": 3, "share": 0.5})

    (line,) = lines(stream)
    assert list(line) == ["time", "level", "logger", "event", "rows", "share"]
    assert line["level"] == "warning"
    assert line["logger"] == "planted.module"
    assert line["event"] == "batch of calls written"
    assert line["rows"] == 3
    assert datetime.fromisoformat(line["time"]).utcoffset() is not None


def test_every_line_tells_its_run_and_its_node() -> None:
    stream = io.StringIO()
    status = Status(node=NODE, label="", version="1")
    configure_logging(LogSettings(), status=status, stream=stream)
    status.term = 7
    token = current_run.set(RunScope(job="etl.sync", run_id=5, attempt=2, token=NODE))
    log.info("moved")
    current_run.reset(token)
    log.info("idle")

    inside, outside = lines(stream)
    known = {"job": "etl.sync", "run": 5, "attempt": 2, "node": str(NODE), "term": 7}
    assert {key: inside[key] for key in known} == known
    assert "run" not in outside
    assert outside["term"] == 7


async def test_what_is_bound_follows_tasks_and_threads_and_ends(stream: io.StringIO) -> None:
    async def in_a_task() -> None:
        log.info("task")

    with bind(job="a.b"), bind(run=1):
        await asyncio.create_task(in_a_task())
        await asyncio.to_thread(log.info, "thread")
    log.info("after")

    assert [(x["event"], x.get("job"), x.get("run")) for x in lines(stream)] == [
        ("task", "a.b", 1),
        ("thread", "a.b", 1),
        ("after", None, None),
    ]


def test_a_facts_own_name_wins_and_hides_no_key_of_the_line(stream: io.StringIO) -> None:
    with bind(run=1):
        log.info("x", extra={"run": 2, "event": "mine", "time": 3})

    (line,) = lines(stream)
    assert (line["event"], line["event_"], line["time_"], line["run"]) == ("x", "mine", 3, 2)


def test_no_secret_is_ever_written(stream: io.StringIO) -> None:
    log.info("connect to %s", URL)
    log.info("connect", extra={"url": URL, "password": SECRET, "all": {"token": [SECRET]}})
    log.info("connect", extra={"error": ValueError(URL)})
    try:
        raise ConnectionError(f"cannot reach {URL}")
    except ConnectionError:
        log.exception("connect", stack_info=True)

    assert SECRET not in stream.getvalue()
    assert lines(stream)[-1]["error"] == "ConnectionError: cannot reach postgresql://ana:***@db/app"
    assert "Traceback (most recent call last)" in lines(stream)[-1]["traceback"]


def test_uncaught_exceptions_and_warnings_are_lines_too(stream: io.StringIO) -> None:
    thread = threading.Thread(target=lambda: [][1])
    thread.start()
    thread.join()
    error = ValueError(URL)
    sys.excepthook(ValueError, error, None)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    in_thread, in_main, warning = lines(stream)
    assert in_thread["error"] == "IndexError: list index out of range"
    assert (in_main["level"], in_main["event"]) == ("critical", "uncaught exception")
    assert "DeprecationWarning: old" in warning["event"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(
    ("message", "arguments", "event"),
    [
        ("rows: %d", ("many",), "rows: %d ('many',)"),
        ("half \ud800 a pair", (), "half \\ud800 a pair"),
        ("two\nlines", (), "two\nlines"),
    ],
)
def test_a_bad_log_call_still_says_something(
    stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    message: str,
    arguments: tuple[Any, ...],
    event: str,
) -> None:
    root = logging.getLogger()
    ours = [h for h in root.handlers if type(h).__module__ == configure_logging.__module__]
    monkeypatch.setattr(root, "handlers", ours)  # pytest's own would raise
    log.info(message, *arguments)

    assert lines(stream)[0]["event"] == event


def test_a_fact_that_json_cannot_hold_becomes_its_text(stream: io.StringIO) -> None:
    circle: list[Any] = []
    circle.append(circle)
    log.info("x", extra={"kind": object, "node": NODE, "broken": "\ud800"})
    log.info("y", extra={"circle": circle})

    first, second = lines(stream)
    assert (first["kind"], first["node"]) == ("<class 'object'>", str(NODE))
    assert second["event"] == "y"


def test_a_person_at_a_terminal_reads_text() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for chosen, stream in [("auto", terminal), ("text", pipe)]:
        settings = LogSettings(format=chosen)  # type: ignore[arg-type]
        configure_logging(settings, status=Status(node=NODE, label="", version="1"), stream=stream)
        log.info("moved", extra={"rows": 3, "where": "a b", "seconds": 0.12345})
        log.info("left", extra={"files": ["a.sql", "b.sql"], "none": []})

    assert "\x1b[32minfo    \x1b[0m" in terminal.getvalue()
    assert [line[13:] for line in pipe.getvalue().splitlines()] == [
        "info     planted.module moved  rows=3 where='a b' seconds=0.123",
        "info     planted.module left  files='a.sql, b.sql' none=[]",
    ]


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    configure_logging(LogSettings(), stream=(terminal := Terminal()))
    log.info("moved")

    assert "\x1b" not in terminal.getvalue()


def test_setting_up_twice_writes_each_line_once(stream: io.StringIO) -> None:
    configure_logging(LogSettings(level="error"), stream=stream)
    log.warning("x")
    log.error("y")

    assert [line["event"] for line in lines(stream)] == ["y"]


def test_a_plugin_has_a_level_of_its_own_and_so_have_its_runs(stream: io.StringIO) -> None:
    async def work(run: Any) -> None: ...

    @hookimpl
    def sereno_register_jobs() -> Any:
        return [job("planted.work")(work)]

    plugin = SimpleNamespace(sereno_register_jobs=sereno_register_jobs, __name__="planted.plugin")
    apply_plugin_levels(LogSettings(plugins={"plugin": "debug"}), declared(plugin))
    logging.getLogger("other").debug("hidden")
    log.debug("its module")
    logging.getLogger("sereno.job.planted.work").debug("its run")

    assert [line["event"] for line in lines(stream)] == ["its module", "its run"]
