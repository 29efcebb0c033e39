"""The kinds of trigger by name, to which a plugin may add."""

import re
from collections.abc import Callable

from sereno.model.errors import TriggerError
from sereno.triggers.arguments import Arguments
from sereno.triggers.trigger import Trigger

KindParser = Callable[[Arguments], Trigger]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_kinds: dict[str, KindParser] = {}
_teachers: list[Callable[[], object]] = []


def register_kind(name: str, parser: KindParser) -> None:
    """Let `parse` read texts that begin with `name` by `parser`, which is given what follows.

    The trigger that `parser` returns must write a text that begins with `name`. The same pair again
    is no error; another parser for a known name raises TriggerError.
    """
    if not _NAME.fullmatch(name):
        raise TriggerError(
            f"trigger kind {name!r:.60}: a name is small letters, digits and _, as in 'sun'"
        )
    if _kinds.setdefault(name, parser) is not parser:
        raise TriggerError(
            f"trigger kind {name!r}: another parser has that name; choose a name of your own"
        )


def learn_when_asked(teacher: Callable[[], object]) -> None:
    """Have `teacher` register more kinds, once, as soon as a kind is asked for that is not known.

    So that what reads a trigger of a plugin now and then need not load all plugins each time.
    """
    _teachers[:] = [teacher]


def find_kind(name: str) -> KindParser | None:
    """Return the parser of the kind `name`, if there is one."""
    if name not in _kinds and _teachers and _NAME.fullmatch(name):
        _teachers.pop()()
    return _kinds.get(name)


def foreign_kinds() -> tuple[str, ...]:
    """Return the names of the kinds that plugins brought."""
    return tuple(name for name, parser in _kinds.items() if not _is_ours(parser))


def _is_ours(parser: KindParser) -> bool:
    return str(getattr(parser, "__module__", "")).startswith("sereno.triggers.")


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds, in the order of their registration."""
    return tuple(_kinds)
