"""What users of other schedulers write for a policy, and what it is called here."""

from collections.abc import Iterable

from sereno.model.suggestion import suggestion

_ATTEMPTS = (
    "; it is `retry` here, whose attempts count the first one too: "
    "max_retries=3 is retry=4, or attempts=4"
)
_NAMES = {
    **dict.fromkeys(("retries", "max_retries", "retry_count", "autoretry_for"), _ATTEMPTS),
    **dict.fromkeys(
        ("attempts", "max_attempts"), "; write retry=4: 4 attempts, the first one counts too"
    ),
    **dict.fromkeys(
        ("retry_delay", "default_retry_delay", "retry_backoff", "backoff"),
        "; the waits are in retry, as retry={'attempts': 4, 'delay': '10s'}",
    ),
    **dict.fromkeys(
        ("expires", "starting_deadline_seconds", "startingDeadlineSeconds"),
        "; it is `start_by` here: not begun by then, a run ends unbegun",
    ),
    "misfire_grace_time": "; it is `start_by` here, or `grace` for what is late and runs",
    "ignore_result": "; it is keep_result=False here",
    **dict.fromkeys(("time_limit", "soft_time_limit"), "; it is `timeout` here"),
    "max_instances": "; it is `max_running` here",
    "coalesce": "; it is `catch_up` here: 'last' coalesces",
    "queue": "; there is one queue here: `priority` orders it, `max_running` bounds a job in it",
}


def called_here(name: str) -> str:
    """Return what `name` is called here, nothing where others do not call a policy so."""
    return _NAMES.get(name, "")


def hint(name: str, known: Iterable[str]) -> str:
    """Return what to write in the place of `name`, which is none of `known`."""
    return called_here(name) or suggestion(name, known)
