"""What a chained run is given of the runs before it: ``params_from={"since": "result.highest"}``.

A source is ``result`` or ``params``, then keys (or places in a list) joined by dots; after several
jobs it names the one: ``result.rows of etl.calls``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sereno.model.errors import DeclarationError
from sereno.model.suggestion import suggestion

_PARTS = ("result", "params")
_MOST = 1_000
"""Characters of one source."""


class ParamSource(msgspec.Struct, frozen=True):
    """Where one param comes from. `keys`: none for the whole result."""

    job: str
    part: str
    keys: tuple[str, ...]

    @property
    def path(self) -> list[str]:
        """Return it as `sereno.handed_on` walks it."""
        return [self.job, self.part, *self.keys]

    def __str__(self) -> str:
        return f"{'.'.join((self.part, *self.keys))} of {self.job}"


def checked_sources(
    params_from: object, upstream: Sequence[str], subject: str
) -> tuple[tuple[str, str], ...]:
    """Return the sources of a job's params as it keeps them; raises DeclarationError."""
    given = {} if params_from is None else params_from
    if not isinstance(given, Mapping):
        raise DeclarationError(
            f"{subject}: params_from is {given!r:.100}, it must be a dict, as "
            '{"since": "result.highest"}'
        )
    for name, text in given.items():
        param_source(name, text, upstream, subject)
    return tuple(given.items())


def param_source(name: object, text: object, upstream: Sequence[str], subject: str) -> ParamSource:
    """Return where `text` says that the param `name` comes from; raises DeclarationError."""
    if not isinstance(name, str):
        raise DeclarationError(f"{subject}: params_from: {name!r:.100} is no name of a param")
    subject = f"{subject}: params_from: '{name:.100}'"
    if not isinstance(text, str) or len(text) > _MOST or "\0" in text:
        raise DeclarationError(
            f"{subject} is {text!r:.100}, it must be a text as 'result.rows' or 'params.site'"
        )
    if not upstream:
        raise DeclarationError(f"{subject} comes from another run, and after= names no job")
    said, _, job = text.partition(" of ")
    part, *keys = said.strip().split(".")
    job = job.strip()
    if part not in _PARTS or not all(keys) or (part == "params" and not keys):
        raise DeclarationError(
            f"{subject} is '{text:.100}', it must begin with result or params, and keys after it, "
            "as 'result.rows' or 'params.site'"
        )
    if not job and len(upstream) > 1:
        raise DeclarationError(
            f"{subject} is '{text:.100}', which may be of {' or '.join(upstream)}; write "
            f"'{said:.100} of {upstream[0]}'"
        )
    if job and job not in upstream:
        hint = suggestion(job, upstream, f"; it comes after {', '.join(upstream)}")
        raise DeclarationError(f"{subject} is of '{job:.120}', which it does not follow{hint}")
    return ParamSource(job or upstream[0], part, tuple(keys))


def missing(source: ParamSource, upstream: Mapping[str, Any]) -> str:
    """Return why nothing was found at `source`. `upstream`: results by job."""
    if source.part == "params":
        return f"the run of {source.job} was given none"
    if source.job not in upstream:
        return f"no run of {source.job} came before it"
    found = upstream[source.job]
    for n, key in enumerate(source.keys):
        inside = f"its {'.'.join(('result', *source.keys[:n]))}"
        if isinstance(found, dict):
            if key not in found:
                known = ", ".join(sorted(found)[:10])
                return f"{inside} has no {key!r:.60}, it has {known or 'nothing':.300}"
            found = found[key]
        elif isinstance(found, list):
            if not key.lstrip("-").isdecimal() or not -len(found) <= int(key) < len(found):
                return f"{inside} is a list of {len(found)}, which has no {key!r:.60}"
            found = found[int(key)]
        else:
            what = "nothing" if found is None else f"{type(found).__name__}, no object"
            return f"{inside} is {what}"
    return "it was handed on by a replica of another version"
