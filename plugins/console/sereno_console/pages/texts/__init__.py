"""The words of the console: English in the pages, other languages from ``<language>.po``."""

from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

_FOLDER = Path(__file__).parent


class Texts:
    """Translates sentences. What has no translation stays as it is written."""

    def __init__(self, catalog: dict[str, str], plurals: dict[str, tuple[str, ...]]) -> None:
        self.catalog = catalog
        self.plurals = plurals

    def gettext(self, message: str, /, **facts: Any) -> str:
        """Return `message` in this language, ``%(name)s`` filled from `facts`."""
        found = self.catalog.get(message, message)
        return found % facts if facts else found

    def ngettext(self, one: str, many: str, count: int, /, **facts: Any) -> str:
        """Return `one` or `many`, by `count`."""
        forms = self.plurals.get(one, (one, many))
        chosen = forms[0 if count == 1 else -1]
        return chosen % {"count": count, **facts}


@cache
def texts_in(language: str) -> Texts:
    """Return the words of `language`."""
    file = _FOLDER / f"{language}.po"
    if not file.exists():
        return Texts({}, {})
    with file.open("rb") as source:
        catalog = read_po(source, locale=language)
    single: dict[str, str] = {}
    plural: dict[str, tuple[str, ...]] = {}
    for message in catalog:
        if not message.id or not message.string:
            continue
        if isinstance(message.id, tuple):
            plural[message.id[0]] = tuple(message.string)
        else:
            single[str(message.id)] = str(message.string)
    return Texts(single, plural)


__all__ = ["Texts", "texts_in"]
