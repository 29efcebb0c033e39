"""What jobs, callers and replicas said reaches a terminal, a pipe, a log as text alone."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from sereno.model.text import visible
from sereno.observe.logs import configure_logging
from sereno.settings import LogSettings

from .cli_scene import Scene, scene
from .terminal import on_a_terminal

__all__ = ["scene"]

HOSTILE = (
    "a\x1b[2Jb\x1b]8;;http://evil\x1b\\c\x1b]52;c;cm0=\x07d\u202ee\x9b2Jf\rg\x08h\u2028i\u200bj"
    "\x85k\x7fl[red]m[/red]n"
)
SHOWN = (
    r"a\x1b[2Jb\x1b]8;;http://evil\x1b" + "\\c"
    r"\x1b]52;c;cm0=\x07d\u202ee\x9b2Jf\rg\x08h\u2028i\u200bj\x85k\x7fl[red]m[/red]n"
)


@pytest.fixture
def hostile(scene: Scene) -> Iterator[tuple[Scene, int]]:
    """Leave hostile words in every column that a command shows."""
    with scene.leading(HOSTILE) as node:
        scene.job()
        scene.sql("UPDATE sereno.job SET plugin = %s, description = %s",
                  HOSTILE, HOSTILE)  # fmt: skip
        schedule = scene.schedule(trigger="every 1h")
        scene.sql("UPDATE sereno.schedule_version SET reason = %s, changed_by = %s",
                  HOSTILE, HOSTILE)  # fmt: skip
        run = scene.run(
            state="failed", schedule_id=schedule, slot="2026-02-01T10:00:00Z", attempt=2,
            node=node, term=1, params={HOSTILE: HOSTILE}, result={HOSTILE: [HOSTILE]},
            error=HOSTILE, traceback=f"Traceback:\n{HOSTILE}", requested_by=HOSTILE,
            unique_key=HOSTILE, concurrency_key=HOSTILE, upstream={"a": HOSTILE},
        )  # fmt: skip
        scene.sql(
            "INSERT INTO sereno.attempt (run_id, attempt, state, node, term, started_at,"
            " finished_at, error) VALUES (%s, 1, 'lost', %s, 1, '2026-02-01T10:00Z',"
            " '2026-02-01T10:00:01Z', %s)",
            run, node, HOSTILE,
        )  # fmt: skip
        scene.sql(
            "INSERT INTO sereno.run_log VALUES (%s, 2, 1, '2026-02-01T10:00Z', 'INFO', 'x', %s)",
            run, HOSTILE,
        )  # fmt: skip
        running = scene.run(state="running", node=node)
        scene.sql("INSERT INTO sereno.run_progress (run_id, done, note) VALUES"
                  " (%s, 1, %s)", running, HOSTILE)  # fmt: skip
        scene.slot(schedule, "2026-02-01T10:00:00Z", "late", HOSTILE, run)
        yield scene, run


def commands(run: int) -> list[list[str]]:
    return [
        ["runs"],
        ["show", str(run)],
        ["show", "etl.sync", "--at", "2026-02-01T10:00Z"],
        ["jobs"],
        ["cluster"],
        ["plugins"],
        ["schedule", "list"],
        ["verify", "--since", "2026-01-01"],
        ["show", HOSTILE],
        ["pause", HOSTILE],
        ["trigger", HOSTILE],
        ["trigger", "etl.sync", "-p", f"{HOSTILE}=1"],
        ["runs", "--job", HOSTILE],
    ]


def is_text(shown: str) -> bool:
    return visible(shown) == shown


def test_a_pipe_gets_text_alone(hostile: tuple[Scene, int]) -> None:
    scene, run = hostile
    for command in commands(run):
        result = scene.call(*command)
        assert is_text(result.output), (command, result.output)
    assert SHOWN in scene.call("runs").stdout
    shown = scene.call("show", str(run)).stdout
    assert shown.count(SHOWN) >= 6, shown
    assert SHOWN in scene.call("cluster").stdout
    assert SHOWN in scene.call("jobs").stdout


def test_json_is_text_alone_and_says_the_same(hostile: tuple[Scene, int]) -> None:
    scene, run = hostile
    for command in (["runs"], ["show", str(run)], ["jobs"], ["cluster"]):
        result = scene.call(*command, "--json")
        assert is_text(result.stdout)
        assert HOSTILE in _strings(json.loads(result.stdout))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def _terminal(scene: Scene, *args: str) -> str:
    """Return what a wide terminal is sent, without our colours."""
    said = on_a_terminal(scene.command(*args), COLUMNS="2000", TERM="xterm")
    assert said.code == 0
    return re.sub(r"\x1b\[[\d;]*m", "", said.text)


def test_a_terminal_gets_text_and_our_colours(hostile: tuple[Scene, int]) -> None:
    scene, run = hostile
    for command in commands(run)[:7]:
        shown = _terminal(scene, *command)
        assert is_text(shown), (command, shown)
    shown = _terminal(scene, "show", str(run))
    assert shown.count(SHOWN) >= 6, shown


def test_who_waits_gets_text_alone(scene: Scene) -> None:
    with scene.leading():
        scene.job()

        def fail(there: Scene, run: int) -> None:
            there.finish(run, "failed", error=HOSTILE)

        with scene.when_queued(fail):
            result = scene.call("trigger", "etl.sync", "--wait")
    assert result.exit_code == 1
    assert SHOWN in result.stdout
    assert is_text(result.output)


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_log_gets_text_alone(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    configure_logging(LogSettings(format=form), stream=stream)  # type: ignore[arg-type]
    log = logging.getLogger(f"job{HOSTILE}")
    forged = "ok\n12:00:00.000 info     kernel       all is well"
    try:
        raise ValueError(f"{HOSTILE}\n{forged}")
    except ValueError:
        log.exception("%s", HOSTILE, extra={"fact": HOSTILE, f"k{HOSTILE}": [HOSTILE]})
    log.warning(forged)

    written = stream.getvalue()
    assert is_text(written)
    if form == "json":
        assert json.loads(written.splitlines()[0])["event"] == HOSTILE
    else:
        assert written.count(SHOWN) >= 4
        assert len(re.findall(r"^\d\d:\d\d:\d\d", written, re.MULTILINE)) == 2
