"""What a plugin registers with sereno_register_checks, and that none of it holds up the rest."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sereno import Check, Finding, hookimpl
from sereno.cli import main
from sereno.cli.invocation import Invocation
from sereno.plugins import Registry, ask_checks, collect, load_plugins
from sereno.settings import Settings

NEVER = threading.Event()


def plugin(*answer: Any) -> Any:
    class Planted:
        @staticmethod
        @hookimpl
        def sereno_register_checks() -> Any:
            return list(answer)

    return Planted


def registry(**plugins: Any) -> Registry:
    found = load_plugins(Settings(), extra=[*plugins.items()], entry_points=False)
    return collect(found, Settings())


def check(**plugins: Any) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        invocation = Invocation()
        settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
        invocation.__dict__.update(settings=settings, registry=registry(**plugins))
        return CliRunner().invoke(main, ["check", *words], obj=invocation)

    return call


def find_nothing() -> list[Finding]:
    return []


async def find_warning() -> list[Finding]:
    await asyncio.sleep(0)
    return [Finding("the source is away; its rows come later")]


def find_fault() -> Any:
    yield Finding("/srv/logs is not writable; let this user write there", fault=True)


def leave() -> list[Finding]:
    raise SystemExit(3)


async def hang() -> list[Finding]:
    await asyncio.to_thread(NEVER.wait)
    return []


def test_a_warning_is_told_and_is_no_failure() -> None:
    told = check(calls=plugin(Check("source", find_warning), Check("disk", find_nothing)))()
    assert told.exit_code == 0
    assert "plugin 'calls': the source is away; its rows come later" in told.stderr


def test_a_fault_is_told_and_the_code_is_1() -> None:
    told = check(sweep=plugin(Check("roots", find_fault)))()
    assert told.exit_code == 1
    assert "sereno: plugin 'sweep': /srv/logs is not writable" in told.stderr


def test_json_has_each_check_with_what_it_says() -> None:
    told = check(
        one=plugin(Check("source", find_warning), Check("leaves", leave)),
        two=plugin(Check("roots", find_fault)),
    )("--json")
    assert told.exit_code == 1
    source, left, roots = json.loads(told.stdout)["checks"]
    assert source == {
        "plugin": "one",
        "check": "source",
        "warnings": ["the source is away; its rows come later"],
        "faults": [],
        "failure": None,
    }
    assert left["failure"].startswith("SystemExit: 3")
    assert roots["faults"] == ["/srv/logs is not writable; let this user write there"]


def test_one_that_hangs_is_told_by_name_and_the_others_go_on() -> None:
    checks = {"one": [Check("hangs", hang), Check("waits", NEVER.wait)]}  # type: ignore[arg-type]
    checks["two"] = [Check("roots", find_fault)]
    hung, waiting, roots = ask_checks(checks, {}, limit=2)
    assert hung.failure == waiting.failure == "it gave no answer within 2 s"
    assert (hung.plugin, hung.check) == ("one", "hangs")
    assert roots.findings[0].fault


def test_one_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    file = tmp_path / "hanging.py"
    file.write_text(
        "import asyncio, threading\n"
        "from sereno import Check\n"
        "from sereno.plugins import ask_checks\n"
        "async def hang():\n"
        "    await asyncio.to_thread(threading.Event().wait)\n"
        "print(ask_checks({'p': [Check('hangs', hang)]}, {}, limit=0.2)[0].failure)\n"
    )
    told = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "no answer within" in told.stdout


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda: 7, "TypeError"),
        (lambda: ["a sentence"], "it returned 'a sentence', no Finding"),
        (lambda: [Finding(b"x")], "no Finding with a sentence"),  # type: ignore[arg-type]
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_no_answer_is_told_by_name(found: Any, message: str) -> None:
    (answer,) = ask_checks({"p": [Check("odd", found)]}, {})
    assert answer.failure is not None
    assert message in answer.failure


def test_what_is_endless_is_cut() -> None:
    def find() -> Any:
        while True:
            yield Finding("x" * 1_000_000)

    (answer,) = ask_checks({"p": [Check("endless", find)]}, {})
    assert len(answer.findings) == 101
    assert len(answer.findings[0].sentence) == 2000
    assert "there is more" in answer.findings[-1].sentence


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([find_nothing], "no Check"),
        ([Check("Odd name", find_nothing)], "lower-case letters"),
        ([Check("a", find_nothing), Check("a", find_nothing)], "the check 'a' twice"),
        ([Check("a", None)], "no function"),  # type: ignore[arg-type]
        ([Check(f"c{n}", find_nothing) for n in range(101)], "more than 100 checks"),
    ],
)
def test_what_cannot_be_asked_fails_its_plugin_alone(answer: list[Any], message: str) -> None:
    good = Check("good", find_nothing)
    found = registry(bad=plugin(*answer), good=plugin(good))
    assert message in found.records["bad"].reason
    assert found.checks == {"good": (good,)}
    assert not found.without({"good": "it fails"}).checks
