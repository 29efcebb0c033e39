"""Asks plugins' checks, each in a thread of its own: none can hold up another, nor who asks."""

import asyncio
import inspect
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from typing import Any

import msgspec

from sereno.model.check import Check, Finding
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import PluginError
from sereno.plugins.blame import MAX_REASON, describe

LIMIT = 10.0
"""Seconds that checks have, side by side."""

SOONEST = timedelta(seconds=1)
LATEST = timedelta(days=1)
"""Between two times that a node asks for a dependency."""

MOST_CHECKS = 100
MOST_FINDINGS = 100

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,59}")


class CheckAnswer(msgspec.Struct, frozen=True):
    """What one check found; `failure`: why it could not tell, None when it could."""

    plugin: str
    check: str
    findings: tuple[Finding, ...] = ()
    failure: str | None = None


def checked_checks(answer: Iterable[Any]) -> tuple[Check, ...]:
    """Return the checks of a plugin; raise PluginError with what is wrong with them."""
    found = tuple(islice(answer, MOST_CHECKS + 1))
    if len(found) > MOST_CHECKS:
        raise PluginError(f"it has more than {MOST_CHECKS} checks; one may find many things")
    names: set[str] = set()
    for check in found:
        if not isinstance(check, Check):
            raise PluginError(f"sereno_register_checks returned {check!r:.200}, no Check")
        if not _NAME.fullmatch(str(check.name)):
            raise PluginError(
                f"the check {check.name!r:.100} needs a name of lower-case letters, digits, "
                "'_', '.' and '-'"
            )
        if not callable(check.find):
            raise PluginError(f"the check '{check.name}' finds by {check.find!r:.100}, no function")
        if check.every is not None:
            _check_interval(check)
        if check.name in names:
            raise PluginError(f"it has the check '{check.name}' twice")
        names.add(check.name)
    return found


def _check_interval(check: Check) -> None:
    rule = f"the check '{check.name}' is asked every {check.every!r:.60}"
    try:
        every = parse_duration(check.every or 0)
    except (ValueError, TypeError) as error:
        raise PluginError(f"{rule}: {error}") from error
    if not SOONEST <= every <= LATEST:
        raise PluginError(
            f"{rule}; it may be from {format_duration(SOONEST)} to {format_duration(LATEST)}"
        )


def ask_checks(
    checks: Mapping[str, Iterable[Check]], packages: Mapping[str, str], limit: float = LIMIT
) -> list[CheckAnswer]:
    """Ask all side by side and return what each said within `limit` seconds, in order.

    `packages`: where the code of each plugin is, for the line of what one raises.
    """
    asked = [
        (plugin, check, asked_once(check, packages.get(plugin, "")))
        for plugin, several in checks.items()
        for check in several
    ]
    until = time.monotonic() + limit
    return [_answer(plugin, check.name, told, until, limit) for plugin, check, told in asked]


def _answer(
    plugin: str, check: str, told: "Future[tuple[Finding, ...] | str]", until: float, limit: float
) -> CheckAnswer:
    try:
        said = told.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        return CheckAnswer(plugin, check, failure=f"it gave no answer within {limit:g} s")
    if isinstance(said, str):
        return CheckAnswer(plugin, check, failure=said)
    return CheckAnswer(plugin, check, said)


def asked_once(check: Check, package: str) -> "Future[tuple[Finding, ...] | str]":
    """Ask in a thread of its own; return what it will have found, or why it could not tell."""
    told: Future[tuple[Finding, ...] | str] = Future()

    def ask() -> None:
        try:
            said: tuple[Finding, ...] | str = _findings(check)
        except BaseException as error:  # SystemExit in a check is its own fault
            said = describe(error, package)
        told.set_result(said)

    # A daemon: a check that hangs is left behind, and does not keep the process.
    threading.Thread(target=ask, name=f"check {check.name}", daemon=True).start()
    return told


def _findings(check: Check) -> tuple[Finding, ...]:
    found = check.find()
    if inspect.isawaitable(found):
        found = asyncio.run(_awaited(found))
    return tuple(_checked(found or ()))


async def _awaited(found: Any) -> Any:
    asyncio.get_running_loop().set_default_executor(_DaemonThreads())
    return await found


def _checked(found: Iterable[Any]) -> Iterator[Finding]:
    for n, finding in enumerate(found):
        if n == MOST_FINDINGS:
            yield Finding(f"there is more: a check tells {MOST_FINDINGS} things at most")
            return
        if not isinstance(finding, Finding) or not isinstance(finding.sentence, str):
            raise PluginError(f"it returned {finding!r:.200}, no Finding with a sentence")
        yield Finding(finding.sentence[:MAX_REASON], fault=bool(finding.fault))


class _DaemonThreads(ThreadPoolExecutor):
    """Threads that nobody waits for: those of its parent would keep the process until they end."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        told: Future[Any] = Future()

        def work() -> None:
            try:
                done = fn(*args, **kwargs)
            except BaseException as error:
                told.set_exception(error)
            else:
                told.set_result(done)

        threading.Thread(target=work, daemon=True).start()
        return told
