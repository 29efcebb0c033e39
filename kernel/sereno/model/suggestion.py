"""Finds the word that somebody meant, and says so at the end of a sentence."""

from collections.abc import Iterable

from sereno.model.lazy import lazy

_MAX_WORD = 300


def suggestion(word: object, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return ``, did you mean 'b'?`` for the one of `known` that is most like `word`.

    When none is like it, `otherwise` is returned, and without that ``; known are a, b``: a sentence
    that told what is wrong goes on with either.
    """
    names = list(known)
    return suggested(
        nearest(word, names), f"; known are {', '.join(names)}" if otherwise is None else otherwise
    )


def suggested(near: str | None, otherwise: str = "", *, mark: str = ",", quote: str = "'") -> str:
    """Return ``, did you mean 'near'?``, `otherwise` when there is no `near`."""
    return otherwise if near is None else f"{mark} did you mean {quote}{near}{quote}?"


def nearest(word: object, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the one of `known` that is most like `word`, None when none is like it.

    `cutoff`: how like it must be, from 0 to 1.
    """
    meant = str(word)
    if len(meant) > _MAX_WORD:  # no slip of the hand; comparing costs the square of the length
        return None
    known = [one for one in known if len(one) <= _MAX_WORD]
    difflib = lazy("difflib")  # loaded by the first mistake: most nodes never meet one
    found = difflib.get_close_matches(meant, known, 1, cutoff)
    return found[0] if found else None
