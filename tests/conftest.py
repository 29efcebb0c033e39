"""Fixtures of the whole suite: throw-away servers, a database for each test, the event loops.

Markers:

``every_postgres``  the test runs on each PostgreSQL that is installed, not on the newest alone
``every_loop``      an async test that uses a server runs on asyncio and on uvloop, not on one alone

With ``make test`` they run on the newest and on uvloop; the others are the ``long`` form.

``SERENO_TEST_POSTGRES=15`` runs everything on that version; ``SERENO_TEST_PROGRAMS=/opt/pg16/bin``
brings one that is not installed.

``make test`` runs the tests on several workers of pytest-xdist. Each has its own servers; tests
that share what is costly to start, or would hurt one another, are one ``xdist_group``, and so run
on one of them, one after another.
"""

import asyncio
import gc
import importlib
import logging
import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from zlib import crc32

import certifi
import pytest
import uvloop
from hypothesis import HealthCheck, settings

from sereno.embedded import PostgresPrograms, memory_directory

from .servers.filling import SERENO
from .servers.mariadb import MariaDb
from .servers.postgres import PostgresServer, installed_programs
from .servers.supervised import ROOM_BYTES, ServerError, Supervised


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_postgres: runs on each PostgreSQL installed")
    config.addinivalue_line("markers", "every_loop: runs on asyncio and uvloop, server or not")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # As a shell leaves it for what it runs in the background; every process started here would
        # ignore it too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What they store is gone in seconds: no disk need see it.
    Supervised.within = memory_directory(ROOM_BYTES)
    _trust_one_authority(config)
    # No server of the suite has TLS but those of its own tests, whose addresses say how: drivers
    # would make what TLS needs for each of some ten thousand connections, to be refused.
    os.environ["PGSSLMODE"] = "disable"


def _trust_one_authority(config: pytest.Config) -> None:
    """Have TLS know one authority by default in place of 150, which take 40 ms to load: each HTTP
    client loads them, and none of ours asks one on the internet."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # what is started by a process that has done so
    end = "-----END CERTIFICATE-----\n"
    with NamedTemporaryFile("w", prefix="sereno-", suffix=".pem", delete=False) as file:
        file.write(certifi.contents().partition(end)[0] + end)
    os.environ["SSL_CERT_FILE"] = file.name
    config.add_cleanup(Path(file.name).unlink)


class _UvLoop(uvloop.Loop):
    """Closes though a test that failed has left a connection open: where warnings are errors,
    uvloop leaves such a handle as it is, and waits for it for ever."""

    def close(self) -> None:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            super().close()
        for one in found:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run async tests on both loops; those that use a server on uvloop alone, unless marked."""
    factories = {"asyncio": asyncio.new_event_loop, "uvloop": _UvLoop}
    fixtures = getattr(item, "fixturenames", ())
    uses_server = not {"postgres_servers", "sereno_databases", "mariadb"}.isdisjoint(fixtures)
    if uses_server and item.get_closest_marker("every_loop") is None:
        del factories["asyncio"]
    return factories


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres_version" in metafunc.fixturenames:
        versions = _versions()
        if metafunc.definition.get_closest_marker("every_postgres") is None:
            versions = versions[:1]
        hidden = [pytest.HIDDEN_PARAM] if len(versions) == 1 else [f"pg{v}" for v in versions]
        metafunc.parametrize("postgres_version", versions, ids=hidden, scope="session")


