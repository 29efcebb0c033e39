"""Addresses of a run elsewhere, as in a store of logs or of traces, as an operator has set them."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from sereno import RunDetail

_AROUND = timedelta(minutes=1)


def run_links(templates: Mapping[str, str], run: RunDetail) -> list[tuple[str, str]]:
    """Return name and address of each; one that names what the run has not is left out."""
    began = run.started_at or run.queued_at
    facts = {
        "run": str(run.id),
        "job": run.job,
        "node": run.node or "",
        "trace": _trace(run.trace_context),
        "since": (began - _AROUND).isoformat(),
        "until": ((run.finished_at or run.now) + _AROUND).isoformat(),
    }
    found = []
    for name, address in templates.items():
        if all(value or f"{{{fact}}}" not in address for fact, value in facts.items()):
            for fact, value in facts.items():
                address = address.replace(f"{{{fact}}}", quote(value, safe=""))
            found.append((name, address))
    return found


def _trace(context: str | None) -> str:
    """Return the trace of a ``traceparent``, empty where there is none."""
    parts = (context or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 and parts[1].isalnum() else ""
