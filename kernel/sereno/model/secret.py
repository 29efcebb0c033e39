"""What a job's params and results may declare secret: it is kept while the run needs it."""

import inspect as python
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Meta, inspect

_MARK = "sereno_secret"

Secret = Meta(extra={_MARK: True})
"""Marks a field of a Struct, as in ``password: Annotated[str, Secret]``: it is masked wherever the
run is shown, and emptied when the run is over."""


@lru_cache(1_024)
def secret_fields(struct: Any) -> tuple[str, ...]:
    """Return the fields of `struct`, by their names in JSON, that are secret or hold what is."""
    if not (python.isclass(struct) and issubclass(struct, msgspec.Struct)):
        return ()
    try:
        return _of(inspect.type_info(struct), set())
    except (TypeError, NameError):  # of types that no JSON fills: no params, then
        return ()


def _of(kind: inspect.Type, seen: set[Any]) -> tuple[str, ...]:
    if not isinstance(kind, inspect.StructType):
        return ()
    seen.add(kind.cls)
    return tuple(f.encode_name for f in kind.fields if _is_secret(f.type, seen))


def _is_secret(kind: Any, seen: set[Any]) -> bool:
    """Look into all that `kind` is made of: lists, tables, unions, Structs."""
    if isinstance(kind, inspect.Metadata):
        return bool((kind.extra or {}).get(_MARK)) or _is_secret(kind.type, seen)
    if isinstance(kind, inspect.StructType):
        return kind.cls not in seen and bool(_of(kind, seen))
    if isinstance(kind, inspect.UnionType):
        return any(_is_secret(one, seen) for one in kind.types)
    inner = [getattr(kind, name, None) for name in ("item_type", "key_type", "value_type")]
    several = getattr(kind, "item_types", ())
    return any(_is_secret(one, seen) for one in (*inner, *several) if one is not None)
