"""What the pages show that name the client works, against a demonstration as `make run` does it."""

import os
import re
import subprocess
import sys
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


@pytest.mark.timeout(180)
def test_every_example_of_the_pages_does_what_it_says(scene: Scene) -> None:
    assert len(EXAMPLES[0].strip().splitlines()) == 10
    assert len(EXAMPLES) > 2
    environment = {**os.environ, "SERENO_DATABASE_URL": scene.dsn}
    with scene.started("demo", "--http-port", "0", "--log-level", "critical"):
        wait_until(lambda: scene.sql("SELECT 1 FROM sereno.job"), "the jobs")
        for example in EXAMPLES:
            program = example.replace('"embedded/demo"', repr(scene.dsn))
            ended = subprocess.run(
                [sys.executable, "-W", "error", "-c", program],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (ended.returncode, ended.stderr) == (0, ""), example
            assert ended.stdout, example
            assert "failed" not in ended.stdout.split(), example
            if example is EXAMPLES[0]:
                assert ended.stdout.startswith("succeeded {")
