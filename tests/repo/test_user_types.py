"""What a user's type checker finds in their jobs, with Sereno as `pip install` leaves it."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .test_tree import ROOT
from .wheel import installed_wheel

pytestmark = pytest.mark.timeout(180)

GOOD = """
from datetime import timedelta
from typing import Any

import msgspec

from sereno import (
    Client, Job, Retry, RunContext, cron, every, hookimpl, job, retry, schedule,
)


class Sync(msgspec.Struct):
    site: str = "rome"


class Other(msgspec.Struct):
    day: int = 1


@job(
    "t.sync",
    params=Sync,
    schedule=[
        schedule(cron("0 * * * *"), label="rome", params=Sync("rome"), overlap="queue"),
        schedule(every("6h"), label="oslo", params={"site": "oslo"}, timeout=90),
    ],
    retry=retry(attempts=3, delay="5m"),
    overlap="queue",
    timeout="10m",
    executor="async",
    overdue_after=timedelta(hours=2),
    severity="critical",
)
async def sync(run: RunContext[Sync]) -> dict[str, str]:
    client: Client = run.client
    await client.wait(await run.enqueue("t.plain", {"n": 1}))
    await run.enqueue(sync, Sync("oslo"), delay="5m", unique_key="oslo")
    async with run.database() as connection:
        await run.fence(connection)
    run.warn("look")
    return {"site": run.params.site}


@job("t.plain", retry={"attempts": 3, "delay": "1s"}, after="t.sync")
def plain(run: RunContext) -> int:
    return run.wait_for(run.enqueue("t.sync")) + len(run.params)


@job("t.errors", retry=retry(3, on=(OSError, "httpx.HTTPError"), final=KeyError))
async def errors(run: RunContext) -> None: ...


@job("t.errors_table", retry={"attempts": 3, "on": [OSError], "final": "KeyError"})
async def errors_table(run: RunContext) -> None: ...


@job("t.any", retry=3)
async def any_run(run: RunContext[Any]) -> None:
    run.params["n"]


@hookimpl
def sereno_register_jobs() -> list[Job]:
    jobs = [sync, plain, any_run]
    return [*jobs, sync.changed(schedule=every("1h"), timeout=None)]
"""

BAD = """

@job("t.a", overlapp="queue")  # wrong
async def a(run: RunContext) -> None: ...


@job("t.b", overlap="que")  # wrong
async def b(run: RunContext) -> None: ...


@job("t.c", timeout=[5])  # wrong
async def c(run: RunContext) -> None: ...


@job("t.d", overlap="skp")  # wrong
async def d(run: RunContext) -> None: ...


@job("t.e", retry={"attempt": 3})  # wrong
async def e(run: RunContext) -> None: ...


@job("t.f", params=Sync)  # wrong
async def f(run: RunContext[Other]) -> None: ...


@job("t.g")  # wrong
async def g(run: RunContext[Other]) -> None: ...


@job("t.h", params=dict)  # wrong
async def h(run: RunContext) -> None: ...


@job("t.i", params=Sync, schedule=schedule(every("1h"), params=Other()))  # wrong
async def i(run: RunContext[Sync]) -> None: ...


schedule(every("1h"), severity="info")  # wrong
schedule(every("1h"), catch_up="some")  # wrong
sync.changed(overlapp="queue")  # wrong
Retry(attempts="3")  # wrong
retry(attempts=3, dellay="1s")  # wrong
retry(attempts=3, on=int)  # wrong


@job("t.j", params=Sync)
async def j(run: RunContext[Sync]) -> None:
    run.params.sites  # wrong
    await run.enqueue(3)  # wrong
    run.warn(3)  # wrong
"""


def readme_example() -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"```python\n(from sereno import Job, .*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; what it needs is beside it."""
    place = tmp_path_factory.mktemp("installed")
    site = installed_wheel(place)
    (site / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (place / "bad.py").write_text(GOOD + BAD)
    (place / "good.py").write_text(GOOD)
    (place / "readme.py").write_text(readme_example())
    (place / "pyrightconfig.json").write_text('{"venvPath": ".", "venv": "env"}')
    return place


def wrong_lines(place: Path) -> set[tuple[str, int]]:
    lines = (place / "bad.py").read_text().splitlines()
    return {("bad.py", n) for n, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_mypy_strict_finds_what_is_wrong_in_a_declaration_and_nothing_else(installed: Path) -> None:
    found = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--python-executable", "env/bin/python"),
            *("--cache-dir", ".cache", "--config-file="),
            *("--no-error-summary", "bad.py", "good.py", "readme.py"),
        ],
        cwd=installed, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = re.findall(r"^(\w+\.py):(\d+): error", found.stdout, re.MULTILINE)
    assert {(file, int(line)) for file, line in told} == wrong_lines(installed), found.stdout


def test_pyright_finds_what_is_wrong_in_a_declaration_and_nothing_else(installed: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "bad.py", "good.py", "readme.py"],
        cwd=installed, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = json.loads(found.stdout)["generalDiagnostics"]
    lines = {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in told
        if one["severity"] == "error"
    }
    assert lines == wrong_lines(installed), found.stdout
