"""Turns a report's SQL with named parameters (``:start``) into what PostgreSQL is given."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
      | :: | :(?P<name>[a-z_][a-z0-9_]*)""",
    re.VERBOSE | re.DOTALL,
)


class StatementError(ValueError):
    """A statement names a parameter that there is not."""


def bound(text: str, values: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return `text` with numbered, typed parameters, and their values in order.

    What stands in quotes and comments is left alone. Raises StatementError.
    """
    numbers: dict[str, int] = {}

    def put(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        if name not in values:
            known = ", ".join(f":{known}" for known in sorted(values))
            raise StatementError(f"there is no parameter :{name}; known are {known}")
        number = numbers.setdefault(name, len(numbers) + 1)
        return f"${number}::{_type(values[name])}"

    written = _TOKEN.sub(put, text)
    return written, [values[name] for name in numbers]


def _type(value: Any) -> str:
    """Return the SQL type of `value`; of a list, its first element's."""
    if isinstance(value, list):
        return f"{_type(value[0]) if value else 'text'}[]"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, datetime):
        return "timestamptz"
    for kind, name in ((int, "bigint"), (float, "float8"), (date, "date")):
        if isinstance(value, kind):
            return name
    return "text"
