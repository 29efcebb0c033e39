"""Classes of errors as retry rules name them, and whether an error is of one of them."""

import builtins
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from sereno.model.errors import FINAL, DeclarationError
from sereno.model.suggestion import suggestion

_MOST_NAMES = 50
_MAX_NAME = 300
_MOST_MEMBERS = 1_000
"""Members of a group that are looked at: a job may raise one of millions."""

_BUILTIN = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException)
}

Errors = type[BaseException] | str | Sequence[type[BaseException] | str]
"""As people write them: a class, its name, or several."""


def error_names(field: str, value: Any) -> tuple[str, ...]:
    """Return the full names of the classes in `value`; raises DeclarationError.

    A name is ``module.Class``, or plain of a class of Python's own (``ConnectionError``).
    """
    one = isinstance(value, str | type)
    if not one and not isinstance(value, list | tuple | set | frozenset):
        raise DeclarationError(
            f"retry: {field} is {value!r:.80}, it must be classes of errors or their names,"
            f' as (ConnectionError, "httpx.TransportError")'
        )
    given = [value] if one else value
    if len(given) > _MOST_NAMES:
        raise DeclarationError(
            f"retry: {field} names {len(given)} errors, at most {_MOST_NAMES} are taken: name a"
            " class above them"
        )
    return tuple(dict.fromkeys(_checked(field, item) for item in given))


def is_one_of(error: BaseException, names: Sequence[str]) -> bool:
    """Return whether the class of `error`, or one above it, is among `names`.

    A name may be one under which another module offers the class, as ``asyncpg.PostgresError`` is;
    to find that out nothing is imported, and no code of the error's own is called.
    """
    kinds = _kinds(error)
    if any(_full_name(kind) in names for kind in kinds):
        return True
    offered = [_offered(name) for name in names if "." in name]
    return any(kind is one for one in offered if one is not None for kind in kinds)


def is_never_mended(error: BaseException) -> bool:
    """Return whether no other attempt is made after `error`, whatever a rule says."""
    return any(kind is one for kind in _kinds(error) for one in FINAL)


def members(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, or what it holds where it is a group, as a TaskGroup raises."""
    waiting, left = [error], _MOST_MEMBERS
    while waiting and left:
        found = waiting.pop()
        if any(kind is BaseExceptionGroup for kind in _kinds(found)):
            held = BaseExceptionGroup.__dict__["exceptions"].__get__(found)
            waiting += held[:left]
        else:
            left -= 1
            yield found


def _checked(field: str, item: Any) -> str:
    if isinstance(item, type) and issubclass(item, BaseException):
        name = _full_name(item)
        refused = issubclass(item, FINAL)
    elif isinstance(item, str):
        name = item.strip().removeprefix("builtins.")
        parts = name.split(".")
        refused = parts[0] == "sereno" and parts[-1] in {kind.__name__ for kind in FINAL}
        if len(name) > _MAX_NAME or not all(part.isidentifier() for part in parts):
            raise DeclarationError(
                f"retry: {field} names {item!r:.80}, it must be the name of a class, as"
                " 'ConnectionError' or 'httpx.TransportError'"
            )
        if len(parts) == 1 and name not in _BUILTIN:
            hint = suggestion(name, _BUILTIN)
            raise DeclarationError(
                f"retry: {field} names '{name}', which is no error of Python's own{hint}; any"
                f" other is named with its module, as 'httpx.TransportError'"
            )
    else:
        raise DeclarationError(f"retry: {field} names {item!r:.80}, which is no class of errors")
    if refused and field == "on":
        raise DeclarationError(
            f"retry: on names '{name}', which is never tried again: that is what it is for"
        )
    return name


def _kinds(error: BaseException) -> tuple[type, ...]:
    found: tuple[type, ...] = type.__dict__["__mro__"].__get__(type(error))
    return found


def _full_name(kind: type) -> str:
    """Return ``module.Class``; by no code of the class's own."""
    name: str = type.__dict__["__qualname__"].__get__(kind)
    module: object = type.__dict__["__module__"].__get__(kind)
    return name if module == "builtins" else f"{module}.{name}"


def _offered(name: str) -> Any:
    """Return what a loaded module has under the full name `name`, None for nothing."""
    module, _, rest = name.rpartition(".")
    while module and module not in sys.modules:
        module, _, outer = module.rpartition(".")
        rest = f"{outer}.{rest}"
    found: Any = sys.modules.get(module)
    for part in rest.split("."):
        try:
            found = getattr(found, part, None)
        except Exception:  # a module's own __getattr__
            return None
    return found
