"""Run a server that ends, and whose files go, when the process that started it ends in any way."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from sereno.embedded import SystemAccount

# The supervisor holds the reading end of a pipe. A word on it, or its end when the starter is gone
# (even by SIGKILL), stops the server; after an end without a word nobody else removes the files.
_SUPERVISOR = """
place=$1 signal=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3 || : >"$place/orphaned"; kill -s "$signal" "$server"; } 2>/dev/null & watcher=$!
wait "$server"; code=$?
kill "$watcher" 2>/dev/null
[ ! -e "$place/orphaned" ] || rm -rf "$place"
exit "$code"
"""

_PORTS = range(10_000, 32_000)
"""All below those that systems give to outgoing connections, and above what needs a right."""

_claims: list[socket.socket] = []

ROOM_BYTES = 4_000_000_000
"""What must be free for servers to live in memory: four times what all those of a run take."""


class ServerError(Exception):
    """A throw-away server did not start or stop."""


class Supervised:
    """A server process with a directory of its own, run by `account` or this process's user.

    `within`: where such directories are made; None: where the system keeps temporary files.
    """

    within: ClassVar[Path | None] = None

    def __init__(self, name: str, account: SystemAccount | None) -> None:
        self.name = name
        self.account = account
        within = self.within or Path(tempfile.gettempdir())
        if account and not account.can_reach(within):
            within = Path("/tmp")
        self.place = Path(tempfile.mkdtemp(prefix=f"sereno-{name}-", dir=within))
        self.log = self.place / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        if account:
            os.chown(self.place, account.uid, account.gid)

    @property
    def stopped(self) -> bool:
        """Tell whether it was never started, or was stopped."""
        return self._process is None

    def run(self, *command: str | Path, environment: dict[str, str] | None = None) -> None:
        """Run a program to its end, as the account."""
        with self.log.open("ab") as log:
            process = self._popen(command, log, environment, stdin=subprocess.DEVNULL)
            if process.wait(120) != 0:
                raise ServerError(f"{command[0]} failed: {self.log.read_text()}")

    def start(
        self,
        *command: str | Path,
        stop_signal: str,
        ready: Callable[[], bool],
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start the server and return when it is `ready`; raise ServerError if it ends before."""
        supervisor = ["/bin/sh", "-c", _SUPERVISOR, self.name, self.place, stop_signal, *command]
        with self.log.open("ab") as log:
            self._process = self._popen(supervisor, log, environment, stdin=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"{self.name} did not start: {self.log.read_text()[-3000:]}")
            threading.Event().wait(0.01)

    def stop(self) -> None:
        """Stop the server and keep its directory; do nothing if it has ended."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"stop\n")
        try:
            self._process.wait(60)
        finally:
            self._process.stdin.close()
            self._process = None

    def remove(self) -> None:
        """Stop the server and remove its directory."""
        self.stop()
        shutil.rmtree(self.place, ignore_errors=True)

    def _popen(
        self,
        command: Sequence[str | Path],
        log: object,
        environment: dict[str, str] | None,
        stdin: int,
    ) -> subprocess.Popen[bytes]:
        who = self.account
        return subprocess.Popen(
            command,
            bufsize=0,
            stdin=stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.place,
            env={**os.environ, "LC_ALL": "C", **(environment or {})},
            start_new_session=True,
            user=who.uid if who else None,
            group=who.gid if who else None,
            extra_groups=[] if who else None,
        )


def free_port() -> int:
    """Return a TCP port that is free, and that no other process of ours is given while we live.

    Nor does an outgoing connection get it while its server is away. Who loses the race against a
    stranger starts again with another.
    """
    for _ in range(100):
        port = secrets.choice(_PORTS)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:  # UDP and TCP have ports of their own: a claim does not keep the server out
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            _claims.append(claim)
            return port
    raise ServerError("no free port was found in a hundred tries")


def listens(port: int) -> bool:
    """Tell whether something accepts connections on the port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
