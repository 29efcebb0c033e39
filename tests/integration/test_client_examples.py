"""What the pages show that name the client works, against a demonstration as `make run` does it."""

import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("client.md", "backfill.md")]
EXAMPLES = [
    example
    for page in PAGES
    for example in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
]


def printed(program: str) -> str:
    """Return what a program prints that ends well and has nothing to say on stderr."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        exec(compile(program, "<example>", "exec"), {"__name__": "__main__"})
    assert err.getvalue() == "", program
    return out.getvalue()


def printed_by_a_process(program: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, ""), program
    return ended.stdout


@pytest.mark.timeout(180)
def test_every_example_of_the_pages_does_what_it_says(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(EXAMPLES[0].strip().splitlines()) == 10
    assert len(EXAMPLES) > 2
    monkeypatch.setenv("SERENO_DATABASE_URL", scene.dsn)
    monkeypatch.setenv("SERENO_APPS__ENABLED", "false")  # no example asks one
    with scene.started("demo", "--http-port", "0", "--log-level", "critical"):
        wait_until(lambda: scene.sql("SELECT 1 FROM sereno.job"), "the jobs")
        for example in EXAMPLES:
            first = example is EXAMPLES[0]
            program = example.replace('"embedded/demo"', repr(scene.dsn))
            said = printed_by_a_process(program) if first else printed(program)
            assert said, example
            assert "failed" not in said.split(), example
            if first:
                assert said.startswith("succeeded {")
