"""Fixtures of the whole suite: throw-away servers, a database for each test, the event loops.

Markers:

``every_postgres``  the test runs on each PostgreSQL that is installed, not on the newest alone
``every_loop``      an async test that uses a server runs on asyncio and on uvloop, not on one alone

``SERENO_TEST_POSTGRES=15`` runs everything on that version.

``make test`` runs the tests on several workers of pytest-xdist. Each has its own servers; tests
that share what is costly to start, or would hurt one another, are one ``xdist_group``, and so run
on one of them, one after another.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack

import pytest
import uvloop

from sereno.embedded import PostgresPrograms
from sereno.store.migrator import migrate

from .servers.mariadb import MariaDb
from .servers.postgres import PostgresServer, installed_programs
from .servers.supervised import ServerError, Supervised, memory


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_postgres: runs on each PostgreSQL installed")
    config.addinivalue_line("markers", "every_loop: runs on asyncio and uvloop, server or not")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # As a shell leaves it for what it runs in the background; every process started here would
        # ignore it too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    Supervised.within = memory()  # what they store is gone in seconds: no disk need see it


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run async tests on both loops; those that use a server on uvloop alone, unless marked."""
    factories = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    fixtures = getattr(item, "fixturenames", ())
    uses_server = not {"postgres_server", "private_postgres", "mariadb"}.isdisjoint(fixtures)
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start what waits most first; faults beside other tests, but not beside each other."""
    items.sort(key=lambda item: item.get_closest_marker("fault") is None)
    for item in items:
        if "mariadb" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("mariadb"))
        elif item.get_closest_marker("fault") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("faults"))


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
    with postgres_server.database("sereno_template", _migrate) as dsn:
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


def _migrate(dsn: str) -> None:
    """Fill the template, on a loop and in a thread of its own: the test's loop is not ours."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(migrate(dsn))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
