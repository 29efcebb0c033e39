"""Says in the log what the engine's events tell: what went wrong always, what went well where it is
asked for."""

import logging
from collections.abc import Mapping

import msgspec

from sereno.model.events import RunFinished, SlotSettled

log = logging.getLogger("sereno.runs")

_MAX_RESULT = 4_000
_MAX_FIGURES = 6


class Narrator:
    """An observer of the bus. `success`: the level at which a run that went well is told."""

    def __init__(self, success: int = logging.INFO) -> None:
        self._success = success

    def __call__(self, event: object) -> None:
        """Tell `event`, if it is one worth a line."""
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
                log.log(self._success, "run succeeded", extra=_facts(event))
        elif event.state == "queued":
            log.warning("run failed, it will be tried again", extra=_failure(event))
        elif event.state == "cancelled":
            log.warning("run cancelled", extra=_facts(event))
        else:
            log.error("run ended badly", extra={**_failure(event), "state": event.state})


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
    if event.error:
        facts["error"] = event.error
    if event.result and len(event.result) <= _MAX_RESULT:
        facts |= _figures(msgspec.json.decode(event.result), facts)
    return facts


def _figures(result: object, taken: Mapping[str, object]) -> dict[str, object]:
    """Return the first few entries of a result that say something: numbers and short texts."""
    if not isinstance(result, dict):
        return {"result": result}
    telling = {
        key: value
        for key, value in result.items()
        if value and key not in taken and isinstance(value, str | int | float)
    }
    return dict(list(telling.items())[:_MAX_FIGURES])
