"""Where Prometheus' programs are: installed, or unpacked by `make test`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TOOLS = ROOT / ".sereno" / "tools"
_PLACES = (
    *(str(_TOOLS / tool / "usr" / "bin") for tool in ("prometheus", "alertmanager")),
    "/usr/local/bin",
    "/opt/homebrew/bin",
)


def program(*names: str) -> str:
    """Return the path of the first of `names` that there is; fail with what to do."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    pytest.fail(
        f"{names[0]} is needed and was not found: install Prometheus and Alertmanager (on Debian:"
        " apt-get install prometheus prometheus-alertmanager), or run tools/test-tools.sh"
        " prometheus alertmanager",
        pytrace=False,
    )


def promtool(*arguments: str | Path, text: bytes = b"") -> str:
    """Run promtool and return what it says; fail with that when it complains."""
    done = subprocess.run(
        [program("promtool"), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said
