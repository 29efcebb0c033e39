"""Logs the engine's events: what went wrong always, what went well where it is asked for."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from sereno.engine.clock import steady
from sereno.model.events import RunFinished, SlotSettled

log = logging.getLogger("sereno.runs")

_MAX_RESULT = 4_000
_MAX_FIGURES = 6

LOGGED_A_SECOND = 50
"""Runs that went well logged one by one within a second: a line costs as much as a short run does,
and of a thousand nobody reads each. The others are counted, by job."""


class RunLogger:
    """An observer of the bus. `success`: the level at which a run that went well is logged.

    `steady`: a clock in seconds that only grows.
    """

    def __init__(self, success: int = logging.INFO, steady: Callable[[], float] = steady) -> None:
        self._success = success
        self._steady = steady
        self._since = float("-inf")
        self._logged = 0
        self._more: Counter[str] = Counter()

    def __call__(self, event: object) -> None:
        """Log `event`, if it is one worth a line."""
        if isinstance(event, RunFinished):
            self._finished(event)
        elif isinstance(event, SlotSettled) and event.verdict in ("late", "missed"):
            facts = {
                "job": event.job,
                "schedule": event.schedule,
                "slot": event.slot.isoformat(),
                "verdict": event.verdict,
                "reason": event.reason,
            }
            log.warning("slot not on time", extra=facts)

    def _finished(self, event: RunFinished) -> None:
        if event.state == "succeeded":
            if log.isEnabledFor(self._success):
                self._succeeded(event)
        elif event.snoozed:
            log.info("run put itself off", extra={**_facts(event), "until": event.error})
        elif event.state == "queued":
            log.warning("run failed, it will be tried again", extra=_failure(event))
        elif event.state == "cancelled":
            log.warning("run cancelled", extra=_facts(event))
        else:
            log.error("run ended badly", extra={**_failure(event), "state": event.state})

    def _succeeded(self, event: RunFinished) -> None:
        now = self._steady()
        if now - self._since >= 1:
            self.log_more()
            self._since, self._logged = now, 0
        self._logged += 1
        if self._logged <= LOGGED_A_SECOND:
            log.log(self._success, "run succeeded", extra=_facts(event))
            return
        if not self._more:
            with suppress(RuntimeError):  # no loop runs here: the next one logs them
                asyncio.get_running_loop().call_later(1, self.log_more)
        self._more[event.job] += 1

    def log_more(self) -> None:
        """Log how many more went well than were logged."""
        if self._more:
            facts = {"runs": self._more.total(), "jobs": dict(self._more.most_common(10))}
            self._more.clear()
            log.log(self._success, "more runs succeeded", extra=facts)


def _failure(event: RunFinished) -> dict[str, object]:
    facts = _facts(event)
    return facts if event.traceback is None else {**facts, "traceback": event.traceback}


def _facts(event: RunFinished) -> dict[str, object]:
    facts: dict[str, object] = {
        "job": event.job,
        "run": event.run_id,
        "attempt": event.attempt,
        "seconds": round(event.duration.total_seconds(), 3),
    }
    if event.parts:
        facts["parts"] = event.parts
    if event.error:
        facts["error"] = event.error
    if event.result and len(event.result) <= _MAX_RESULT:
        facts |= _figures(msgspec.json.decode(event.result), facts)
    return facts


def _figures(result: object, taken: Mapping[str, object]) -> dict[str, object]:
    """Return the first few entries of a result that say something: numbers and short texts."""
    if not isinstance(result, dict):
        return {"result": result}
    shown = {
        key: value
        for key, value in result.items()
        if value and key not in taken and isinstance(value, str | int | float)
    }
    return dict(list(shown.items())[:_MAX_FIGURES])
