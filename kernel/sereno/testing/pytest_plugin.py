"""Fixtures for tests of plugins and applications, there once sereno is installed; the one module
that knows pytest.

``run_context``      builds a RunContext, see `sereno.testing.run_context`
``fake_clock``       a FakeClock; contexts of this test tell its time
``signals``          a Signals to wait on instead of sleeping
``sereno_database``  the URL of a database of this test's own, for a `Kernel` and the application
``sereno_template``  override it to put an application's tables into what these are clones of
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from sereno.model.lazy import lazy
from sereno.testing.clock import FakeClock
from sereno.testing.context import RecordedRun
from sereno.testing.context import run_context as build_context
from sereno.testing.signals import Signals


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that stands at 2026-01-01T00:00Z until the test advances it."""
    return FakeClock()


@pytest.fixture
def run_context(fake_clock: FakeClock) -> Callable[..., RecordedRun]:
    """Return `sereno.testing.run_context`, on this test's `fake_clock`."""
    return partial(build_context, clock=fake_clock)


@pytest.fixture
def signals() -> Signals:
    """Return a Signals of this test's own."""
    return Signals()


@pytest.fixture(scope="session")
def sereno_template() -> Callable[[str], object]:
    """Return what is called with the URL of the template, once the kernel's tables are there."""
    return lambda database_url: None


@pytest.fixture(scope="session")
def sereno_databases() -> Iterator[Callable[[Callable[[str], object]], Any]]:
    """Give the databases of a template, all on an embedded server, or on the one that
    ``SERENO_TEST_DATABASE_URL`` names. Folders of tests may differ in what fills their template."""
    # Loaded by who has a test with a database.
    databases = lazy("sereno.testing.databases")
    made: dict[Callable[[str], object], Any] = {}
    with ExitStack() as stack:
        url = os.environ.get(databases.VARIABLE)
        server_url = url or stack.enter_context(databases.EmbeddedPostgres.temporary()).dsn

        def get(fill: Callable[[str], object]) -> Any:
            if fill not in made:
                opening = databases.Databases.opened(server_url, fill)
                made[fill] = stack.enter_context(opening)
            return made[fill]

        yield get


@pytest.fixture
def sereno_database(
    sereno_databases: Callable[[Callable[[str], object]], Any],
    sereno_template: Callable[[str], object],
) -> Iterator[str]:
    """Give the URL of a database of this test's own, which has the kernel's tables."""
    with sereno_databases(sereno_template).new() as database_url:
        yield database_url
