"""What a list that grows with history is read by: pages of the newest first, by a key."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from sereno.model.errors import ParamsError

T = TypeVar("T")

_LONGEST = 500


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of a list, the newest first.

    `older`, `newer`: cursors of the pages beside it, valid with the same filter; None where there
    is nothing more. `whole`: false where it was given back before it was full, as enough had been
    looked at for one page: `older` (or `newer`) goes on from there.
    """

    items: tuple[T, ...]
    older: str | None = None
    newer: str | None = None
    whole: bool = True


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: behind `key`, to older ones or to newer ones."""

    older: bool
    key: Any
    of: str


def paged(
    items: Sequence[T], key: Callable[[T], Any], *, more: bool, place: Place | None, of: str
) -> Page[T]:
    """Return a page of a list in its own order, with the cursors of those beside it.

    `older` leads on in that order, `newer` back. `key`: what the list is ordered by; `more`: there
    are more in the direction in which `place` (None: the beginning) was gone.
    """
    onward = place is None or place.older
    last = items[-1 if onward else 0] if items else None
    ahead = cursor(onward, key(last), of) if more and last is not None else None
    back = None
    if place is not None:
        back = cursor(not onward, key(items[0 if onward else -1]) if items else place.key, of)
    older, newer = (ahead, back) if onward else (back, ahead)
    return Page(items=tuple(items), older=older, newer=newer)


def mark(wanted: Any) -> str:
    """Return what tells one filter from another in a cursor."""
    text = msgspec.json.encode(wanted, order="deterministic")
    return hashlib.blake2s(text, digest_size=6).hexdigest()


def cursor(older: bool, key: Any, of: str) -> str:
    """Return the cursor of the page that begins behind `key`."""
    text = msgspec.json.encode(Place(older=older, key=key, of=of))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_cursor(text: str, key: Any, of: str) -> Place:
    """Return the place that `text` stands for, its key of the type `key`; raises ParamsError where
    it is none, or belongs to another filter."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        found = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        place = msgspec.json.decode(found, type=Place)
        place = msgspec.structs.replace(place, key=msgspec.convert(place.key, key))
    except (ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        raise ParamsError(
            f"cursor {text!r:.60} is none of a page; begin again without one"
        ) from None
    if place.of != of:
        raise ParamsError(
            f"cursor {text!r:.60} belongs to a page of another filter; begin again without one"
        )
    return place
