"""The tutorial, carried out as it stands: files, commands, what they print."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..servers.waiting import wait_until

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = {"en": "tutorial.md", "es": "es/tutorial.md"}

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]


def block(page: str, language: str) -> str:
    """Return the one block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return str(found)


def steps(page: str) -> list[tuple[int, str, str]]:
    """Return for each command its terminal, itself, and what the page shows of its output."""
    found = []
    for shown in re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        command, _, output = shown.partition("\n")
        terminal, _, command = command.partition("$ ")
        found.append((int(terminal), command, output.strip()))
    return found


class Reader:
    """Somebody with three terminals in an empty folder, and a home of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = ""
        self._replicas: dict[str, subprocess.Popen[bytes]] = {}
        own = {k: v for k, v in os.environ.items() if not k.startswith("SERENO_")}
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**own, "HOME": str(folder), "PATH": binaries, "SERENO_HTTP__PORT": "0"}
        self._environment["SERENO_APPS__ENABLED"] = "false"

    def start(self, command: str) -> None:
        """Start a replica in the foreground of a terminal, and wait for what it says there."""
        name = command.partition("--node-name ")[2].split()[0]
        if name in self._replicas:
            self._replicas[name].wait(60)  # it was killed: the shell takes its prompt back
        log = self._folder / f"{name}.log"
        before = len(log.read_text()) if log.exists() else 0
        with log.open("ab") as file:
            words = [*command.split(), "--http-port", "0"]  # other tests have the page's ports
            self._replicas[name] = subprocess.Popen(
                words, cwd=self._folder, env=self._environment, stdout=file, stderr=file
            )
        told = re.compile(r'"event":"(leading|standing by)')
        wait_until(lambda: told.search(log.read_text(), before), f"{name} leads or stands by", 60)

    def type(self, command: str, until: str = "") -> bool:
        """Type a command; return whether it prints what the page shows, a regular expression."""
        for name, replica in self._replicas.items():
            command = command.replace(f"PID_OF_{name.upper()}", str(replica.pid))
        ended = subprocess.run(
            ["/bin/sh", "-c", command], cwd=self._folder, env=self._environment,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self._last = ended.stdout + ended.stderr
        assert until or ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.returncode == 0 and re.search(until, ended.stdout) is not None

    def see(self, command: str, shown: str) -> None:
        """Type a command until it prints what the page shows, whatever the figures are."""
        pattern = re.sub(r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d", re.escape(shown))
        pattern = re.sub(r"(?:\\ )+", r"\\s+", pattern)
        wait_until(lambda: self.type(command, pattern), f"'{shown}' of {command}", 60)

    def said(self) -> str:
        """Return the last words of each replica, and of the last command."""
        logs = "".join(log.read_text()[-1500:] for log in self._folder.glob("*.log"))
        return f"{self._last}\n{logs}"

    def leave(self) -> None:
        """Press Ctrl-C in the terminals, and wait for the last to stop the database."""
        for replica in self._replicas.values():
            if replica.poll() is None:
                replica.send_signal(signal.SIGCONT)
                replica.send_signal(signal.SIGINT)
        for replica in self._replicas.values():
            replica.wait(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a new folder that others may enter: root's PostgreSQL runs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="night-") as place:
        os.chmod(place, 0o755)
        yield Path(place)


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    found = Reader(folder)
    yield found
    print(found.said())
    found.leave()


def test_the_commands_of_the_tutorial_do_what_it_says(reader: Reader, folder: Path) -> None:
    page = (DOCS / LANGUAGES["en"]).read_text()
    (folder / "bell.py").write_text(block(page, "python"))
    (folder / "sereno.toml").write_text(block(page, "toml"))
    followed = steps(page)
    assert len(followed) > 15
    for _, command, shown in followed:
        if command.startswith("sereno run "):
            reader.start(command)
        elif shown:
            reader.see(command, shown)
        else:
            reader.type(command)


def test_the_tutorial_in_spanish_has_the_same_steps() -> None:
    pages = [(DOCS / name).read_text() for name in LANGUAGES.values()]
    told = [[re.sub(r"'.*'", "''", command) for _, command, _ in steps(page)] for page in pages]
    assert told[0] == told[1]
    assert len({block(page, "python") for page in pages}) == 1
    assert len({block(page, "toml") for page in pages}) == 1