# How long a case takes is the affair of the machine, which may be at other work.
settings.register_profile("sereno", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sereno")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import what is to be collected, each worker from another place on: what one has compiled the
    others read, where each would compile it all by itself."""
    config = session.config
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if not worker:
        return
    gc.disable()  # until all is collected: thousands of tests, which stay
    if config.args != config.getini("testpaths"):
        return
    files = sorted((config.rootpath / "tests").rglob("test_*.py"))
    files = [f for f in files if "versions" not in f.parts]
    first = len(files) * int(worker) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for file in files[first:] + files[:first]:
        name = ".".join(file.relative_to(config.rootpath).with_suffix("").parts)
        with suppress(Exception):  # who collects it says what is wrong with it
            importlib.import_module(name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start first what takes longest as a group: faults, which mostly wait and of which no more
    than two are to be at work at once, and what shares MariaDB."""
    items.sort(key=lambda item: (item.get_closest_marker("fault") is None, not _uses_mariadb(item)))
    newest = _versions()[0]
    for item in items:
        if _is_repeated(item, newest):
            item.add_marker(pytest.mark.long("the same test on the newest PostgreSQL and uvloop"))
        if _uses_mariadb(item):
            item.add_marker(pytest.mark.xdist_group("mariadb"))
        elif item.get_closest_marker("fault") and not item.get_closest_marker("xdist_group"):
            half = crc32(str(item.path.name).encode()) % 2
            item.add_marker(pytest.mark.xdist_group(f"faults {half}"))


def _is_repeated(item: pytest.Item, newest: int) -> bool:
    """Whether the test runs on another PostgreSQL, or with a server on another loop, as well."""
    spec = getattr(item, "callspec", None)
    if spec is None:
        return False
    other_loop = item.get_closest_marker("every_loop") and "asyncio" in spec.id.split("-")
    return bool(other_loop) or spec.params.get("postgres_version", newest) != newest


def _uses_mariadb(item: pytest.Item) -> bool:
    return "mariadb" in getattr(item, "fixturenames", ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector of garbage what stays; refuse to run a group on several workers at once:
    its tests would hurt one another."""
    gc.enable()
    gc.collect()
    gc.freeze()  # thousands of tests, which each full collection would go through
    if not session.config.getoption("loadgroup", default=False):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid.rpartition("]")[2]:
            raise pytest.UsageError("this pytest-xdist forms no groups with this pytest")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make what a test said fit for the way from its worker, which takes no lone surrogates."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def _versions() -> list[int]:
    """Return the versions to test on: the newest and the oldest that is installed."""
    if chosen := os.environ.get("SERENO_TEST_POSTGRES"):
        return [int(chosen)]
    versions = list(installed_programs())
    return versions[:1] + versions[1:][-1:]


def _programs(version: int) -> PostgresPrograms:
    found = installed_programs()
    if version not in found:
        pytest.fail(f"PostgreSQL {version} is not installed: found {list(found)}", pytrace=False)
    return found[version]


@pytest.fixture(autouse=True)
def warnings_as_before() -> Iterator[None]:
    """End the capture of warnings that a test began: while one lasts, another is not begun, and
    pytest takes its place without a word, so that a later test's warnings would reach no log."""
    yield
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[Callable[[int], PostgresServer]]:
    """Start a server of a version when it is first asked for, and stop all at the end."""
    with ExitStack() as stack:
        started: dict[int, PostgresServer] = {}

        def get(version: int) -> PostgresServer:
            if version not in started:
                started[version] = PostgresServer(_programs(version))
                stack.callback(started[version].remove)
                started[version].keep_pristine()
                started[version].start()
            return started[version]

        yield get


@pytest.fixture
def postgres_server(
    postgres_servers: Callable[[int], PostgresServer], postgres_version: int
) -> PostgresServer:
    """Give the shared PostgreSQL server; a test that stops or kills it takes `private_postgres`."""
    return postgres_servers(postgres_version)


@pytest.fixture
def private_postgres(
    postgres_servers: Callable[[int], PostgresServer], postgres_version: int
) -> Iterator[PostgresServer]:
    """Give a PostgreSQL server that this test alone uses: to stop, kill, freeze and start again."""
    postgres_servers(postgres_version)  # of whose pristine data it begins with a copy
    server = PostgresServer(_programs(postgres_version))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the DSN of a database of this test's own, with the kernel's schema in it."""
    with postgres_server.database("sereno_template", SERENO) as dsn:
        yield dsn


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the DSN of a database of this test's own with nothing in it."""
    with postgres_server.database("empty_template", lambda dsn: None) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """Give the shared MariaDB server."""
    try:
        server = MariaDb.start()
    except ServerError as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    server.remove()


@pytest.fixture
def mariadb(mariadb_server: MariaDb) -> Iterator[str]:
    """Give the URL of a new MariaDB database: ``mysql://user:password@host:port/name``."""
    with mariadb_server.database() as url:
        yield url
