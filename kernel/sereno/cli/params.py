"""Reads the params of a run from the command line and brings them into the types of the job."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from sereno.model.job import Job


def read_params(pairs: Sequence[str], document: str | None, job: Job | None) -> dict[str, Any]:
    """Return `document` (a JSON object) with `pairs` (``key=value``) over it, checked by `job`.

    A value that is JSON counts as that, any other as text; so does one that `job` wants as text, as
    in ``-p site=12``. Raises ParamsError, and click.UsageError on what cannot be read.
    """
    found = _object(document) if document is not None else {}
    found |= read_some(pairs, job)
    return found if job is None else job.checked_params(found)


def read_some(pairs: Sequence[str], job: Job | None) -> dict[str, Any]:
    """Return `pairs` as `read_params` does, which are not all that `job` wants."""
    found = {}
    wanted = _types(job)
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"param '{pair}': write it as key=value, as in -p full=true")
        found[key] = _value(text, wanted.get(key, Any))
    return found


def _object(document: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise click.UsageError(
            f"--params: it must be a JSON object, as '{{\"full\": true}}': {error}"
        ) from error


def _types(job: Job | None) -> Mapping[str, Any]:
    if job is None or job.params is None:
        return {}
    return {field.encode_name: field.type for field in msgspec.structs.fields(job.params)}


def _value(text: str, wanted: Any) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text
    return text if not _fits(value, wanted) and _fits(text, wanted) else value


def _fits(value: Any, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted, strict=False)
    except (msgspec.ValidationError, ValueError):
        return False
    return True
