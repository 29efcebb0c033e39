"""Databases of tests: each a clone of one template, in a time that the test owns, thrown away.

The server is the embedded PostgreSQL, for as long as the tests run, or the one that
``SERENO_TEST_DATABASE_URL`` names. What is called here blocks, and may be called beside a loop.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any, Self
from urllib.parse import urlsplit

from sereno.embedded import EmbeddedPostgres
from sereno.model.errors import ConfigurationError, StoreError, StoreRightsError
from sereno.settings import redact
from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.testing.own_time import blocks, make_own_time

VARIABLE = "SERENO_TEST_DATABASE_URL"
"""Names a server on which tests make their databases."""

_FILE_COPY = 15
"""The version since which the way of copying can be chosen: by files is the faster one here."""

_MOST_SESSIONS = 1_000


class Databases:
    """Clones of one template, which is made by the first. `server_url`: any database of the server,
    as its superuser. `fill`: puts into the template what an application has besides."""

    def __init__(self, server_url: str, fill: Callable[[str], object] = lambda _: None) -> None:
        self._server_url = server_url
        self._fill = fill
        self._prefix = f"sereno_test_{secrets.token_hex(4)}"
        self._template: str | None = None
        self._numbers = count(1)

    @classmethod
    @contextmanager
    def opened(
        cls, server_url: str | None = None, fill: Callable[[str], object] = lambda _: None
    ) -> Iterator[Self]:
        """Give those of `server_url`, or of an embedded server; at the end nothing of them is left.

        Raises ConfigurationError where tests cannot have their own time there.
        """
        if not server_url:
            with EmbeddedPostgres.temporary() as server, cls.opened(server.dsn, fill) as found:
                yield found
            return
        made = cls(server_url, fill)
        try:
            yield made
        finally:
            if made._template is not None:
                _wait_for(_drop(server_url, made._template))

    @contextmanager
    def new(self) -> Iterator[str]:
        """Give the URL of a database of its own."""
        if self._template is None:
            self._template = self._made_template()
        name = f"{self._prefix}_{next(self._numbers)}"
        _wait_for(_create(self._server_url, "database_create", name, self._template))
        try:
            yield _address(self._server_url, name)
        finally:
            _wait_for(_drop(self._server_url, name))

    def _made_template(self) -> str:
        name = f"{self._prefix}_template"
        try:
            _wait_for(_create(self._server_url, "template_create", name))
            try:
                make_template(_address(self._server_url, name))
                self._fill(_address(self._server_url, name))
            except BaseException:
                _wait_for(_drop(self._server_url, name))
                raise
        except StoreRightsError as error:
            raise ConfigurationError(
                f"{VARIABLE}: tests cannot own the time of its databases, as its role may not: "
                f"{redact(str(error))}; name a superuser of a server that holds nothing but tests, "
                "or unset it for an embedded one"
            ) from error
        except StoreError as error:
            raise ConfigurationError(f"{VARIABLE}: {redact(str(error))}") from error
        return name


def make_template(database_url: str) -> None:
    """Put the test's clock and the kernel's schema into an empty database. Raises StoreError."""
    _wait_for(make_own_time(database_url))


def _wait_for(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` on a loop of its own, as the caller may be on one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def _address(server_url: str, name: str) -> str:
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


async def _create(server_url: str, block: str, name: str, template: str = "") -> None:
    with translated():
        connection = await connect(server_url)
        try:
            chosen = connection.get_server_version().major >= _FILE_COPY
            strategy = "STRATEGY file_copy" if chosen else ""
            text = blocks()[block].format(name=name, template=template, strategy=strategy)
            await connection.execute(text)
        finally:
            connection.terminate()


async def _drop(server_url: str, name: str) -> None:
    with translated():
        connection = await connect(server_url)
        try:
            for _ in range(_MOST_SESSIONS):
                if not await connection.fetch(blocks()["sessions_end"], name):
                    break
                await asyncio.sleep(0.001)
            await connection.execute(blocks()["database_drop"].format(name=name))
        finally:
            connection.terminate()
