"""What stands for JSON in a row that cannot be read here."""

from typing import Any


class Unreadable(dict[str, Any]):
    """A JSON object that says why, so that whoever shows the JSON shows that. `why`: what is wrong
    with it, as "is 600 levels deep"."""

    def __init__(self, why: str) -> None:
        super().__init__(unreadable=f"this JSON {why}")
        self.why = why


def json_object(value: Any) -> dict[str, Any]:
    """Return `value`, of a column that holds JSON objects, as one: an empty one for null, an
    `Unreadable` for anything else."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    return Unreadable(f"is a {type(value).__name__}, it must be an object")


def unreadable(**values: Any) -> str | None:
    """Return which of `values`, by their names, is an `Unreadable`, and why; None where none is."""
    if Unreadable not in map(type, values.values()):  # as with nearly every run
        return None
    for name, value in values.items():
        if isinstance(value, Unreadable):
            return f"its {name} cannot be read: the JSON {value.why}"
    return None
