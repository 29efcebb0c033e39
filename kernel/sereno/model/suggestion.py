"""Finds the word that somebody meant."""

from collections.abc import Iterable
from importlib import import_module

_MAX_WORD = 300


def nearest(word: object, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `known` that is most like `word`, None when none is like it.

    `cutoff`: how like it must be, from 0 to 1.
    """
    # Loaded by the first mistake: most nodes never meet one.
    meant = str(word)
    if len(meant) > _MAX_WORD:  # no slip of the hand; comparing costs the square of the length
        return None
    known = [one for one in known if len(one) <= _MAX_WORD]
    found = import_module("difflib").get_close_matches(meant, known, 1, cutoff)
    return found[0] if found else None
