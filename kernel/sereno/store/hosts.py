"""Finds, among the hosts that a database URL names, the one that may be written.

One of several is the primary, the others follow it; which one, changes when one fails. All are
asked almost at once: a host that answers nothing, as a machine without power, costs no other one
its turn. So `target_session_attrs` is ``read-write`` where several hosts are named and it is not.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import SplitResult, parse_qs, parse_qsl, quote, urlsplit

import asyncpg

from sereno.model.errors import StoreUnavailableError

T = TypeVar("T", bound=asyncpg.Connection)

_ATTRIBUTE = "target_session_attrs"

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")

_HEAD_START = 0.2
"""Seconds that a host has before the next one is asked as well."""

_ABSENT = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)


def writable(dsn: str) -> str:
    """Return `dsn` such that every client that it is given to looks for the host it may write."""
    parts = urlsplit(dsn)
    named = _ATTRIBUTE in parts.query or "PGTARGETSESSIONATTRS" in os.environ
    if named or len(each_host(dsn)) < 2:
        return dsn
    return _joined(parts, query=[parts.query, f"{_ATTRIBUTE}=read-write"])


def each_host(dsn: str) -> list[str]:
    """Return a URL for each host that `dsn` names, before its path or as ``?host=``."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    if "," in hosts:
        return [_joined(parts, f"{login}{at}{host}") for host in hosts.split(",")]
    query = parse_qs(parts.query, keep_blank_values=True)
    named = query.get("host", [""])[-1].split(",")
    if hosts or len(named) < 2:
        return [dsn]
    ports = query.get("port", [""])[-1].split(",")
    ports = ports * len(named) if len(ports) == 1 else ports
    if len(ports) != len(named):
        return [dsn]  # the driver says what is wrong with it
    rest = [p for p in parts.query.split("&") if not p.startswith(("host=", "port="))]
    return [
        _joined(parts, query=[*rest, f"host={quote(host)}", f"port={port}" if port else ""])
        for host, port in zip(named, ports, strict=True)
    ]


def _joined(
    parts: SplitResult, netloc: str | None = None, query: Sequence[str] | None = None
) -> str:
    """Return the URL of `parts`; the library's own way forgets the slashes before an empty host."""
    asked = parts.query if query is None else "&".join(filter(None, query))
    host = parts.netloc if netloc is None else netloc
    return f"{parts.scheme}://{host}{parts.path}{'?' if asked else ''}{asked}"


async def first_writable(
    dsn: str, connect: Callable[[str], Awaitable[T]], seconds: float = _HEAD_START
) -> T:
    """Return the first connection that `connect` makes to a host of `dsn`; any other is dropped.

    `seconds`: the head start of each host. Raises StoreUnavailableError, which names each host,
    when none can be written, and what else the driver raises.
    """
    hosts = each_host(writable(dsn))
    try:
        return await _first(dsn, hosts, connect, seconds)
    except FileNotFoundError as error:
        if missing := _missing_files(dsn):  # the TLS library does not say which
            raise StoreUnavailableError(
                f"the database's URL names {' and '.join(missing)}, which is not there"
            ) from error
        if places := [host for host in _directories(dsn) if not error.filename]:
            raise StoreUnavailableError(
                f"no server listens at a socket in {' or '.join(places)}: it is not running, or "
                "its unix_socket_directories are others"
            ) from error
        raise


def _directories(dsn: str) -> list[str]:
    named = parse_qs(urlsplit(dsn).query).get("host", [""])[-1].split(",")
    return [host for host in named if host.startswith("/")]


def _missing_files(dsn: str) -> list[str]:
    query = parse_qs(urlsplit(dsn).query)
    named = (
        (name, query.get(name, [os.environ.get(f"PG{name.upper()}", "")])[-1]) for name in _FILES
    )
    return [f"{name}={path}" for name, path in named if path and not os.path.exists(path)]


async def _first(
    dsn: str, hosts: Sequence[str], connect: Callable[[str], Awaitable[T]], seconds: float
) -> T:
    if len(hosts) == 1:
        return await connect(dsn)
    waiting = list(hosts)
    running: dict[asyncio.Future[T], str] = {}
    errors: dict[str, BaseException] = {}
    try:
        while waiting or running:
            if waiting:
                host = waiting.pop(0)
                running[asyncio.ensure_future(connect(host))] = host
            limit = seconds if waiting else None
            done, _ = await asyncio.wait(
                running, timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    del running[task]
                    return task.result()
                errors[running.pop(task)] = error
    finally:
        for task in running:
            task.add_done_callback(_drop)
            task.cancel()
    raise _error_of(hosts, errors)


def _drop(task: "asyncio.Future[T]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _error_of(hosts: Sequence[str], errors: dict[str, BaseException]) -> BaseException:
    """Return the error to raise: what is no matter of absence (a wrong password) goes first."""
    for host in hosts:
        if not isinstance(errors[host], _ABSENT):
            return errors[host]
    reasons = "; ".join(f"{_name(host)}: {_reason(errors[host])}" for host in hosts)
    return StoreUnavailableError(
        f"the database did not do it: none of its hosts can be written: {reasons}"
    )


def _name(dsn: str) -> str:
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    named = parts.netloc.rpartition("@")[2]
    return named or ":".join(filter(None, [query.get("host", ""), query.get("port", "")]))


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncpg.exceptions.TargetServerAttributeNotMatched):
        return "it is a standby in recovery, or read-only"
    return "no answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
