"""Shows what the program and its plugins count with prometheus_client, on every replica's page.

Each collector of the library's default registry is asked by itself, on a thread beside the loop
and within a limit: one that raises, hangs, gives what no page may hold or takes a name that another
has is left out alone, logged once, and named by `sereno_metrics_left_out`.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from sereno.engine.clock import steady
from sereno.model.text import shortened
from sereno.observe.client_library import PROCESS_COLLECTOR, REGISTRY, CollectorRegistry
from sereno.observe.exposition import MetricsPage, labels
from sereno.observe.library_text import LibraryText, read_collector

log = logging.getLogger("sereno.metrics")

_LIMIT = 1.0
"""Seconds that one collector has."""

_PATIENCE = 3.0
"""Seconds that a page waits for all of them: a scrape has ten, as a rule."""

_MOST_NAMED = 50
_MOST_NAME = 100
_OURS = "sereno_"

Reason = str
"""Why a collector is left out: taken, slow or failed."""


class DefaultRegistry:
    """What stands in `registry`, less what the kernel shows itself: ``process_...``.

    `taken`: asked for names that are others', beside those that begin with ``sereno_``.
    """

    def __init__(
        self,
        taken: Callable[[], Collection[str]],
        *,
        registry: CollectorRegistry = REGISTRY,
        limit: float = _LIMIT,
        patience: float = _PATIENCE,
    ) -> None:
        self._taken = taken
        self._registry = registry
        self._limit = limit
        self._patience = patience
        self._one_page = asyncio.Lock()
        self._hanging: set[Any] = set()
        self._left_out: dict[Any, Reason] = {}

    async def write(self, page: MetricsPage) -> None:
        """Write what each collector shows, in the order in which they were registered."""
        async with self._one_page:
            read, why = await self._read(page.openmetrics)
        taken = set(self._taken())
        for collector, shown in read.items():
            clash = next((n for n in sorted(shown.names) if n in taken or n.startswith(_OURS)), "")
            if clash:
                error = ValueError(f"the metric '{clash}' is another's; give it a name of its own")
                why[collector] = ("taken", error)
                continue
            taken |= shown.names
            page.lines([shown.lines.decode()])
        self._log_left_out(why)
        named = sorted({(_name(c), reason) for c, (reason, _) in why.items()})[:_MOST_NAMED]
        page.family(
            "sereno_metrics_left_out",
            "gauge",
            "1 for a collector of prometheus_client that this page does without, and why.",
            [(labels({"collector": name, "reason": reason}), 1) for name, reason in named],
        )

    async def _read(
        self, in_openmetrics: bool
    ) -> tuple[dict[Any, LibraryText], dict[Any, tuple[Reason, BaseException]]]:
        # Its own lock may be held by a collector that hangs as it is registered.
        there = list(self._registry._collector_to_names)
        slow = TimeoutError(f"it has not answered in {self._limit:g} s")
        why: dict[Any, tuple[Reason, BaseException]] = {
            collector: ("slow", slow) for collector in there if collector in self._hanging
        }
        rest = [c for c in there if c not in why and c is not PROCESS_COLLECTOR]
        read: dict[Any, LibraryText] = {}
        until = steady() + self._patience
        while rest and steady() < until:
            asking = _Asking(rest, in_openmetrics, self._hanging.discard)
            for collector, answer in zip(
                rest, await asking.watch(self._limit, until), strict=False
            ):
                if isinstance(answer, LibraryText):
                    read[collector] = answer
                else:
                    why[collector] = ("failed", answer)
            rest = [c for c in rest if c not in read and c not in why]
            if rest:
                stuck = rest.pop(0)
                self._hanging.add(stuck)
                why[stuck] = ("slow", slow)
        return read, why | dict.fromkeys(rest, ("slow", slow))

    def _log_left_out(self, why: dict[Any, tuple[Reason, BaseException]]) -> None:
        before, self._left_out = self._left_out, {c: reason for c, (reason, _) in why.items()}
        for collector, (reason, error) in why.items():
            if before.get(collector) != reason:
                log.warning(
                    "a collector of prometheus_client is left out of the metrics page",
                    exc_info=error if reason == "failed" else None,
                    extra={"collector": _name(collector), "why": f"{error}", "reason": reason},
                )


class _Asking:
    """Asks collectors one by one on a thread, which nobody waits for at the end of the process.

    `late`: called in the loop with the one that was given up, once it has ended.
    """

    def __init__(
        self, collectors: Sequence[Any], in_openmetrics: bool, late: Callable[[Any], None]
    ) -> None:
        self._collectors = collectors
        self._in_openmetrics = in_openmetrics
        self._late = late
        self._answers: list[LibraryText | BaseException] = []
        self._lock = threading.Lock()
        self._given_up = False
        self._begun_at = steady()
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        threading.Thread(target=self._ask, name="sereno metrics", daemon=True).start()

    async def watch(self, limit: float, until: float) -> list[LibraryText | BaseException]:
        """Return the answers of all, or of those before the one that took `limit` seconds, or that
        was being asked at the steady time `until`."""
        while (left := min(self._begun_at + limit, until) - steady()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._done.wait()
                    break
        with self._lock:
            self._given_up = True
            return list(self._answers)

    def _ask(self) -> None:
        for collector in self._collectors:
            self._begun_at = steady()
            try:
                answer: Any = read_collector(collector, in_openmetrics=self._in_openmetrics)
            except BaseException as error:  # its own, also what would end the thread
                answer = error
            with self._lock:
                if not self._given_up:
                    self._answers.append(answer)
                    continue
            self._call(self._late, collector)
            return
        self._call(self._done.set)

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback, *args)


def _name(collector: Any) -> str:
    """Return the name of its metric, or of what it is."""
    name = getattr(collector, "_name", None)
    kind = type(collector)
    return shortened(
        name if isinstance(name, str) else f"{kind.__module__}.{kind.__qualname__}", _MOST_NAME
    )
