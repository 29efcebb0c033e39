"""A throw-away PgBouncer in transaction mode before a throw-away PostgreSQL."""

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from sereno.embedded import SystemAccount

from .supervised import ServerError, Supervised, free_port, listens

_ROOT = Path(__file__).parents[2]
_ELSEWHERE = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
MISSING = (
    "PgBouncer is needed and was not found: tools/test-tools.sh pgbouncer installs it where it can"
    " (Debian, Fedora, Alpine, Homebrew)"
)
_CONFIG = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = {addresses}
listen_port = {port}
unix_socket_dir =
pidfile = {pidfile}
auth_type = any
pool_mode = transaction
default_pool_size = {size}
server_login_retry = 1
admin_users = postgres
"""


def pgbouncer_program() -> Path | None:
    """Return the installed program, else the unpacked one."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_ELSEWHERE])
    unpacked = _ROOT / ".sereno" / "tools" / "pgbouncer" / "usr" / "sbin" / "pgbouncer"
    found = shutil.which("pgbouncer", path=path)
    return Path(found) if found else (unpacked if unpacked.exists() else None)


class PgBouncer:
    """A pooler in transaction mode before the server on `server_port`; `size` backends a database.

    `addresses`: of this machine, on which it listens beside 127.0.0.1.
    """

    def __init__(
        self,
        server_port: int,
        account: SystemAccount | None,
        *,
        addresses: Sequence[str] = (),
        size: int = 20,
    ) -> None:
        program = pgbouncer_program()
        if program is None:
            raise ServerError(MISSING)
        self._program = program
        self._supervised = Supervised("pgbouncer", account)
        self.port = free_port()
        self._config = self._supervised.place / "pgbouncer.ini"
        self._pidfile = self._supervised.place / "pgbouncer.pid"
        self._addresses = ",".join(["127.0.0.1", *addresses])
        self._size = size
        self._configure(server_port)

    def _configure(self, server_port: int) -> None:
        self._config.write_text(
            _CONFIG.format(
                server=server_port,
                addresses=self._addresses,
                port=self.port,
                size=self._size,
                pidfile=self._pidfile,
            )
        )

    def dsn(self, database: str, host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres@{host}:{self.port}/{database}"

    def start(self) -> None:
        """Start it, or start it again."""
        self._supervised.start(
            self._program, self._config, stop_signal="TERM", ready=lambda: listens(self.port)
        )

    def turn_to(self, server_port: int) -> None:
        """Stand before another server from now on; every client is cut off."""
        self.stop()
        self._configure(server_port)
        self.start()

    def signal(self, number: signal.Signals) -> None:
        """Send its process a signal: SIGSTOP has it hang."""
        os.kill(int(self._pidfile.read_text()), number)

    def stop(self) -> None:
        """Stop it at once: every client is cut off."""
        self._supervised.stop()

    def remove(self) -> None:
        """Stop it and remove all that was its."""
        self._supervised.remove()
