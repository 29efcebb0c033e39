"""What pages take from their paths, and what of a listing its reader may see."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from sereno_console.web.answers import ProblemError
from sereno_console.web.request import ConsoleRequest


class _OfJob(Protocol):
    @property
    def job(self) -> str: ...


_LAST = 2**63 - 1
_LONGEST = len(str(_LAST))

T = TypeVar("T", bound=_OfJob)


def path_number(request: ConsoleRequest, name: str, what: str) -> int:
    """Return the number that the path has for `name`; raises ProblemError where it is none."""
    text = request.arguments[name]
    found = whole_number(text)
    if found is None:
        raise ProblemError(404, f"'{text[:40]}' is no number of a {what}")
    return found


def whole_number(text: str) -> int | None:
    """Return the number that `text` is, None where it is none that the database can hold."""
    if not text.isascii() or not text.isdecimal() or len(text) > _LONGEST:
        return None
    found = int(text)
    return found if found <= _LAST else None


def readable(request: ConsoleRequest, found: Iterable[T]) -> list[T]:
    """Return those of `found` whose jobs who asks may read."""
    return [one for one in found if request.user.can("read", one.job)]
