"""The key that runs share of which only so many may work at once: of a job's policy, filled with a
run's params."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sereno.model.errors import DeclarationError
from sereno.model.suggestion import suggestion

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def concurrency_key(template: str, params: Mapping[str, object]) -> str:
    """Put params for their names in braces, in the form that ``sereno.enqueue`` gives them; raises
    DeclarationError when one is missing."""

    def filled(name: re.Match[str]) -> str:
        if name[1] not in params:
            raise DeclarationError(
                f"concurrency_key {template!r} names the param '{name[1]}', which the run does"
                " not have"
            )
        value = params[name[1]]
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value, ensure_ascii=False)

    return _PLACEHOLDER.sub(filled, template)


_PARTS = {"key": "concurrency_key", "limit": "concurrency_limit"}


def split_concurrency(overrides: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """Return `overrides` with what ``concurrency`` says as the two policies that it stands for.

    Their values are checked by whoever reads policies. Raises DeclarationError, which begins with
    `subject`.
    """
    found = dict(overrides)
    table = found.pop("concurrency")
    if table is None:
        table = {"key": None}
    if not isinstance(table, Mapping) or not table:
        raise DeclarationError(
            f"{subject}: concurrency is {table!r:.100}, it must be a table, as"
            ' { key = "pbx-{site}", limit = 3 }'
        )
    for name, value in table.items():
        policy = _PARTS.get(name, name if name in _PARTS.values() else None)
        if policy is None:
            hint = suggestion(str(name), _PARTS, "; it takes key and limit")
            raise DeclarationError(f"{subject}: concurrency: unknown key '{name!s:.100}'{hint}")
        if policy in found:
            raise DeclarationError(
                f"{subject}: concurrency and {policy} are both given; name one of them"
            )
        found[policy] = value
    return found
