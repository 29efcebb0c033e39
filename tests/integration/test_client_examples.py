"""What the page of the client shows works, against a demonstration as `make run` starts one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..servers.waiting import wait_until
from .cli_scene import Scene, scene

__all__ = ["scene"]

PAGE = (Path(__file__).parents[2] / "docs/client.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.timeout(180)
def test_every_example_of_the_page_does_what_it_says(scene: Scene) -> None:
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
