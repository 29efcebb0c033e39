"""Decide when the embedded PostgreSQL of this machine and user is created, started and stopped.

The programs come from a wheel (extra ``embedded``); one server is shared by every process that
enters. In ``<data directory>/postgresql-18``:

``lock``   an exclusive flock, held while the server is created, started or stopped
``users``  each user holds a shared flock for life; the system drops it, whatever ends the user.
           Who leaves tries to make it exclusive: that succeeds for the last, who stops the server
``data``   the cluster; it appears by a rename, so it is whole or absent

Invariants:

* A server is running whenever a user is inside, unless it was killed; then the next to enter, or
  `EmbeddedPostgres.ensure_running`, starts it again.
* A server lives if it answers on its socket; nothing else is proof. A process id may belong to a
  zombie or, after a reboot, to a stranger.
* PostgreSQL's own check of its shared memory is never bypassed: a new server waits for the last
  backend of a killed one.
* The server has a session of its own: Ctrl-C in a terminal does not reach it.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from sereno.embedded.account import SystemAccount
from sereno.embedded.directory import data_directory, make_directory, temporary_directories
from sereno.embedded.programs import PostgresPrograms
from sereno.embedded.remedy import REMEDY
from sereno.embedded.wheel import MAJOR, find_programs
from sereno.model.errors import EmbeddedError

if sys.platform != "win32":
    import fcntl

_PORT = 5432  # part of the socket's name; nothing listens on TCP
_SOCKET_PATH_BYTES = 100  # Linux takes 107, macOS 103
_START_SECONDS = 600  # a crash recovery may take this long
_STOP_SECONDS = 60
_PATIENCE_SECONDS = 60  # for the backends of a killed server to notice, and go
_POLL_SECONDS = 0.02
_PASSING = re.compile(
    r"does not answer|shared memory block .* is still in use|postmaster\.pid\" already exists"
)
_UNFIT = re.compile(r"[\"$`\\\n]")  # pg_ctl hands the name to a shell, in double quotes
_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"  # what a server answers first, in any state
_TEMPORARY_PREFIX = "sereno-temporary-"
_LOG_BYTES = 5_000_000

DEMO = "demo"
"""The database of demonstrations."""


class EmbeddedPostgres:
    """A user of the server that all processes of this machine and user share, from enter to exit.

    Entering creates and starts the server where needed, which blocks for up to a second or, after
    a crash, for the time of its recovery: an asyncio program enters and leaves in a thread.

    `directory` replaces `data_directory()`. What is not `durable` may be lost with the machine.
    """

    def __init__(self, directory: Path | None = None, *, durable: bool = True) -> None:
        if sys.platform == "win32":
            raise EmbeddedError(
                "the embedded PostgreSQL does not run on Windows: set database_url to a"
                " PostgreSQL 14 or newer"
            )
        self._base = (directory or data_directory()).absolute()
        self._root = self._base / f"postgresql-{MAJOR}"
        self._data = self._root / "data"
        self._durable = durable
        self._users: IO[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The address of the database ``postgres`` as its superuser, over a Unix socket."""
        return self.address("postgres")

    @property
    def demo_dsn(self) -> str:
        """The address of the database of demonstrations, which is made by the first of them."""
        return self.address(DEMO)

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._sockets))}&port={_PORT}"

    @property
    def log(self) -> Path:
        """The file in which the server logs."""
        return self._root / "server.log"

    def __enter__(self) -> Self:
        with _translated(self._root):
            self._prepare()
            with self._locked():
                self._users = _opened(self._root / "users", os.O_RDONLY | os.O_CREAT)
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._start()
                except BaseException:
                    self._leave()
                    raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with _translated(self._root), self._locked():
            self._leave()

    def ensure_running(self) -> None:
        """Start the server again if it was killed; for a user who lost it."""
        with _translated(self._root), self._locked():
            self._start()

    def is_running(self) -> bool:
        """Tell whether a server answers on the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1)
            try:
                client.connect(str(self._sockets / f".s.PGSQL.{_PORT}"))
                client.sendall(_SSL_REQUEST)
                return bool(client.recv(1))  # a server that dies in this moment says nothing
            except (BlockingIOError, TimeoutError):
                return True  # it listens, and is busy
            except OSError:
                return False

    @classmethod
    @contextlib.contextmanager
    def temporary(cls) -> Iterator[Self]:
        """Run an empty server that nobody else uses, and remove it with all its data.

        One that a killed process left is removed by the next call.
        """
        within = temporary_directories()
        for left in chain.from_iterable(place.glob(f"{_TEMPORARY_PREFIX}*") for place in within):
            cls(left)._remove_if_abandoned()
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY_PREFIX, dir=within[0]) as place:
            if os.geteuid() == 0:
                Path(place).chmod(0o711)  # the account that serves passes through
            with cls(Path(place), durable=False) as server:
                yield server

    @property
    def _sockets(self) -> Path:
        name = f"/.s.PGSQL.{_PORT}.lock"
        fits = len(os.fsencode(self._root)) + len(name) <= _SOCKET_PATH_BYTES
        if fits and "," not in str(self._root):  # which parts hosts in an address
            return self._root
        key = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:12]
        return Path("/tmp") / f"sereno-{key}"  # noqa: S108 - its owner is checked

    def _prepare(self) -> None:
        if _UNFIT.search(str(self._root)):
            raise EmbeddedError(
                f"'{self._root}' cannot hold the embedded PostgreSQL, as its name has one of"
                f" \" $ ` \\ or a line's end: choose another data directory, {REMEDY}"
            )
        account = SystemAccount.to_serve(self._root)
        make_directory(self._base, account)
        for place in {self._root, self._sockets}:
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o700)
            if account and place.lstat().st_uid == 0:
                os.chown(place, account.uid, account.gid, follow_symlinks=False)
            owner = place.lstat().st_uid
            if owner != (account.uid if account else os.geteuid()) or place.is_symlink():
                raise EmbeddedError(
                    f"'{place}' belongs to another user (uid {owner}), and the embedded PostgreSQL"
                    f" needs it: remove it, choose another data directory, {REMEDY}"
                )
        if account and not account.can_reach(self._root):
            raise EmbeddedError(
                f"'{self._root}' cannot be reached by '{account.name}', who runs the embedded"
                " PostgreSQL for root: choose a directory outside private ones, such as"
                f" /var/lib/sereno, {REMEDY}"
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with _opened(self._root / "lock", os.O_RDONLY | os.O_CREAT) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove_if_abandoned(self) -> None:
        with contextlib.suppress(OSError, EmbeddedError), self._locked():
            self._users = _opened(self._root / "users", os.O_RDONLY)  # not there: it is being made
            if self._leave():
                shutil.rmtree(self._base)

    def _leave(self) -> bool:
        """Leave the server, and stop it as the last; tell whether that was so."""
        if self._users is None:
            return False
        with self._users as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False  # somebody else is still inside
            self._stop()
            return True

    def _start(self) -> None:
        if self.is_running():
            return
        programs = find_programs(self._base)
        if not self._data.exists():
            programs.create(self._data, durable=self._durable)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.is_running():
            problem = "it is running, and does not answer"
            if not self._is_starting():
                problem = self._launch_or_why_not(programs)
            if problem and (time.monotonic() > deadline or not _PASSING.search(problem)):
                raise EmbeddedError(
                    f"the embedded PostgreSQL in '{self._root}' does not start: {problem}"
                )
            threading.Event().wait(_POLL_SECONDS)

    def _is_starting(self) -> bool:
        """Tell whether a server of this data lives: one whose starter was killed, say."""
        try:
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return False
        return os.fsencode(self._data) in _command_line(pid)

    def _launch_or_why_not(self, programs: PostgresPrograms) -> str:
        _disown(self._data / "postmaster.pid")
        _disown(self._sockets / f".s.PGSQL.{_PORT}.lock")
        before = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._launch(programs)
        except EmbeddedError as error:
            with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
                log.seek(before)
                return f"{error}\n{log.read().decode(errors='replace').strip()}"
            return str(error)
        return ""

    def _launch(self, programs: PostgresPrograms) -> None:
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": f'"{self._sockets}"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
        }
        if not self._durable:  # what is committed outlives the server all the same
            options |= {"fsync": "off", "full_page_writes": "off"}
        line = shlex.join(f"--{name}={value}" for name, value in options.items())
        programs.run(
            "pg_ctl", "start", "-w", "-t", str(_START_SECONDS), "-D", str(self._data),
            "-l", str(self.log), "-o", line,
            cwd=self._root, seconds=_START_SECONDS + 10,
        )  # fmt: skip

    def _stop(self) -> None:
        if self.is_running():
            find_programs(self._base).run(
                "pg_ctl", "stop", "-w", "-t", str(_STOP_SECONDS), "-m", "fast",
                "-D", str(self._data),
                cwd=self._root, seconds=_STOP_SECONDS + 10,
            )  # fmt: skip
        if self._sockets != self._root:
            shutil.rmtree(self._sockets, ignore_errors=True)


def _disown(pidfile: Path) -> None:
    """Make a server's pid file that was left behind name this process in place of the dead server.

    PostgreSQL takes a number that lives, be it a zombie or a stranger, for a running server; its
    own grandparent it does not. The rest of the file stays: it leads to the shared memory.
    """
    with contextlib.suppress(FileNotFoundError), _opened(pidfile, os.O_RDWR) as file:
        _, _, rest = file.read().partition(b"\n")
        file.seek(0)
        file.write(b"%d\n%b" % (os.getpid(), rest))
        file.truncate()


def _command_line(pid: int) -> bytes:
    """Return what a process was started with: nothing for one that is dead, or a zombie."""
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    shown = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(shown, capture_output=True, check=False).stdout  # noqa: S603


def _opened(path: Path, flags: int) -> IO[bytes]:
    """Open a file, never through a link: root works in a directory that the account may change."""
    number = os.open(path, flags | os.O_NOFOLLOW, mode=0o644)
    return open(number, "r+b" if flags & os.O_RDWR else "rb", buffering=0)


@contextlib.contextmanager
def _translated(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(
            f"the embedded PostgreSQL in '{place}': {error}; choose another data directory,"
            f" {REMEDY}"
        ) from error
