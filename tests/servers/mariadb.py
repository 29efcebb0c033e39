"""A throw-away MariaDB server, and databases of its own for each test."""

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql

from .supervised import ServerError, Supervised, free_port

_ROOT = Path(__file__).parents[2]
_UNPACKED = _ROOT / ".sereno" / "tools" / "mariadb"
_ELSEWHERE = ("/usr/sbin", "/usr/local/opt/mariadb/bin", "/opt/homebrew/opt/mariadb/bin")
MISSING = (
    "MariaDB is needed and was not found: install it (make test does where it can: Debian, Fedora,"
    " Alpine, Homebrew), or set SERENO_TEST_MARIADB_URL=mysql://user:password@host:port/ to a"
    " server on which the user may create databases"
)


@dataclass(frozen=True, slots=True)
class MariaDbPrograms:
    """Where the programs are; `unpacked` is the `usr` of packages that were not installed."""

    server: Path
    install_db: Path
    unpacked: Path | None = None

    @classmethod
    def find(cls) -> "MariaDbPrograms | None":
        """Return the installed programs, else the unpacked ones that `make test` left."""
        path = os.pathsep.join([os.environ.get("PATH", ""), *_ELSEWHERE])
        server = shutil.which("mariadbd", path=path)
        install_db = shutil.which("mariadb-install-db", path=path)
        if server and install_db:
            return cls(Path(server), Path(install_db))
        usr = _UNPACKED / "usr"
        if (usr / "sbin" / "mariadbd").exists():
            install_db = str(usr / "bin" / "mariadb-install-db")
            return cls(usr / "sbin" / "mariadbd", Path(install_db), usr)
        return None

    def environment(self) -> dict[str, str]:
        if self.unpacked is None:
            return {}
        return {"LD_LIBRARY_PATH": os.pathsep.join(map(str, (self.unpacked / "lib").glob("*-*-*")))}


class MariaDb:
    """A MariaDB server on 127.0.0.1; user `sereno` with password `sereno` may do everything."""

    def __init__(self, url: str, supervised: Supervised | None = None) -> None:
        self.url = url
        self._supervised = supervised
        self._numbers = itertools.count(1)

    @classmethod
    def start(cls, *options: str) -> "MariaDb":
        """Start a server of our own, or use the one that SERENO_TEST_MARIADB_URL names.

        With `options` it is always our own.
        """
        if not options and (url := os.environ.get("SERENO_TEST_MARIADB_URL")):
            return cls(url)
        programs = MariaDbPrograms.find()
        if programs is None:
            raise ServerError(MISSING)
        supervised = Supervised("mariadb", account=None)
        try:
            _create(programs, supervised)
            for _ in range(10):
                port = free_port()
                try:
                    _launch(programs, supervised, port, options)
                except ServerError as error:
                    if "Address already in use" not in str(error):
                        raise
                else:
                    return cls(f"mysql://sereno:sereno@127.0.0.1:{port}/", supervised)
            raise ServerError(f"MariaDB found no free port in ten tries: see {supervised.log}")
        except BaseException:
            supervised.remove()
            raise

    @property
    def log(self) -> Path:
        """The file in which our own server logs."""
        if self._supervised is None:
            raise ServerError("the server that SERENO_TEST_MARIADB_URL names keeps its own log")
        return self._supervised.log

    def remove(self) -> None:
        """Stop the server, if it is ours, and remove all that was its."""
        if self._supervised:
            self._supervised.remove()

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a new, empty utf8mb4 database: ``mysql://user:password@host:port/name``."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield re.sub(r"^(\w+://[^/]+).*$", rf"\1/{name}", self.url)
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name}")

    def execute(self, statement: str) -> None:
        """Run one statement."""
        parts = urlsplit(self.url)
        with (
            contextlib.closing(
                pymysql.connect(
                    host=parts.hostname,
                    port=parts.port or 3306,
                    user=unquote(parts.username or ""),
                    password=unquote(parts.password or ""),
                    autocommit=True,
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def _create(programs: MariaDbPrograms, supervised: Supervised) -> None:
    supervised.run(
        programs.install_db,
        "--no-defaults",
        f"--datadir={supervised.place / 'data'}",
        f"--tmpdir={_own_tmp(supervised.place)}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *_as_whom(),
        *([f"--basedir={programs.unpacked}"] if programs.unpacked else []),
        environment=programs.environment(),
    )


def _launch(
    programs: MariaDbPrograms, supervised: Supervised, port: int, options: Sequence[str]
) -> None:
    place = supervised.place
    grant = place / "grant.sql"
    grant.write_text(
        "CREATE USER IF NOT EXISTS sereno@'127.0.0.1' IDENTIFIED BY 'sereno';\n"
        "GRANT ALL PRIVILEGES ON *.* TO sereno@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    unpacked = programs.unpacked
    messages = unpacked / "share" / "mysql" if unpacked else None
    supervised.start(
        programs.server,
        "--no-defaults",
        f"--datadir={place / 'data'}",
        f"--tmpdir={_own_tmp(place)}",
        f"--socket={place / 's.sock'}",
        f"--pid-file={place / 'pid'}",
        f"--port={port}",
        f"--init-file={grant}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=128M",
        "--innodb-log-file-size=48M",
        "--performance-schema=OFF",
        "--character-set-server=utf8mb4",
        *options,
        *_as_whom(),
        *([f"--basedir={unpacked}", f"--lc-messages-dir={messages}"] if unpacked else []),
        stop_signal="TERM",
        ready=lambda: (place / "pid").exists() and _answers(place / "s.sock"),
        environment=programs.environment(),
    )


def _own_tmp(place: Path) -> Path:
    """Return a directory for temporary tables: servers that share one delete each other's files."""
    path = place / "tmp"
    path.mkdir(exist_ok=True)
    return path


def _as_whom() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _answers(path: Path) -> bool:
    try:
        pymysql.connect(unix_socket=str(path), user="sereno", password="sereno").close()
    except pymysql.err.OperationalError as error:
        return bool(error.args[0] == 1045)  # it is up, and knows the user on TCP alone
    return True
