"""A Django project in this process, whose database each test has for itself."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import django
import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

PROJECT = Path(__file__).with_name("project")
R = TypeVar("R")


def ready() -> None:
    """Set Django up once, by the project's settings, without naming them to what else is tested."""
    if settings.configured:
        return
    sys.path.append(str(PROJECT))
    project = vars(import_module("bookshop.settings"))
    chosen = {name: value for name, value in project.items() if name.isupper()}
    settings.configure(**{**chosen, "LOGGING_CONFIG": None})
    django.setup()


ready()

from bookshop.models import Order  # noqa: E402 - once there are settings
from django.db import connection, connections  # noqa: E402

from sereno.testing import Kernel  # noqa: E402
from sereno_django.discovery import found_jobs  # noqa: E402


async def in_thread(work: Callable[..., R], *given: Any, **named: Any) -> R:
    """Call plain code of Django's in a thread of its own, whose connections end with it."""
    async with ThreadSensitiveContext():

        def work_and_close() -> R:
            try:
                return work(*given, **named)
            finally:
                connections.close_all()

        return await sync_to_async(work_and_close)()


@pytest.fixture
def project(sereno_database: str) -> Iterator[str]:
    """Point the project at this test's database, with its table; give its URL."""
    point(sereno_database)
    with connection.schema_editor() as editor:
        editor.create_model(Order)
    fresh()
    yield sereno_database
    fresh()


def entry_of(url: str) -> dict[str, Any]:
    """Return what DATABASES says of the database at `url`."""
    found = conninfo_to_dict(url)
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    entry = {name: found.get(key, "") for name, key in names.items()}
    return {**entry, "NAME": found["dbname"]}


def point(url: str) -> None:
    """Have the project's default database be that at `url`."""
    connections.databases["default"].update(entry_of(url))
    fresh()


def fresh() -> None:
    """Have this thread open its next connection by what `databases` says then."""
    connections.close_all()
    for alias in list(connections):
        if hasattr(connections._connections, alias):
            delattr(connections._connections, alias)


@pytest.fixture
async def kernel(project: str) -> AsyncIterator[Kernel]:
    async with Kernel(*found_jobs(), database=project) as found:
        yield found
    await sync_to_async(fresh)()  # where this test's own async code worked


@pytest.fixture
def empty_project(empty_database: str) -> Iterator[str]:
    """Point the project at a database with nothing in it."""
    point(empty_database)
    yield empty_database
    fresh()
