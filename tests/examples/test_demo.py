"""``sereno demo`` lists the systems of first users, and starts one by its name."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from ..servers.supervised import free_port
from ..servers.waiting import wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sereno", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_examples_are_listed() -> None:
    told = demo("--list").stdout
    known = {one.parent.name for one in EXAMPLES.glob("*/start.py")}
    assert known == {line.split()[0] for line in told.splitlines() if "Starts" in line}
    assert {"callcenter", "crm", "students", "telemetry"} <= known
    assert all((EXAMPLES / name / "requirements.txt").exists() for name in known)
    wrong = demo("studnets")
    assert (wrong.returncode, "did you mean 'students'?" in wrong.stderr) == (2, True), wrong.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_one_starts_whole_and_ends_whole(stop: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "sereno", "demo", "crm", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as it:
        assert it.stdout is not None
        assert f":{port}/ (log in: " in it.stdout.readline()
        with urlopen(f"http://127.0.0.1:{port}/login", timeout=20) as page:
            assert page.status == 200
        if stop == signal.SIGTERM:
            taken = demo("crm", "--port", str(port))
            assert (taken.returncode, "Traceback" in taken.stderr) == (1, False), taken.stderr
            assert f"port {port} is taken by another program" in taken.stderr
            it.terminate()
        else:  # as a terminal does it
            os.killpg(it.pid, stop)
        assert it.wait(60) == 0
        assert it.stdout.read().endswith("stopped\n")
    wait_until(lambda: not left(it.pid), "nothing of its session is left")


def left(session: int) -> list[int]:
    """Return the processes of a session, its zombies left out."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its = (place / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its) == session and state != "Z" and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found
