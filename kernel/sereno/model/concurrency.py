"""The key that runs share which must not overlap: of a job's policy, filled with a run's params."""

import json
import re
from collections.abc import Mapping

from sereno.model.errors import DeclarationError

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
