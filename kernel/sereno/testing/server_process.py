"""A server in a process of its own, as a test or a demonstration of a whole system starts it."""

import http.client
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

_ASKED_EVERY = 0.05
"""Seconds between two questions."""
_GOODBYE = 30.0
"""Seconds that a server has to end by itself."""


class ServerProcess(subprocess.Popen[bytes]):
    """A server's process, that is to answer at `address`."""

    address: str

    def answered(self, within: float = 60) -> None:
        """Wait until something is answered at the address, whatever that says.

        Raises RuntimeError, a sentence, when it ends before, or answers nothing `within` seconds.
        """
        until = time.monotonic() + within
        while not _answers(self.address):
            if self.poll() is not None:
                raise RuntimeError(
                    f"'{self._command_line}' ended with {self.returncode}, unanswered"
                )
            if time.monotonic() > until:
                raise RuntimeError(f"'{self._command_line}' did not answer within {within:g} s")
            with suppress(subprocess.TimeoutExpired):
                self.wait(_ASKED_EVERY)

    @property
    def _command_line(self) -> str:
        return shlex.join(str(word) for word in self.args)  # type: ignore[union-attr]


@contextmanager
def server_process(
    command: Sequence[str],
    address: str,
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    quiet: bool = False,
    wait: bool = True,
) -> Iterator[ServerProcess]:
    """Run a server, and give its process once something is answered at `address`.

    At the end it is terminated; what does not end by that in half a minute is killed. Ctrl-C
    reaches the caller alone. `quiet`: nothing of what it prints is shown. `wait`: False gives the
    process at once, for who starts several and has them all `answered()` then. Raises RuntimeError,
    a sentence, where the port is taken, and as `answered` does.
    """
    if _listens(address):
        port = _place(address)[1]
        raise RuntimeError(f"port {port} is taken by another program: choose another")
    output = subprocess.DEVNULL if quiet else None
    process = ServerProcess(
        command,
        cwd=cwd,
        env=env,
        stdout=output,
        stderr=output,
        process_group=0,  # a terminal's Ctrl-C is for who started this, and ends it in its turn
    )
    process.address = address
    try:
        if wait:
            process.answered()
        yield process
    finally:
        _end(process)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens at; another may take it meanwhile."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _end(process: ServerProcess) -> None:
    """Have it end; another Ctrl-C meanwhile ends it at once."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GOODBYE)
    finally:
        process.kill()  # nothing where it is over
        process.wait()


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "127.0.0.1", parts.port or 80


def _listens(address: str) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(_place(address)) == 0


def _answers(address: str) -> bool:
    asked = http.client.HTTPConnection(*_place(address), timeout=10)
    try:
        asked.request("GET", urlsplit(address).path or "/")
        asked.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()
    return True
