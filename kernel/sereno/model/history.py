"""Words for what the database has forgotten."""

from datetime import datetime


def may_have_run(until: datetime) -> str:
    """Return why what must not run twice, and was due by this instant, may not begin."""
    return (
        "it may have run: the database went on from an older state than a leader had left, "
        f"seen at {until:%Y-%m-%dT%H:%M:%SZ}"
    )
