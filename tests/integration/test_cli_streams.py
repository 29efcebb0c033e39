"""What the command line does with whatever it is started with: closed streams, odd terminals,
locales and encodings. Each call is a process of its own, as a person's shell makes it."""

import json
import os
import re
import shlex
import subprocess
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from .cli_scene import Scene, scene
from .terminal import on_a_terminal

__all__ = ["scene"]

_FAULT = "fault of sereno"
_NAME = "ni\N{LATIN SMALL LETTER N WITH TILDE}o \N{PARTY POPPER}"
_C = {"LC_ALL": "C"}
_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shell(scene: Scene, *args: str, then: str = "", **environment: str) -> Any:
    """Run ``sereno`` by a shell, with `then` behind it, and return its code and what it said."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.join(scene.command(*args))} {then}"],
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def history(scene: Scene) -> Scene:
    scene.job()
    scene.schedule(trigger="every 1h")
    scene.run(params={"site": _NAME}, result={"said": _NAME}, state="succeeded")
    return scene


@pytest.mark.parametrize("then", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "> /dev/null"])
@pytest.mark.parametrize("args", [("jobs",), ("show", "1", "--json")])
def test_a_closed_stream_is_no_failure(then: str, args: tuple[str, ...], history: Scene) -> None:
    done = shell(history, *args, then=then)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_written_into_a_connection_that_took_a_closed_descriptor(scene: Scene) -> None:
    scene.job()
    for _ in range(30):
        scene.run()
    for _ in range(5):
        done = shell(scene, "runs", then=">&- <&-")
        assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_seen_enough_is_no_failure_to_be_told(history: Scene) -> None:
    for args in (("jobs",), ("runs", "--json"), ("show", "1"), ("plugins",), ("--help",)):
        with history.started(*args) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert os.read(process.stdout.fileno(), 1)
            process.stdout.close()
            assert process.stderr.read() == ""


def test_a_full_disk_is_told_as_that(history: Scene) -> None:
    done = shell(history, "runs", "--json", then="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == "sereno: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("environment", [_C, _ASCII, {"PYTHONIOENCODING": "latin-1"}])
@pytest.mark.parametrize("args", [("show", "1"), ("show", "1", "--json")])
def test_letters_that_a_locale_lacks_are_shown_as_well_as_it_can(
    environment: dict[str, str], args: tuple[str, ...], history: Scene
) -> None:
    done = subprocess.run(
        history.command(*args), env={**os.environ, **environment}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("environment", [{}, _C, _ASCII])
def test_a_param_is_utf_8_whatever_the_locale(environment: dict[str, str], scene: Scene) -> None:
    scene.job()
    done = shell(scene, "trigger", "etl.sync", "-p", f"site={_NAME}", **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.sql("SELECT params FROM sereno.run") == [({"site": _NAME},)]


@pytest.mark.parametrize("environment", [{}, _C, _ASCII])
def test_bytes_that_are_no_utf_8_are_refused(environment: dict[str, str], scene: Scene) -> None:
    for args in (["trigger", b"etl.\xff"], [b"\xff"], ["runs", "--job", b"\xff"]):
        done = subprocess.run(
            [*scene.command(), *args], env={**os.environ, **environment}, capture_output=True
        )
        assert done.returncode == 2
        assert done.stderr.endswith(b"is no UTF-8; write it as UTF-8\n")


@pytest.mark.parametrize(
    ("terminal", "columns"),
    [
        *(("xterm", columns) for columns in ("0", "1", "20", "10000", "-5", "wide")),
        *(("dumb", columns) for columns in ("0", "20")),
        *(("nosuch", "20"), ("", "20"), ("unknown", "")),
    ],
)
def test_a_terminal_of_any_width_and_kind_is_written_to(
    terminal: str, columns: str, history: Scene
) -> None:
    for args in (("jobs",), ("show", "1"), ("next", "etl.sync")):
        said = on_a_terminal(history.command(*args), COLUMNS=columns, TERM=terminal)
        assert said.code == 0
        assert said.text.strip()
        assert _FAULT not in said.text
        if terminal in ("dumb", "unknown", ""):
            assert "\x1b" not in said.text


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"TERM": ""}, {"TERM": "xterm", "NO_COLOR": "1"}]
)
def test_an_error_has_no_colours_where_the_terminal_has_none(
    environment: dict[str, str], scene: Scene
) -> None:
    said = on_a_terminal(scene.command("next", "nosuch"), **environment)
    assert said.code == 2
    assert "\x1b" not in said.text
    coloured = on_a_terminal(scene.command("next", "nosuch"), TERM="xterm", NO_COLOR="")
    assert re.search("\x1b\\[31m", coloured.text)


def test_a_result_of_many_levels_is_shown(scene: Scene) -> None:
    scene.job()
    deep: Any = "the bottom"
    for _ in range(500):
        deep = [deep]
    run = scene.run()
    scene.sql("UPDATE sereno.run SET result = %s WHERE id = %s", Jsonb(deep), run)
    assert "the bottom" in scene.call("show", str(run)).stdout
    assert json.loads(scene.call("show", str(run), "--json").stdout)["result"] == deep
